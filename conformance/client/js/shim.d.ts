/** Types of the shim that attaches a client to the client suite of spatius-sim. */

export type Awaitable<T> = T | Promise<T>;
export type Mode = "audioIndependent" | "strictSync";
export type State = "idle" | "playing" | "paused";

/** AvatarKit's methods. What a client lacks is answered with "unimplemented". */
export interface Client {
  /** Takes mono s16le, perhaps nothing; returns the id of the conversation, or nothing for no change. */
  yieldAudioData?(audio: Uint8Array, end: boolean): Awaitable<string | null | undefined>;
  /** Takes encoded messages; none, or no list at all, means: no motion. */
  yieldFramesData?(frames: Uint8Array[] | undefined, conversationId: string): Awaitable<unknown>;
  getCurrentConversationId?(): Awaitable<string | null | undefined>;
  interrupt?(): Awaitable<unknown>;
  pause?(): Awaitable<unknown>;
  resume?(): Awaitable<unknown>;
  /** Sets a virtual clock forward, in milliseconds. */
  advance?(milliseconds: number): Awaitable<unknown>;
}

/** What can be seen of a client. Leave out what it cannot tell, and name it in `lacks`. */
export interface Observed {
  state?: State;
  /** Samples of the current conversation's audio that have been played; after its end still those of the last
   * one, until the next begins (after an interrupt: any number). */
  samplesPlayed?: number;
  /** `translation[0]` of each keyframe that came onto the face since the last call. */
  keyframesRendered?: number[];
  /** strictSync holds the audio back, because motion is missing. */
  stalled?: boolean;
}

export interface Adapter<C extends Client = Client> {
  name: string;
  /** With "real", `advance` only waits. */
  clock: "virtual" | "real";
  /** None if the client knows no modes. */
  modes: Mode[];
  /** Requests that are not implemented, and members of `observe` that cannot be told, such as "observe.stalled". */
  lacks?: string[];
  /** The rates that the client knows, in Hz; none: all. */
  sampleRates?: number[];
  /** Returns a fresh client, idle. */
  create(settings: { sampleRate: number; mode: Mode }): Awaitable<C>;
  observe(client: C): Awaitable<Observed>;
  /** Called before the next client is created. */
  dispose?(client: C): Awaitable<unknown>;
}

/** Returns a function that turns the text of a request into the text of its answer. */
export function testee<C extends Client>(adapter: Adapter<C>): (request: string) => Promise<string>;

/** Node: answers the lines of stdin on stdout, until stdin ends. */
export function serveStdio<C extends Client>(adapter: Adapter<C>): Promise<void>;

/** Browsers, phones, and Node from 22 on: connects to the judge, which listens, and answers until the socket is closed. */
export function serveWebSocket<C extends Client>(adapter: Adapter<C>, url: string): Promise<void>;
