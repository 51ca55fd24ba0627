import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { referenceAdapter } from "../../../conformance/client/js/reference_adapter.js";
import { serveWebSocket, testee } from "../../../conformance/client/js/shim.js";
import { names, payload } from "./envelopes.mjs";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");

/** Asks a testee as the kit does: numbered requests, in turn. */
function asked(adapter) {
  const answer = testee(adapter);
  let id = 0;
  return async (request, details = {}) => {
    id += 1;
    const { id: answered, ...rest } = JSON.parse(await answer(JSON.stringify({ id, do: request, ...details })));
    assert.equal(answered, id);
    return rest;
  };
}

/** An adapter around an object with just these methods. */
const around = (client, more = {}) => ({ name: "odd", clock: "virtual", modes: [], create: () => client, ...more });

test("the reference client answers a whole dialogue", async () => {
  const ask = asked(referenceAdapter());
  const { result: hello } = await ask("hello", { protocol: 1, unheardOf: true });
  assert.deepEqual([hello.protocol, hello.clock], [1, "virtual"]);
  assert.deepEqual(hello.modes, ["audioIndependent", "strictSync"]);
  assert.deepEqual(await ask("reset", { sampleRate: 16000, mode: "strictSync" }), { result: {} });
  const { result } = await ask("yieldAudioData", { audio: base64(new Uint8Array(32000)), end: true });
  assert.deepEqual(await ask("yieldFramesData", { frames: [base64(payload(names(1, 3)))], ...result }), { result: {} });
  assert.deepEqual(await ask("advance", { ms: 1000 }), { result: {} });
  const seen = { state: "playing", samplesPlayed: 1920, keyframesRendered: [1, 2, 3], stalled: true, ...result };
  assert.deepEqual(await ask("observe"), { result: seen });
  assert.deepEqual(await ask("observe"), { result: { ...seen, keyframesRendered: [] } });
  await ask("pause");
  assert.equal((await ask("observe")).result.state, "paused");
  await ask("resume");
  await ask("interrupt");
  assert.equal((await ask("observe")).result.conversationId, null);
  await ask("reset", { sampleRate: 16000, mode: "audioIndependent" });
  const fresh = { state: "idle", samplesPlayed: 0, keyframesRendered: [], stalled: false, conversationId: null };
  assert.deepEqual(await ask("observe"), { result: fresh });
});

test("what is unknown or lacking is unimplemented, never done", async () => {
  const ask = asked(around({ yieldAudioData: () => "a" }, { observe: () => ({}), lacks: ["observe"] }));
  await ask("reset");
  const lacking = ["dance", "toString", "pause", "resume", "interrupt", "advance", "yieldFramesData", "observe"];
  for (const request of lacking) assert.deepEqual(await ask(request), { unimplemented: true }, request);
  assert.deepEqual((await ask("hello")).result.lacks, ["observe"]);
});

test("a client without advance cannot have a virtual clock", async () => {
  const client = { yieldAudioData: () => "a" };
  assert.match((await asked(around(client))("reset")).error, /no method advance\(milliseconds\): say clock: "real"/);
  for (const more of [{ clock: "real" }, { lacks: ["advance"] }]) {
    assert.deepEqual(await asked(around(client, more))("reset"), { result: {} });
  }
});

test("what the client throws is told, and the testee lives on", async () => {
  const client = {
    yieldFramesData() {
      throw new Error("no such avatar");
    },
    yieldAudioData: () => undefined,
  };
  const ask = asked(around(client));
  assert.match((await ask("yieldAudioData", { audio: "", end: false })).error, /./); // before any reset
  await ask("reset");
  assert.match((await ask("yieldFramesData", { frames: [], conversationId: "" })).error, /no such avatar/);
  assert.deepEqual(await ask("yieldAudioData", { audio: "", end: false }), { result: { conversationId: null } });
});

test("bytes, lists and missing lists arrive as they were sent", async () => {
  const got = [];
  const ask = asked(around({ yieldFramesData: (...what) => got.push(what), yieldAudioData: (...what) => got.push(what) }));
  await ask("reset");
  const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
  await ask("yieldAudioData", { audio: base64(bytes), end: true });
  await ask("yieldFramesData", { frames: [base64(bytes), ""], conversationId: "ü" });
  await ask("yieldFramesData", { frames: null, conversationId: "" });
  assert.deepEqual(got, [[bytes, true], [[bytes, new Uint8Array(0)], "ü"], [undefined, ""]]);
});

test("asynchronous clients are waited for, and each is disposed of before the next", async () => {
  const lived = [];
  const client = { yieldAudioData: async () => "later", getCurrentConversationId: async () => undefined };
  const adapter = around(client, {
    create: async () => lived.push("created") && client,
    dispose: async () => lived.push("disposed"),
    observe: async () => ({ state: "idle" }),
  });
  const ask = asked(adapter);
  await ask("reset");
  await ask("reset");
  assert.deepEqual(lived, ["created", "disposed", "created"]);
  const answer = await ask("yieldAudioData", { audio: "", end: false });
  assert.deepEqual(answer, { result: { conversationId: "later" } });
  assert.deepEqual(await ask("observe"), { result: { state: "idle", conversationId: null } });
});

test("on a real clock, to advance is to wait", async () => {
  const ask = asked(referenceAdapter("real"));
  await ask("reset", { sampleRate: 16000, mode: "audioIndependent" });
  await ask("yieldAudioData", { audio: base64(new Uint8Array(1600)), end: true });
  const before = performance.now();
  assert.deepEqual(await ask("advance", { ms: 60 }), { result: {} });
  assert.ok(performance.now() - before > 55);
  const { result } = await ask("observe");
  assert.deepEqual([result.state, result.samplesPlayed], ["idle", 800]);
});

const { WebSocket } = globalThis;
afterEach(() => (globalThis.WebSocket = WebSocket));

/** Stands in for the browser's WebSocket; `kit` is told when it opens. */
function fakeWebSocket(kit) {
  globalThis.WebSocket = class {
    constructor(url) {
      this.url = url;
      queueMicrotask(() => kit(this));
    }
    close() {
      this.closed = true;
      this.onclose();
    }
  };
}

test("over a WebSocket one text message is one request, until it closes", async () => {
  const answers = [];
  fakeWebSocket((socket) => {
    socket.onopen();
    socket.send = (text) => {
      answers.push([socket.url, JSON.parse(text)]);
      socket.onclose();
    };
    socket.onmessage({ data: '{"id": 3, "do": "dance"}' });
  });
  await serveWebSocket(referenceAdapter(), "ws://127.0.0.1:1");
  assert.deepEqual(answers, [["ws://127.0.0.1:1", { id: 3, unimplemented: true }]]);
});

test("a socket that never opens, or brings rubbish, is an error", async () => {
  fakeWebSocket((socket) => socket.onclose());
  await assert.rejects(serveWebSocket(referenceAdapter(), "ws://127.0.0.1:1"), /nobody listens/);
  fakeWebSocket((socket) => {
    socket.onopen();
    socket.onmessage({ data: "{" });
  });
  await assert.rejects(serveWebSocket(referenceAdapter(), "ws://127.0.0.1:1"), SyntaxError);
});
