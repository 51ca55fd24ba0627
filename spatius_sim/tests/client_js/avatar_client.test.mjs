import assert from "node:assert/strict";
import { test } from "node:test";

import { AvatarClient, Mode, Reason, State } from "../../../conformance/client/js/avatar_client.js";
import { names, number, payload } from "./envelopes.mjs";

const RATE = 16000;
const audio = (seconds) => new Uint8Array(seconds * RATE * 2);
const RUBBISH = Uint8Array.of(0xff);

/** A client, and what it reported since the last look. */
function spoken(options = {}) {
  const heard = { states: [], shown: [], stalls: [], errors: [] };
  const client = new AvatarClient({
    sampleRate: RATE,
    onConversationState: (state, reason) => heard.states.push([state, reason]),
    onKeyframe: (index, keyframe) => heard.shown.push([index, keyframe.translation[0]]),
    onStall: (stalled) => heard.stalls.push(stalled),
    onError: (code) => heard.errors.push(code),
    ...options,
  });
  const look = (what) => heard[what].splice(0);
  return { client, look, shown: () => look("shown").map(([, name]) => name) };
}

test("a round from its first chunk to its end", () => {
  const { client, look, shown } = spoken();
  assert.equal(client.getCurrentConversationId(), null);
  const id = client.yieldAudioData(audio(0.5), false);
  assert.ok(id);
  assert.equal(client.yieldAudioData(audio(0.5), true), id);
  assert.equal(client.getCurrentConversationId(), id);
  client.yieldFramesData([payload(names(1, 20)), payload(names(21, 5), { end: true })], id);
  client.advance(999);
  assert.deepEqual(shown(), names(1, 25));
  assert.equal(client.samplesPlayed, RATE - 16);
  assert.deepEqual(look("states"), [[State.PLAYING, null]]);
  client.advance(1);
  assert.deepEqual(look("states"), [[State.IDLE, Reason.PLAYBACK_END]]);
  assert.equal(client.samplesPlayed, RATE);
});

test("keyframe k is shown at k / 25 s of the audio clock, and not before", () => {
  const { client, look } = spoken();
  const id = client.yieldAudioData(audio(1), true);
  client.yieldFramesData([payload(names(1, 25))], id);
  assert.deepEqual(look("shown"), [[0, 1]]);
  client.advance(39);
  assert.deepEqual(look("shown"), []);
  client.advance(1);
  assert.deepEqual(look("shown"), [[1, 2]]);
  client.pause();
  client.advance(5000);
  assert.deepEqual(look("shown"), []);
  client.resume();
  client.advance(80);
  assert.deepEqual(look("shown"), [[2, 3], [3, 4]]);
});

test("ids are new for every round", () => {
  const { client } = spoken();
  const ids = new Set();
  for (let round = 0; round < 4; round += 1) {
    ids.add(client.yieldAudioData(audio(0.1), true));
    if (round === 2) client.interrupt();
  }
  assert.equal(ids.size, 4);
  assert.notEqual(new AvatarClient().yieldAudioData(audio(0.1)), new AvatarClient().yieldAudioData(audio(0.1)));
});

test("empty audio opens no round, and an empty end mark closes one", () => {
  const { client } = spoken();
  assert.equal(client.yieldAudioData(audio(0), true), null);
  assert.equal(client.getCurrentConversationId(), null);
  const id = client.yieldAudioData(audio(0.1), false);
  client.advance(200);
  assert.equal(client.state, State.PLAYING);
  assert.equal(client.yieldAudioData(audio(0), true), id);
  assert.equal(client.state, State.IDLE);
});

test("without an end mark it never returns to idle", () => {
  const { client } = spoken();
  client.yieldAudioData(audio(1), false);
  client.advance(60_000);
  assert.equal(client.state, State.PLAYING);
  assert.equal(client.samplesPlayed, RATE);
});

test("a sample may be cut in two by chunks", () => {
  const { client } = spoken();
  const bytes = audio(0.1);
  const id = client.yieldAudioData(bytes.subarray(0, 999), false);
  assert.equal(client.yieldAudioData(bytes.subarray(999), true), id);
  client.advance(100);
  assert.equal(client.samplesPlayed, RATE / 10);
});

test("motion is discarded for a reason that can be read", () => {
  const { client, shown } = spoken();
  client.yieldFramesData([payload([1])], "early");
  const old = client.yieldAudioData(audio(1), true);
  const id = client.yieldAudioData(audio(1), true);
  for (const wrong of [old, `${id} `, id.slice(0, -1), "", null, undefined]) client.yieldFramesData([payload([2])], wrong);
  client.yieldFramesData([payload([3]), RUBBISH, payload([4])], id);
  client.interrupt();
  client.yieldFramesData([payload([5])], id);
  const sung = client.yieldAudioData(audio(1), true);
  client.yieldFramesData([payload([6])], id);
  client.yieldFramesData([], sung);
  client.yieldFramesData([payload([7]), payload([8])], sung);
  assert.deepEqual(client.discarded, { mismatched: 6, noConversation: 1, interrupted: 2, audioOnly: 2, undecodable: 2 });
  assert.deepEqual(shown(), [3]);
  const reasons = client.trace.filter(({ what }) => what === "discard").map(({ reason }) => reason);
  assert.deepEqual(new Set(reasons), new Set(Object.keys(client.discarded)));
});

for (const nothing of [[], null, undefined]) {
  test(`no motion (${JSON.stringify(nothing)}) is audio-only for the rest of this conversation and no longer`, () => {
    const { client, look, shown } = spoken();
    const id = client.yieldAudioData(audio(1), true);
    client.yieldFramesData(nothing, "another");
    assert.equal(client.audioOnly, false);
    client.yieldFramesData([payload(names(1, 2))], id);
    client.yieldFramesData(nothing, id);
    client.yieldFramesData([payload(names(3, 23))], id);
    assert.equal(client.audioOnly, true);
    client.advance(999);
    assert.deepEqual(shown(), [1]);
    assert.equal(client.state, State.PLAYING);
    client.advance(1);
    assert.deepEqual(look("states").at(-1), [State.IDLE, Reason.PLAYBACK_END]);
    const next = client.yieldAudioData(audio(1), true);
    client.yieldFramesData([payload([9])], next);
    assert.deepEqual(shown(), [9]);
  });
}

test("undecodable motion: told as an error, and the audio plays to its end", () => {
  for (const mode of Object.values(Mode)) {
    const { client, look, shown } = spoken({ mode });
    const id = client.yieldAudioData(audio(1), true);
    client.yieldFramesData([payload([1]), RUBBISH], id);
    client.yieldFramesData(["no bytes"], id);
    client.advance(1000);
    assert.deepEqual(look("errors"), ["invalidAnimationData"]);
    assert.deepEqual(shown(), [1]);
    assert.deepEqual([client.state, client.samplesPlayed], [State.IDLE, RATE]);
  }
});

test("the payload's own request id is never compared, and unknown fields are tolerated", () => {
  const { client, shown } = spoken();
  const id = client.yieldAudioData(audio(1), true);
  client.yieldFramesData([payload([1], { reqId: "foreign", extra: number(99, 1), around: number(77, 1) }).buffer], id);
  assert.deepEqual(shown(), [1]);
});

test("interrupt clears audio and motion", () => {
  const { client, look, shown } = spoken();
  const id = client.yieldAudioData(audio(1), true);
  client.yieldFramesData([payload(names(1, 25))], id);
  client.advance(100);
  client.interrupt();
  assert.equal(client.getCurrentConversationId(), null);
  client.advance(1000);
  assert.deepEqual(shown(), [1, 2, 3]);
  assert.deepEqual(look("states"), [[State.PLAYING, null], [State.IDLE, Reason.USER_ACTION]]);
  client.interrupt();
  assert.deepEqual(look("states"), []);
});

test("pause and resume lose nothing, and do nothing where there is nothing to do", () => {
  const { client, look, shown } = spoken();
  client.pause();
  client.resume();
  const id = client.yieldAudioData(audio(0.5), false);
  client.resume();
  client.pause();
  client.pause();
  client.advance(1000);
  client.yieldFramesData([payload(names(1, 25))], id);
  client.yieldAudioData(audio(0.5), true);
  assert.deepEqual([client.samplesPlayed, shown()], [0, []]);
  client.resume();
  client.advance(1000);
  assert.deepEqual([client.samplesPlayed, shown()], [RATE, names(1, 25)]);
  const { PLAYING, PAUSED, IDLE } = State;
  assert.deepEqual(look("states").map(([state]) => state), [PLAYING, PAUSED, PLAYING, IDLE]);
});

test("audioIndependent: late motion catches up", () => {
  const { client, look } = spoken();
  const id = client.yieldAudioData(audio(1), true);
  client.advance(210);
  client.yieldFramesData([payload(names(1, 3))], id);
  assert.deepEqual(look("shown"), []);
  client.yieldFramesData([payload(names(4, 22))], id);
  assert.deepEqual(look("shown"), [[5, 6]]);
  client.advance(790);
  assert.deepEqual(look("shown").at(-1), [24, 25]);
  assert.deepEqual(look("stalls"), []);
});

test("strictSync: the audio stalls where a keyframe is missing, and says so", () => {
  const { client, look, shown } = spoken({ mode: Mode.STRICT_SYNC });
  const id = client.yieldAudioData(audio(1.01), true);
  assert.deepEqual([client.state, client.stalled], [State.PLAYING, true]);
  client.advance(3000);
  assert.equal(client.samplesPlayed, 0);
  client.yieldFramesData([payload(names(1, 5))], id);
  assert.equal(client.stalled, false);
  client.advance(1000);
  assert.deepEqual([client.samplesPlayed, client.stalled], [RATE / 5, true]);
  client.yieldFramesData([payload(names(6, 20))], id);
  client.advance(809);
  assert.deepEqual([client.state, client.stalled], [State.PLAYING, false]); // the rest of the audio owes no keyframe
  client.advance(1);
  assert.equal(client.state, State.IDLE);
  assert.deepEqual(shown(), names(1, 25));
  assert.deepEqual(look("stalls"), [true, false, true, false]);
});

test("strictSync: audio-only, an interrupt and a new round end a stall", () => {
  const { client, look } = spoken({ mode: Mode.STRICT_SYNC });
  const id = client.yieldAudioData(audio(1), true);
  client.yieldFramesData([], id);
  client.advance(1000);
  assert.equal(client.state, State.IDLE);
  client.yieldAudioData(audio(1), true);
  client.yieldAudioData(audio(1), true);
  client.interrupt();
  assert.deepEqual(look("stalls"), [true, false, true, false, true, false]);
});

test("with a clock of its own it follows that clock at every call", () => {
  let time = 5000;
  const { client, shown } = spoken({ now: () => time });
  const id = client.yieldAudioData(audio(1), true);
  client.yieldFramesData([payload(names(1, 25))], id);
  time += 500;
  assert.equal(client.samplesPlayed, RATE / 2);
  time -= 100; // A clock that is set back plays nothing twice.
  assert.equal(client.samplesPlayed, RATE / 2);
  time += 500;
  assert.equal(client.state, State.IDLE);
  assert.deepEqual(shown(), names(1, 25));
  assert.throws(() => client.advance(1));
});

test("positions stay exact over many steps at an odd rate", () => {
  const { client } = spoken({ sampleRate: 22050 });
  client.yieldAudioData(new Uint8Array(22050 * 2 * 7), true);
  for (let step = 0; step < 6999; step += 1) client.advance(1);
  assert.deepEqual([client.state, client.samplesPlayed], [State.PLAYING, 7 * 22050 - 23]);
  client.advance(1);
  assert.deepEqual([client.state, client.samplesPlayed], [State.IDLE, 7 * 22050]);
});

test("a mode that it does not know is refused", () => assert.throws(() => new AvatarClient({ mode: "lax" }), TypeError));
