import assert from "node:assert/strict";
import { test } from "node:test";

import { MalformedPayload, readMotionPayload } from "../../../conformance/client/js/motion_payload.js";
import { chunk, flame, floats, number, payload, response, tag, text } from "./envelopes.mjs";

const bytes = (...parts) => Uint8Array.from(parts.flat());
const names = (motion) => motion.keyframes.map((keyframe) => keyframe.translation[0]);

test("reads ids, end mark and keyframes", () => {
  const motion = readMotionPayload(payload([1, 2], { end: true, reqId: "20251223042742_Oja7E-8NzYGi" }));
  assert.equal(motion.connectionId, "connection");
  assert.equal(motion.reqId, "20251223042742_Oja7E-8NzYGi");
  assert.equal(motion.end, true);
  assert.deepEqual(names(motion), [1, 2]);
});

test("reads each of the seven fields", () => {
  const fields = { translation: 3, rotation: 3, neckPose: 3, jawPose: 3, eyePose: 6, eyeLid: 2, expression: 100 };
  const encoded = Object.values(fields).flatMap((length, index) => floats(index + 1, Array(length).fill(index + 0.5)));
  const [keyframe] = readMotionPayload(bytes(number(1, 5), chunk(6, chunk(4, chunk(1, encoded))))).keyframes;
  for (const [index, [name, length]] of Object.entries(fields).entries()) {
    assert.deepEqual(keyframe[name], Array(length).fill(index + 0.5), name);
  }
});

test("skips unknown fields of every wire type, at every level", () => {
  const group = [...tag(90, 3), ...number(1, 300), ...tag(7, 3), ...tag(7, 4), ...tag(90, 4)];
  const unknown = [...number(99, 2 ** 40), ...chunk(98, [1, 2]), ...tag(97, 1), ...Array(8).fill(9), ...tag(96, 5), ...Array(4).fill(9), ...group];
  const keyframe = chunk(1, [...unknown, ...floats(1, [4]), ...unknown]);
  const inner = [...unknown, ...chunk(4, [...unknown, ...keyframe, ...unknown]), ...unknown];
  assert.deepEqual(names(readMotionPayload(bytes(unknown, number(1, 5), chunk(6, inner), unknown))), [4]);
});

test("takes floats packed, unpacked and in parts", () => {
  const unpacked = [...tag(1, 5), ...new Uint8Array(Float32Array.of(7).buffer)];
  const keyframe = chunk(1, [...floats(1, [5, 6]), ...unpacked]);
  const motion = readMotionPayload(bytes(number(1, 5), chunk(6, chunk(4, keyframe))));
  assert.deepEqual(motion.keyframes[0].translation, [5, 6, 7]);
});

test("merges a response that comes in parts", () => {
  const motion = readMotionPayload(bytes(chunk(6, response([1])), chunk(6, response([2], { end: true })), number(1, 5)));
  assert.deepEqual(names(motion), [1, 2]);
  assert.equal(motion.end, true);
});

test("another member of the oneof takes the place of the response", () => {
  const motion = readMotionPayload(bytes(number(1, 5), chunk(6, response([1], { end: true })), chunk(5, [])));
  assert.deepEqual([names(motion), motion.end], [[], false]);
});

test("a known field with a strange wire type counts as unknown", () => {
  const odd = [...number(2, 3), ...chunk(3, [1]), ...text(4, "")];
  assert.deepEqual(names(readMotionPayload(bytes(number(1, 5), chunk(6, odd), number(6, 1)))), []);
});

test("no bytes, and an envelope of another kind, carry no motion", () => {
  assert.deepEqual(readMotionPayload(bytes()).keyframes, []);
  assert.deepEqual(readMotionPayload(bytes(number(1, 4), chunk(5, text(4, "Credits exhausted")))).keyframes, []);
});

test("reads from the middle of a buffer", () => {
  const whole = payload([8]);
  const framed = new Uint8Array(whole.length + 4).fill(0xff);
  framed.set(whole, 2);
  assert.deepEqual(names(readMotionPayload(framed.subarray(2, 2 + whole.length))), [8]);
});

const malformed = {
  "a tag that is cut off": [0x88],
  "a varint that is cut off": [0x08, 0x80],
  "a varint of eleven bytes": [0x08, ...Array(10).fill(0x80), 0x01],
  "field number zero": [0x02, 0x00],
  "a field number beyond 29 bits": [...Array(5).fill(0xff), 0x01, 0x00],
  "wire type six": [0x0e, 0x00],
  "wire type seven": [0x0f, 0x00],
  "a length beyond the end": [0x32, 0x05, 0x00],
  "a length beyond all bounds": [0x32, ...Array(9).fill(0xff), 0x01],
  "a fixed value that is cut off": [...tag(9, 5), 0, 0],
  "an end of a group that never began": tag(9, 4),
  "a group without an end": tag(9, 3),
  "a group that ends as another": [...tag(9, 3), ...tag(10, 4)],
  "groups nested too deeply": [...Array(200).fill(tag(9, 3)).flat(), ...Array(200).fill(tag(9, 4)).flat()],
  "a response that is cut off inside": chunk(6, [0x0a, 0x09, 0x61]),
  "an animation that is cut off inside": chunk(6, chunk(4, flame(1).slice(0, -1))),
  "packed floats of five bytes": chunk(6, chunk(4, chunk(1, chunk(1, [0, 0, 0, 0, 0])))),
  "a request id that is not UTF-8": chunk(6, chunk(2, [0xff])),
};

for (const [name, encoded] of Object.entries(malformed)) {
  test(`refuses ${name}`, () => assert.throws(() => readMotionPayload(bytes(encoded)), MalformedPayload));
}

test("refuses every payload that lost its last bytes", () => {
  const whole = payload([1]);
  // Cut behind the type it is whole again: an envelope without a response.
  for (let length = 3; length < whole.length; length += 1) {
    assert.throws(() => readMotionPayload(whole.subarray(0, length)), MalformedPayload, `${length} bytes`);
  }
});
