/**
 * Reads the keyframes out of one encoded motion payload.
 *
 * A payload is a whole `Message` envelope in protobuf's wire format:
 *
 *     Message                  type = 1 (5 is SERVER_RESPONSE_ANIMATION) · response = 6
 *     ServerResponseAnimation  connection_id = 1 · req_id = 2 · end = 3 · animation = 4
 *     Animation                keyframes = 1, repeated Flame
 *     Flame                    the seven fields of FLAME_FIELDS, packed floats
 *
 * The reader does what protobuf's own parsers do: it skips unknown fields, merges a field that comes twice, and treats a
 * known field with a strange wire type as unknown. What they refuse it refuses, too, with a MalformedPayload.
 */

export class MalformedPayload extends Error {
  name = "MalformedPayload";
}

const SERVER_RESPONSE_ANIMATION = 5;
const RESPONSE = 6;
/** The members of the envelope's oneof without `response`: if one of them follows a response, it replaces it. */
const OTHER_DATA = new Set([2, 3, 4, 5, 8]);
const FLAME_FIELDS = {
  1: "translation",
  2: "rotation",
  3: "neckPose",
  4: "jawPose",
  5: "eyePose",
  6: "eyeLid",
  7: "expression",
};

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
/** At most so many groups within groups, as in protobuf's parsers. */
const DEEPEST = 100;

const utf8 = new TextDecoder("utf-8", { fatal: true });

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  get done() {
    return this.at >= this.bytes.length;
  }

  take(length) {
    if (length > this.bytes.length - this.at) throw new MalformedPayload("a field is longer than what is left");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** Reads at most ten bytes. The result is a Number, because no value here needs more than 32 bits. */
  varint() {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.done) throw new MalformedPayload("a varint is cut off");
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new MalformedPayload("a varint is longer than ten bytes");
  }

  tag() {
    const tag = this.varint();
    if (tag < 8 || tag >= 2 ** 32) throw new MalformedPayload("no such field number");
    return [Math.floor(tag / 8), tag % 8];
  }

  /** Reads the value of one field; null for a group, whose content is unknown here. */
  value(field, wireType, depth = 0) {
    switch (wireType) {
      case VARINT:
        return this.varint();
      case FIXED64:
        return this.take(8);
      case FIXED32:
        return this.take(4);
      case LENGTH:
        return this.take(this.varint());
      case GROUP:
        return this.skipGroup(field, depth + 1);
      default:
        throw new MalformedPayload(`wire type ${wireType} out of place`);
    }
  }

  skipGroup(opened, depth) {
    if (depth > DEEPEST) throw new MalformedPayload("groups are nested too deeply");
    for (;;) {
      const [field, wireType] = this.tag();
      if (wireType === END_GROUP && field === opened) return null;
      this.value(field, wireType, depth);
    }
  }
}

/** Yields every field of a message, in order: [number, wire type, value]. */
function* fields(bytes) {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const [field, wireType] = reader.tag();
    yield [field, wireType, reader.value(field, wireType)];
  }
}

function readFloats(bytes, floats) {
  if (bytes.length % 4) throw new MalformedPayload("packed floats are cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += 4) floats.push(view.getFloat32(at, true));
}

function readFlame(bytes) {
  const flame = {};
  for (const name of Object.values(FLAME_FIELDS)) flame[name] = [];
  for (const [field, wireType, value] of fields(bytes)) {
    const name = FLAME_FIELDS[field];
    // A parser must take a repeated number packed and unpacked.
    if (name && (wireType === LENGTH || wireType === FIXED32)) readFloats(value, flame[name]);
  }
  return flame;
}

function readAnimation(bytes, keyframes) {
  for (const [field, wireType, value] of fields(bytes)) {
    if (field === 1 && wireType === LENGTH) keyframes.push(readFlame(value));
  }
}

function readResponse(bytes, response) {
  for (const [field, wireType, value] of fields(bytes)) {
    if (field === 1 && wireType === LENGTH) response.connectionId = text(value);
    if (field === 2 && wireType === LENGTH) response.reqId = text(value);
    if (field === 3 && wireType === VARINT) response.end = value !== 0;
    if (field === 4 && wireType === LENGTH) readAnimation(value, response.keyframes);
  }
}

function text(bytes) {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new MalformedPayload("a string that is not UTF-8");
  }
}

const emptyResponse = () => ({ connectionId: "", reqId: "", end: false, keyframes: [] });

/**
 * Decodes one payload.
 *
 * An envelope of another kind is well-formed but carries no motion: the result has no keyframes and no end mark.
 *
 * @param {Uint8Array} payload
 * @returns {{connectionId: string, reqId: string, end: boolean, keyframes: object[]}}
 * @throws {MalformedPayload}
 */
export function readMotionPayload(payload) {
  let type = 0;
  let response = emptyResponse();
  for (const [field, wireType, value] of fields(payload)) {
    if (field === 1 && wireType === VARINT) type = value;
    if (field === RESPONSE && wireType === LENGTH) readResponse(value, response);
    if (OTHER_DATA.has(field) && wireType === LENGTH) response = emptyResponse();
  }
  return type === SERVER_RESPONSE_ANIMATION ? response : emptyResponse();
}
