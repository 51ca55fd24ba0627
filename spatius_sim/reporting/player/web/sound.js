// The sound of one client, where the tape keeps it.
import { fromBase64 } from "./data.js";

export class Sound {
  constructor() {
    this.sources = [];
  }

  play(client, time) {
    this.stop();
    if (!client) return;
    this.context = this.context || new AudioContext();
    for (const conversation of client.conversations) {
      const left = conversation.at + conversation.seconds * 1000 - time;
      if (!conversation.pcm || left <= 0) continue;
      conversation.buffer = conversation.buffer || this.read(conversation);
      const source = this.context.createBufferSource();
      source.buffer = conversation.buffer;
      source.connect(this.context.destination);
      const wait = Math.max(0, conversation.at - time) / 1000;
      source.start(this.context.currentTime + wait, Math.max(0, time - conversation.at) / 1000);
      this.sources.push(source);
    }
  }

  read(conversation) {
    const bytes = fromBase64(conversation.pcm);
    const samples = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    const buffer = this.context.createBuffer(1, samples.length, conversation.rate);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    return buffer;
  }

  stop() {
    for (const source of this.sources) source.stop();
    this.sources = [];
  }
}
