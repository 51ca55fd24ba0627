/**
 * Attaches a client to the client suite by the testee protocol, version 1, which testee-protocol.md of spatius-sim specifies.
 *
 * An *adapter* tells the shim all that it needs to know of a client:
 *
 *     {
 *       name: "my client",
 *       clock: "virtual",                            // or "real": then `advance` only waits
 *       modes: ["audioIndependent", "strictSync"],   // [] if the client knows no modes
 *       create({ sampleRate, mode }),                // a fresh client; may return a promise
 *       observe(client),                             // returns what the client can tell: state, samplesPlayed,
 *                                                    // keyframesRendered (since the last call), stalled
 *       lacks: ["observe.stalled"],                  // optional: what the client cannot tell or do
 *       sampleRates: [16000],                        // optional: the rates that the client knows, in Hz
 *       dispose(client),                             // optional: called before the next client is created
 *     }
 *
 * The client itself has AvatarKit's methods: yieldAudioData, yieldFramesData, getCurrentConversationId, interrupt, pause,
 * resume, and `advance(milliseconds)` if its clock is virtual. The shim answers "unimplemented" for a method that the client lacks.
 */

const PROTOCOL = 1;
const METHODS = ["yieldAudioData", "yieldFramesData", "interrupt", "pause", "resume", "advance"];

function fromBase64(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = characters.charCodeAt(at);
  return bytes;
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Returns a function that turns the text of a request into the text of its answer. */
export function testee(adapter) {
  let client = null;

  const requests = {
    hello: () => ({
      protocol: PROTOCOL,
      name: adapter.name,
      clock: adapter.clock,
      modes: adapter.modes,
      lacks: adapter.lacks ?? [],
      sampleRates: adapter.sampleRates ?? [],
    }),
    reset: async ({ sampleRate, mode }) => {
      if (client) await adapter.dispose?.(client);
      client = await adapter.create({ sampleRate, mode });
      if (adapter.clock === "virtual" && !client.advance && !adapter.lacks?.includes("advance")) {
        throw new Error('the client has no method advance(milliseconds): say clock: "real"');
      }
      return {};
    },
    yieldAudioData: async ({ audio, end }) => ({
      conversationId: (await client.yieldAudioData(fromBase64(audio), end)) ?? null,
    }),
    yieldFramesData: async ({ frames, conversationId }) => {
      await client.yieldFramesData(frames?.map(fromBase64), conversationId);
      return {};
    },
    advance: async ({ ms }) => {
      await (adapter.clock === "real" ? wait(ms) : client.advance(ms));
      return {};
    },
    observe: async () => {
      const observed = await adapter.observe(client);
      if (client.getCurrentConversationId) {
        observed.conversationId = (await client.getCurrentConversationId()) ?? null;
      }
      return observed;
    },
  };
  for (const name of ["interrupt", "pause", "resume"]) {
    requests[name] = async () => {
      await client[name]();
      return {};
    };
  }

  const lacks = (request) => {
    if (!Object.hasOwn(requests, request) || adapter.lacks?.includes(request)) return true;
    if (request === "advance" && adapter.clock === "real") return false;
    return METHODS.includes(request) && client !== null && typeof client[request] !== "function";
  };

  return async (text) => {
    const { id, do: request, ...details } = JSON.parse(text);
    if (lacks(request)) return JSON.stringify({ id, unimplemented: true });
    try {
      return JSON.stringify({ id, result: await requests[request](details) });
    } catch (error) {
      return JSON.stringify({ id, error: String(error?.stack ?? error) });
    }
  };
}

/** Node: answers the lines of stdin on stdout, until stdin ends. What the client logs goes to stderr. */
export async function serveStdio(adapter) {
  const { createInterface } = await import("node:readline");
  const { Console } = await import("node:console");
  globalThis.console = new Console(process.stderr, process.stderr);
  const answer = testee(adapter);
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.trim()) process.stdout.write(`${await answer(line)}\n`);
  }
  process.stdout.write("", () => process.exit()); // Otherwise a timer of the client would keep the process alive.
}

/**
 * Browsers, phones, and Node from 22 on: connects to the kit, which listens, and answers until the socket is closed.
 *
 * @returns {Promise<void>} resolves when the socket has closed; rejects if it never opened
 */
export function serveWebSocket(adapter, url) {
  return new Promise((resolve, reject) => {
    const answer = testee(adapter);
    const socket = new WebSocket(url);
    let opened = false;
    socket.onopen = () => (opened = true);
    socket.onmessage = async ({ data }) => {
      try {
        socket.send(await answer(data));
      } catch (error) {
        reject(error); // That was no request: after it no answer would be in turn.
        socket.close();
      }
    };
    socket.onclose = () => (opened ? resolve() : reject(new Error(`nobody listens at ${url}`)));
  });
}
