// What the page holds: unpacked once, then asked by time. All times are milliseconds.

export const MOVING = 1;
export const FRAME = 40;
export const STATUS = [
  "idle: nothing is played",
  "moving",
  "still: motion is missing while the audio plays",
  "still: audio-only",
  "paused",
  "stalled: the audio waits for motion",
];
// The places of those in which the face should move, and does not.
export const STILL = [2, 3, 5];
export const STATUS_SHORT = ["idle", "moving", "still", "audio-only", "paused", "stalled"];

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export async function unpack(packed) {
  const stream = new Blob([fromBase64(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// The last index whose value is at most `value`; -1 if there is none.
export function lastAtMost(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class Tape {
  constructor(values) {
    Object.assign(this, values);
    this.curves = fromBase64(values.payloads.curves);
    this.serverAt = values.server.map((one) => one[0]);
    this.spokenAt = values.spoken.map((one) => one[0]);
    this.spokenLevels = values.spoken.map((one) => fromBase64(one[1]));
    for (const client of this.clients) {
      client.begins = client.conversations.map((one) => one.at);
      client.levels = client.conversations.map((one) => fromBase64(one.levels));
      const known = this.clients.some((one) => one.requests?.length);
      client.wanted = known ? new Set(client.requests) : this.requestsOf(client);
    }
  }

  // The requests whose motion was passed on to a client, if nobody knows whose they are; with one client, all.
  requestsOf(client) {
    if (this.clients.length < 2) return null;
    const { name } = client;
    const payloads = new Set();
    this.events.payload.forEach((payload, index) => {
      if (payload >= 0 && this.texts[this.events.connection[index]] === name) payloads.add(payload);
    });
    return new Set(this.server.filter((one) => payloads.has(one[1])).map((one) => one[3]));
  }

  // The values of a keyframe by channel; null for none.
  channels(keyframe) {
    if (keyframe < 0) return null;
    const found = {};
    this.payloads.channels.forEach((name, channel) => {
      const [least, most] = this.payloads.ranges[channel];
      found[name] = least + (this.curves[channel * this.payloads.keyframes + keyframe] / 255) * (most - least);
    });
    return found;
  }

  jaw(keyframe) {
    return keyframe < 0 ? 0 : this.curves[keyframe] / 255;
  }

  // The keyframe that Motion Server's motion asks for at a moment; -1 for none.
  serverKeyframe(time, client) {
    const last = lastAtMost(this.serverAt, time);
    for (let index = last; index >= Math.max(0, last - 200); index -= 1) {
      const [begin, payload, , request] = this.server[index];
      if (client && client.wanted && !client.wanted.has(request)) continue;
      const frame = Math.floor((time - begin) / FRAME);
      if (frame < this.payloads.counts[payload]) return this.payloads.starts[payload] + frame;
    }
    return -1;
  }

  // What a client shows at a moment.
  clientState(client, time) {
    const index = client ? lastAtMost(client.at, time) : -1;
    if (index < 0) return { keyframe: -1, status: 0, cause: "", buffered: 0, level: 0 };
    const conversation = lastAtMost(client.begins, time);
    const heard = client.heard[index];
    const level = heard >= 0 && conversation >= 0 ? client.levels[conversation][heard] || 0 : 0;
    return {
      keyframe: client.keyframe[index],
      status: client.status[index],
      cause: client.causes[client.cause[index]],
      buffered: client.buffered[index],
      level: level / 255,
    };
  }

  // How loud the audio is that came to Motion Server, as it would be heard.
  spokenLevel(time) {
    const last = lastAtMost(this.spokenAt, time);
    if (last < 0) return 0;
    const window = Math.floor((time - this.spokenAt[last]) / FRAME);
    return (this.spokenLevels[last][window] || 0) / 255;
  }

  event(index) {
    const columns = this.events;
    return {
      index,
      at: columns.at[index],
      source: this.lanes[columns.source[index]],
      target: columns.target[index] < 0 ? "" : this.lanes[columns.target[index]],
      kind: this.kinds[columns.kind[index]],
      words: this.texts[columns.words[index]],
      connection: this.texts[columns.connection[index]],
      turn: this.texts[columns.turn[index]],
      size: columns.size[index],
      head: this.heads[columns.head[index]],
    };
  }
}
