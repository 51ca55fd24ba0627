/**
 * A small reference client: how AvatarKit decodes audio and motion in Backend Mode, as far as its documents say.
 *
 * Written from the documents alone, independent of the Python model: two implementations that agree are worth more
 * than one. The client renders nothing; it keeps account of what a user would have heard and seen. Plain JavaScript for Node and
 * browsers, with no dependency and no timer: time passes only through `advance`, or, with an own clock (`now`), up to
 * that clock at every call.
 *
 * The life of a conversation (in the documents also "session"):
 *
 *     first non-empty audio  ->  a new id; what still plays is cut off
 *     ... with end = true    ->  the conversation is closed: the next non-empty audio opens another
 *     motion with its id     ->  decoded, appended, played by the clock of the audio: keyframe k at k / 25 s
 *     motion with another id ->  discarded in silence; the reason stands in `discarded` and in `trace`
 *     empty motion           ->  audio-only for the rest of this conversation
 *     interrupt()            ->  audio, motion and id are gone; idle
 *     the end of the audio   ->  the conversation is over; idle. This never comes without an end mark
 */

import { readMotionPayload } from "./motion_payload.js";

export const State = Object.freeze({ IDLE: "idle", PLAYING: "playing", PAUSED: "paused" });

/** Why a state was entered. */
export const Reason = Object.freeze({
  USER_ACTION: "userAction",
  PLAYBACK_END: "playbackEnd",
  FALLBACK_MODE: "fallbackMode",
});

/** What happens to the audio when motion is late. */
export const Mode = Object.freeze({
  AUDIO_INDEPENDENT: "audioIndependent", // it plays on, and motion catches up
  STRICT_SYNC: "strictSync", // it stalls until motion comes
});

/** Why motion was discarded: what AvatarKit does not tell. */
export const Discard = Object.freeze({
  MISMATCHED: "mismatched",
  NO_CONVERSATION: "noConversation",
  INTERRUPTED: "interrupted",
  AUDIO_ONLY: "audioOnly",
  UNDECODABLE: "undecodable",
});

const SECOND = 1_000_000_000; // Positions are whole nanoseconds: sums of them stay exact.
const KEYFRAME = SECOND / 25;
const BYTES_PER_SAMPLE = 2;
const REMEMBERED = 1000; // At most so many entries of the trace, and interrupted ids: a long-lived client must not grow.

let clients = 0;

/** One conversation: its audio, its motion, and how far both were played. */
class Conversation {
  constructor(id, rate) {
    this.id = id;
    this.rate = rate;
    this.closed = false; // its end mark has come
    this.bytes = 0; // of audio; a chunk may end in the middle of a sample
    this.position = 0; // of the audio clock, in nanoseconds
    this.keyframes = [];
    this.nextKeyframe = 0;
    this.broken = false; // some of its motion could not be decoded
    this.motionOver = false; // strictSync need not wait for more
    this.audioOnly = false;
    this.stalled = false;
  }

  get samples() {
    return Math.floor(this.bytes / BYTES_PER_SAMPLE);
  }

  /** Samples played so far. Whole seconds are counted apart: their product would leave the range of exact numbers. */
  get samplesPlayed() {
    const seconds = Math.floor(this.position / SECOND);
    const rest = Math.floor(((this.position % SECOND) * this.rate) / SECOND);
    return Math.min(this.samples, seconds * this.rate + rest);
  }

  /** The position at which the audio that has come ends, in nanoseconds. */
  get buffered() {
    const seconds = Math.floor(this.samples / this.rate);
    return seconds * SECOND + Math.ceil(((this.samples % this.rate) * SECOND) / this.rate);
  }

  /** The position at which strictSync must stop for lack of motion: that of the first missing keyframe. */
  get synced() {
    if (this.audioOnly || this.motionOver) return Infinity;
    const owed = Math.floor((this.samples * 25) / this.rate);
    if (this.closed && this.keyframes.length >= owed) return Infinity;
    return this.keyframes.length * KEYFRAME;
  }

  get over() {
    return this.closed && this.position >= this.buffered;
  }
}

export class AvatarClient {
  #conversation = null;
  #conversations = 0;
  #name;
  #interrupted = new Set();
  #state = State.IDLE;
  #reason = null;
  #last = 0; // reading of the own clock at the last call
  #time = 0;
  #played = 0; // samples of the last conversation

  /**
   * @param {object} [options]
   * @param {number} [options.sampleRate] of the audio, mono s16le
   * @param {string} [options.mode] a Mode
   * @param {() => number} [options.now] a clock of its own, in milliseconds; without it, `advance` is the clock
   * @param {(state: string, reason: string | null) => void} [options.onConversationState]
   * @param {(stalled: boolean) => void} [options.onStall] strictSync: the audio waits for motion, or waits no more
   * @param {(code: string, detail: string) => void} [options.onError]
   * @param {(index: number, keyframe: object) => void} [options.onKeyframe] a keyframe is shown
   */
  constructor(options = {}) {
    this.sampleRate = options.sampleRate ?? 16000;
    this.mode = options.mode ?? Mode.AUDIO_INDEPENDENT;
    if (!Object.values(Mode).includes(this.mode)) throw new TypeError(`no such mode: ${this.mode}`);
    this.options = options;
    this.#name = `c${++clients}-${Math.random().toString(36).slice(2, 10)}`;
    this.#last = options.now?.() ?? 0;
    this.discarded = Object.fromEntries(Object.values(Discard).map((reason) => [reason, 0])); // payloads, by reason
    this.trace = [];
  }

  get state() {
    this.#catchUp();
    return this.#state;
  }

  get reason() {
    this.#catchUp();
    return this.#reason;
  }

  get stalled() {
    this.#catchUp();
    return this.#conversation?.stalled ?? false;
  }

  /** Samples played of the current conversation, or of the last conversation until the next begins. */
  get samplesPlayed() {
    this.#catchUp();
    return this.#conversation?.samplesPlayed ?? this.#played;
  }

  get audioOnly() {
    this.#catchUp();
    return this.#conversation?.audioOnly ?? false;
  }

  /** The active id; null before the first audio, after an interrupt, and when the conversation is over. */
  getCurrentConversationId() {
    this.#catchUp();
    return this.#conversation?.id ?? null;
  }

  /**
   * Takes one chunk of a conversation's audio; `end` marks the last chunk, which may be empty. Empty audio opens no
   * conversation.
   *
   * @param {ArrayBuffer | ArrayBufferView} audio
   * @param {boolean} [end]
   * @returns {string | null} the conversationId that motion for this audio must bear; null for empty audio if there is none
   */
  yieldAudioData(audio, end = false) {
    this.#catchUp();
    const bytes = audio.byteLength;
    if (bytes && (this.#conversation?.closed ?? true)) this.#open();
    const conversation = this.#conversation;
    if (!conversation) return null;
    conversation.bytes += bytes;
    conversation.closed ||= end;
    this.#note("audio", { conversation: conversation.id, bytes, end });
    if (this.#state === State.IDLE && conversation.samples) this.#enter(State.PLAYING, null);
    this.#play(0);
    return conversation.id;
  }

  /**
   * Takes motion: a list of encoded payloads. Never throws, whatever the list holds.
   *
   * @param {(Uint8Array | ArrayBuffer)[] | null | undefined} frames no list, or an empty one: no motion will come
   * @param {string} conversationId the id that yieldAudioData returned; the req_id in a payload is not compared
   */
  yieldFramesData(frames, conversationId) {
    this.#catchUp();
    const conversation = this.#conversation;
    const count = frames?.length ?? 0;
    const reason = this.#refusal(conversationId);
    if (reason) return this.#discard(reason, count, conversationId);
    if (count === 0) return this.#fallBack();
    for (const [index, payload] of Array.from(frames).entries()) {
      if (!this.#take(payload)) {
        this.#discard(Discard.UNDECODABLE, count - index, conversationId);
        break;
      }
    }
    // Late motion catches up: the keyframe that is due now is shown, earlier keyframes are not.
    const due = Math.floor(conversation.position / KEYFRAME);
    conversation.nextKeyframe = Math.max(conversation.nextKeyframe, Math.min(due, conversation.keyframes.length));
    this.#play(0);
  }

  /** Stops, and forgets audio, motion and id. */
  interrupt() {
    this.#catchUp();
    this.#note("interrupt", { conversation: this.#conversation?.id ?? null });
    if (this.#conversation) {
      this.#interrupted.add(this.#conversation.id);
      if (this.#interrupted.size > REMEMBERED) this.#interrupted.delete(this.#interrupted.values().next().value);
    }
    this.#leave(Reason.USER_ACTION);
  }

  pause() {
    this.#catchUp();
    if (this.#state === State.PLAYING) this.#enter(State.PAUSED, Reason.USER_ACTION);
  }

  resume() {
    this.#catchUp();
    if (this.#state !== State.PAUSED) return;
    this.#enter(State.PLAYING, Reason.USER_ACTION);
    this.#play(0);
  }

  /** Lets so many milliseconds pass; only for a client without a clock of its own. */
  advance(milliseconds) {
    if (this.options.now) throw new Error("this client follows a clock of its own");
    this.#pass(Math.round(milliseconds * 1e6));
  }

  #catchUp() {
    if (!this.options.now) return;
    const now = this.options.now();
    const passed = Math.max(0, Math.round((now - this.#last) * 1e6));
    this.#last = now;
    this.#pass(passed);
  }

  #pass(nanoseconds) {
    this.#time += nanoseconds;
    this.#play(nanoseconds);
  }

  #open() {
    // A conversation that is cut off leaves nothing: its id mismatches from now on.
    if (this.#conversation) this.#stall(false);
    this.#conversation = new Conversation(`${this.#name}-${++this.#conversations}`, this.sampleRate);
  }

  /** Returns why motion with this id cannot be taken, or null. */
  #refusal(id) {
    const conversation = this.#conversation;
    if (conversation && id === conversation.id) {
      if (conversation.audioOnly) return Discard.AUDIO_ONLY;
      return null;
    }
    if (this.#interrupted.has(id)) return Discard.INTERRUPTED;
    return conversation ? Discard.MISMATCHED : Discard.NO_CONVERSATION;
  }

  #discard(reason, payloads, id) {
    this.discarded[reason] += payloads;
    this.#note("discard", { reason, payloads, conversation: id ?? null });
  }

  #fallBack() {
    this.#conversation.audioOnly = true;
    this.#note("audio-only", { conversation: this.#conversation.id });
    if (this.#state !== State.IDLE) this.#enter(this.#state, Reason.FALLBACK_MODE);
    this.#play(0);
  }

  /** Takes one payload; returns false if this payload, or one before it, cannot be decoded. */
  #take(payload) {
    const conversation = this.#conversation;
    // After an undecodable payload nobody knows to which moment the next keyframe belongs: so motion stops for good.
    if (conversation.broken) return false;
    try {
      const motion = readMotionPayload(payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload);
      for (const keyframe of motion.keyframes) conversation.keyframes.push(keyframe);
      conversation.motionOver ||= motion.end;
      return true;
    } catch (error) {
      conversation.broken = conversation.motionOver = true;
      this.options.onError?.("invalidAnimationData", error.message);
      return false;
    }
  }

  /** Plays on for so many nanoseconds, as far as there is audio and, in strictSync, motion. */
  #play(nanoseconds) {
    if (this.#state === State.IDLE) return;
    const conversation = this.#conversation;
    const strict = this.mode === Mode.STRICT_SYNC;
    const end = Math.min(conversation.buffered, strict ? conversation.synced : Infinity);
    if (this.#state === State.PLAYING) {
      conversation.position = Math.max(conversation.position, Math.min(conversation.position + nanoseconds, end));
      this.#show(conversation);
    }
    this.#stall(strict && conversation.position >= conversation.synced && conversation.position < conversation.buffered);
    if (this.#state === State.PLAYING && conversation.over) this.#leave(Reason.PLAYBACK_END);
  }

  /** Shows every keyframe that is due; a keyframe at the very end of the conversation is never due. */
  #show(conversation) {
    const { position, keyframes, audioOnly, closed, buffered } = conversation;
    if (audioOnly) return;
    for (;;) {
      const index = conversation.nextKeyframe;
      if (index >= keyframes.length || index * KEYFRAME > position) return;
      if (closed && index * KEYFRAME >= buffered) return;
      conversation.nextKeyframe += 1;
      this.options.onKeyframe?.(index, keyframes[index]);
    }
  }

  #stall(stalled) {
    if (this.#conversation.stalled === stalled) return;
    this.#conversation.stalled = stalled;
    this.#note(stalled ? "stall" : "stall over", { conversation: this.#conversation.id });
    this.options.onStall?.(stalled);
  }

  #leave(reason) {
    if (this.#conversation) {
      this.#stall(false);
      this.#played = this.#conversation.samplesPlayed;
      this.#conversation = null;
    }
    if (this.#state !== State.IDLE) this.#enter(State.IDLE, reason);
  }

  #enter(state, reason) {
    this.#state = state;
    this.#reason = reason;
    this.#note("state", { state, reason });
    this.options.onConversationState?.(state, reason);
  }

  #note(what, facts) {
    this.trace.push({ at: this.#time / 1e6, what, ...facts });
    if (this.trace.length > REMEMBERED) this.trace.shift();
  }
}
