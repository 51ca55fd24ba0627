/**
 * Attaches a client to the C suite: the testee protocol, version 1, as ../testee-protocol.md specifies it.
 *
 * What it needs to know of a client is an *adapter*:
 *
 *     {
 *       name: "my client",
 *       clock: "virtual",                            // or "real": then `advance` just waits
 *       modes: ["audioIndependent", "strictSync"],   // [] where the client knows no modes
 *       create({ sampleRate, mode }),                // a fresh client; may return a promise
 *       observe(client),                             // what the client can tell of: state, samplesPlayed,
 *                                                    // keyframesRendered (since the last call), stalled
 *       lacks: ["observe.stalled"],                  // optional: what it cannot tell or do
 *       dispose(client),                             // optional: before the next one is created
 *     }
 *
 * The client itself has AvatarKit's methods: yieldAudioData, yieldFramesData, getCurrentConversationId, interrupt, pause,
 * resume, and `advance(milliseconds)` if its clock is virtual. A method that it lacks is answered "unimplemented".
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

/** A function from the text of a request to the text of its answer. */
export function testee(adapter) {
  let client = null;

  const requests = {
    hello: () => ({
      protocol: PROTOCOL,
      name: adapter.name,
      clock: adapter.clock,
      modes: adapter.modes,
      lacks: adapter.lacks ?? [],
    }),
    reset: async ({ sampleRate, mode }) => {
      if (client) await adapter.dispose?.(client);
      client = await adapter.create({ sampleRate, mode });
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
      const seen = await adapter.observe(client);
      if (client.getCurrentConversationId) {
        seen.conversationId = (await client.getCurrentConversationId()) ?? null;
      }
      return seen;
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

/** Node: answers the lines of stdin on stdout, until stdin ends. Whatever the client logs belongs on stderr. */
export async function serveStdio(adapter) {
  const { createInterface } = await import("node:readline");
  const { Console } = await import("node:console");
  globalThis.console = new Console(process.stderr, process.stderr);
  const answer = testee(adapter);
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line.trim()) process.stdout.write(`${await answer(line)}\n`);
  }
  process.stdout.write("", () => process.exit()); // A client with a timer of its own would live on.
}

/**
 * Browsers, phones, and Node from 22 on: connects to the kit, which listens, and answers until the socket closes.
 *
 * @returns {Promise<void>} kept when the socket has closed; broken when it never opened
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
        reject(error); // That was no request: whatever comes next could only be answered out of turn.
        socket.close();
      }
    };
    socket.onclose = () => (opened ? resolve() : reject(new Error(`nobody listens at ${url}`)));
  });
}
