// What a relay needs of Motion Server's protocol: a session token, and a session with its few protobuf messages.
// Motion itself is passed on as it comes; only its req_id and its end mark are read.

import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';

const CONFIGURE = 1;
const CONFIRM = 2;
const AUDIO = 3;
const ERROR = 4;
const MOTION = 5;
const TOKEN_SECONDS = 300;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-';

export class MotionSession {
  // `motion(payload, last)` for each payload, `lost(reason)` when no more will come.
  constructor(settings, { motion, lost }) {
    this.reqId = newReqId();
    this.waiting = []; // What is said before the session is confirmed.
    this.confirmed = false;
    this.closed = false;
    this.motion = motion;
    this.lost = (reason) => this.closed || lost(reason);
    this.open(settings).catch((error) => this.lost(error.message));
  }

  async open(settings) {
    const token = await askForToken(settings);
    if (this.closed) return;
    const url = `${settings.ingress}/websocket?id=${encodeURIComponent(settings.avatarId)}`;
    const headers = { 'X-App-ID': settings.appId, 'X-Session-Key': token };
    this.socket = new WebSocket(url, { headers });
    this.socket.on('open', () => this.socket.send(configureSession(settings.sampleRate)));
    this.socket.on('message', (data) => {
      try {
        this.hear(data);
      } catch (error) {
        this.lost(error.message);
      }
    });
    this.socket.on('error', (error) => this.lost(error.message));
    this.socket.on('close', (code) => this.lost(`Motion Server closed the session with ${code}`));
  }

  hear(data) {
    const message = readMessage(data);
    if (message.type === CONFIRM) {
      this.confirmed = true;
      for (const frame of this.waiting.splice(0)) this.socket.send(frame);
    } else if (message.type === MOTION && message.reqId === this.reqId) {
      this.motion(data, message.end);
    } else if (message.type === ERROR) {
      this.lost(message.text);
    }
  }

  sendAudio(pcm, end) {
    const frame = audioInput(this.reqId, pcm, end);
    if (!this.confirmed) this.waiting.push(frame);
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(frame);
  }

  close() {
    this.closed = true;
    this.socket?.close();
  }
}

async function askForToken({ console: endpoint, apiKey }) {
  const expireAt = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  const answer = await fetch(`${endpoint}/session-tokens`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Api-Key': apiKey },
    body: JSON.stringify({ expireAt }),
  });
  if (!answer.ok) throw new Error(`no session token: HTTP ${answer.status}`);
  return (await answer.json()).sessionToken;
}

// 20251223042742_Oja7E-8NzYGi: UTC and twelve characters.
function newReqId() {
  const now = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  return `${now}_${Array.from(randomBytes(12), (byte) => ALPHABET[byte % 64]).join('')}`;
}

const configureSession = (sampleRate) => envelope(CONFIGURE, 2, Buffer.concat([number(1, sampleRate)]));

const audioInput = (reqId, pcm, end) =>
  envelope(AUDIO, 4, Buffer.concat([bytes(1, Buffer.from(reqId)), number(2, end ? 1 : 0), bytes(3, pcm)]));

const envelope = (type, field, body) => Buffer.concat([number(1, type), bytes(field, body)]);

function varint(value) {
  const out = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 128);
  return Buffer.from([...out, value]);
}

const number = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);

const bytes = (field, value) => Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);

// {type, reqId, end, text}: fields of the message and of the one message inside it.
function readMessage(data) {
  const outer = readFields(data, (before, more) => Buffer.concat([before, more])); // Parts of a message are merged.
  const inner = readFields(outer.get(6) ?? outer.get(5) ?? Buffer.alloc(0));
  return {
    type: outer.get(1) ?? 0,
    reqId: String(inner.get(2) ?? ''),
    end: inner.get(3) === 1,
    text: String(inner.get(4) ?? ''),
  };
}

// By field number; where a field stands there again, the last one counts, or `merged` says what does.
function readFields(data, merged = (before, more) => more) {
  const fields = new Map();
  let at = 0;
  const next = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = data[at++];
      if (byte === undefined) throw new Error('Motion Server sent a message that breaks off');
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const tag = next();
    const field = Math.floor(tag / 8);
    if (tag % 8 === 0) fields.set(field, next());
    else if (tag % 8 === 2) {
      const length = next();
      const value = data.subarray(at, at + length);
      fields.set(field, fields.has(field) ? merged(fields.get(field), value) : value);
      at += length;
    } else at += tag % 8 === 1 ? 8 : 4;
  }
  return fields;
}
