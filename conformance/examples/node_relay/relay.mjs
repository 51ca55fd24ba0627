// A Backend Mode relay for Node 20 or newer with one dependency, `ws`: as small as one can be that breaks no rule.
//
//     npm install ws && PORT=8765 node relay.mjs
//
// Clients speak the vendor's JSON wire at /ws/agent: mic_audio, mic_end, interrupt and ping go in; ready, avatar_audio,
// avatar_frames, interrupt and error come out. Each turn has an upstream session of its own, so that nothing of an
// earlier turn can come out of it. motion_server.mjs holds the few messages of Motion Server's protocol that it takes.

import { randomUUID } from 'node:crypto';
import { WebSocketServer } from 'ws';
import { MotionSession } from './motion_server.mjs';

const SAMPLE_RATE = 16000;
const MOTION_MS = 10_000;
const settings = {
  console: process.env.SPATIUS_CONSOLE_ENDPOINT,
  ingress: process.env.SPATIUS_INGRESS_ENDPOINT,
  apiKey: process.env.SPATIUS_API_KEY,
  appId: process.env.SPATIUS_APP_ID,
  avatarId: process.env.SPATIUS_AVATAR_ID,
  sampleRate: SAMPLE_RATE,
};

// One utterance: its audio goes to the client and up to Motion Server, and its motion comes down.
class Turn {
  constructor(tell, turnId) {
    this.tell = tell;
    this.turnId = turnId;
    this.over = false;
    this.session = new MotionSession(settings, {
      motion: (payload, last) => this.onMotion(payload, last),
      lost: (reason) => this.fail(reason),
    });
  }

  speak(pcm, end = false) {
    // First to the client: no motion may come before the audio that it belongs to.
    this.tell('avatar_audio', { audio: pcm.toString('base64'), isLast: end, turnId: this.turnId });
    this.session.sendAudio(pcm, end);
    if (end) this.timer = setTimeout(() => this.fail('Motion Server went silent'), MOTION_MS);
  }

  onMotion(payload, last) {
    if (this.over) return;
    // One whole envelope, untouched.
    this.tell('avatar_frames', { frames: [payload.toString('base64')], isLast: last, turnId: this.turnId });
    if (last) this.drop();
  }

  // The client goes on with audio alone when it hears this.
  fail(reason) {
    if (this.over) return;
    this.tell('error', { message: `motion failed: ${reason}`, turnId: this.turnId });
    this.drop();
  }

  drop() {
    this.over = true;
    clearTimeout(this.timer);
    this.session.close();
  }
}

function serve(socket) {
  const tell = (type, fields = {}) => socket.send(JSON.stringify({ type, ...fields }));
  let turn = null;
  let listening = false;
  let turns = 0;
  const dropTurn = () => {
    turn?.drop();
    turn = null;
    listening = false;
  };

  tell('ready', {
    sessionId: randomUUID(),
    avatar: {
      appId: settings.appId,
      avatarId: settings.avatarId,
      outputSampleRate: SAMPLE_RATE,
      inputSampleRate: SAMPLE_RATE,
    },
  });
  socket.on('message', (data) => {
    let message;
    try {
      message = JSON.parse(data);
    } catch (error) {
      return tell('error', { message: `not understood: ${error.message}` });
    }
    switch (message?.type) {
      case 'mic_audio':
        if (!listening) {
          dropTurn(); // New audio starts a new turn, and cuts off what is still playing.
          turn = new Turn(tell, `turn-${++turns}`);
          listening = true;
        }
        return turn.speak(Buffer.from(String(message.audio ?? ''), 'base64'));
      case 'mic_end':
        if (listening) turn.speak(Buffer.alloc(0), true);
        listening = false;
        return undefined;
      case 'interrupt':
        dropTurn();
        return tell('interrupt', { reason: 'asked by the client' });
      case 'ping':
        return tell('pong');
      default:
        return tell('error', { message: 'not understood: no type that is known here' });
    }
  });
  socket.on('close', dropTurn);
  socket.on('error', dropTurn);
}

const port = Number(process.env.PORT ?? 8765);
new WebSocketServer({ host: '127.0.0.1', port, path: '/ws/agent' }).on('connection', serve);
