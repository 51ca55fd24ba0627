// The lanes: who said what to whom, the audio and the motion, on one clock.
import { FRAME, lastAtMost, STATUS_SHORT } from "./data.js";

const LANE = 84;
const TOP = 22;
const LEFT = 104;
const LEFT_NARROW = 64;
const WAVE = 20;
const PIXELS_FOR_AN_ARROW = 4;
const BADGE = 18;
const FONT = "12px system-ui, sans-serif";

export class Lanes {
  constructor(canvas, tape, styles) {
    Object.assign(this, { canvas, tape, styles });
    this.still = document.createElement("canvas");
    this.view = [0, Math.max(tape.end, FRAME)];
    this.drawnFor = "";
  }

  // Another tape is drawn from now on. Who saw all of it sees all of the longer one.
  take(tape) {
    const all = this.view[0] === 0 && this.view[1] >= Math.max(this.tape.end, FRAME);
    const lanes = this.tape.lanes.length;
    this.tape = tape;
    this.guilty = new Map(tape.events.guilty.map((index, place) => [index, place + 1]));
    this.drawnFor = "";
    if (all) this.view = [0, Math.max(tape.end, FRAME)];
    if (lanes !== tape.lanes.length && this.width) this.resize();
  }

  get height() {
    return TOP + LANE * this.tape.lanes.length + 6;
  }

  get left() {
    return this.width < 600 ? LEFT_NARROW : LEFT;
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.parentElement.clientWidth;
    for (const canvas of [this.canvas, this.still]) {
      canvas.width = this.width * ratio;
      canvas.height = this.height * ratio;
    }
    this.canvas.style.height = `${this.height}px`; // By script: the policy forbids style attributes only.
    this.ratio = ratio;
    this.drawnFor = "";
  }

  place(time) {
    const [from, until] = this.view;
    return this.left + ((time - from) / (until - from)) * (this.width - this.left - 8);
  }

  time(place) {
    const [from, until] = this.view;
    return from + ((place - this.left) / (this.width - this.left - 8)) * (until - from);
  }

  lane(index) {
    return TOP + LANE * (index + 0.5);
  }

  // Zoom by a factor so that `time` keeps its place.
  zoom(factor, time) {
    const [from, until] = this.view;
    const length = Math.max(4 * FRAME, (until - from) * factor);
    const share = (time - from) / (until - from);
    this.look(time - length * Math.min(1, Math.max(0, share)), length);
  }

  look(from, wanted) {
    const all = Math.max(this.tape.end, FRAME);
    const length = Math.min(all, wanted);
    const start = Math.max(0, Math.min(from, all - length));
    this.view = [start, start + length];
  }

  follow(time) {
    const [from, until] = this.view;
    if (time < from || time > until) this.look(time - (until - from) * 0.1, until - from);
  }

  draw(time, client, shown, selected) {
    const key = `${this.view} ${this.width} ${client ? client.name : ""} ${shown.version} ${selected}`;
    if (key !== this.drawnFor) {
      this.drawStill(client, shown, selected);
      this.drawnFor = key;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.scale(this.ratio, this.ratio);
    const x = this.place(time);
    context.strokeStyle = this.styles.ink;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, TOP - 4); // Below the figures of the time.
    context.lineTo(x, this.height);
    context.stroke();
    // The moment stands behind everything else, so that it hides no number.
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.still, 0, 0);
  }

  drawStill(client, shown, selected) {
    const context = this.still.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = FONT;
    this.drawGrid(context);
    this.drawLate(context);
    this.drawBeginnings(context);
    this.tape.lanes.forEach((name, index) => this.drawLane(context, name, index, client));
    this.drawMessages(context, shown, selected);
  }

  drawGrid(context) {
    const [from, until] = this.view;
    const steps = [10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 600000];
    const most = Math.max(2, (this.width - this.left) / 80);
    const step = steps.find((one) => (until - from) / one <= most) || 600000;
    context.fillStyle = this.styles.soft;
    context.strokeStyle = this.styles.line;
    context.lineWidth = 1;
    const { zero } = this.tape;
    for (let time = Math.ceil((from - zero) / step) * step; time <= until - zero; time += step) {
      const x = this.place(time + zero);
      context.beginPath();
      context.moveTo(x, TOP - 4);
      context.lineTo(x, this.height);
      context.stroke();
      const words = seconds(time, step < 100 ? 2 : step < 1000 ? 1 : 0);
      // The last one stands left of its line if there is no room on the right.
      const wide = context.measureText(words).width;
      context.fillText(words, x + 2 + wide > this.width ? x - 2 - wide : x + 2, 12);
    }
  }

  // Where the kit itself was late, and its figures of time mean nothing.
  drawLate(context) {
    context.fillStyle = this.styles.open;
    for (const [from, until] of this.tape.late) {
      const start = Math.max(this.left, this.place(from));
      const end = Math.min(this.width - 8, Math.max(start + 3, this.place(until)));
      if (end <= start) continue;
      context.globalAlpha = 0.25;
      context.fillRect(start, TOP - 4, end - start, this.height - TOP);
      context.globalAlpha = 1;
    }
  }

  drawBeginnings(context) {
    context.strokeStyle = context.fillStyle = this.styles.soft;
    context.setLineDash([6, 4]);
    for (const { begins } of this.tape.runs) {
      const x = this.place(begins);
      if (x < this.left || x > this.width - 8) continue;
      context.beginPath();
      context.moveTo(x, TOP - 4);
      context.lineTo(x, this.height);
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawLane(context, name, index, client) {
    const y = this.lane(index);
    if (index % 2) {
      context.fillStyle = this.styles.lane;
      context.globalAlpha = 0.6;
      context.fillRect(0, y - LANE / 2, this.width, LANE);
      context.globalAlpha = 1;
    }
    const shows = client && client.lane === index;
    if (shows) this.drawClient(context, y, client);
    else if (name === "Motion Server") this.drawServer(context, y, client);
    context.strokeStyle = this.styles.soft;
    context.beginPath();
    context.moveTo(this.left, y);
    context.lineTo(this.width - 8, y);
    context.stroke();
    context.fillStyle = this.styles.ink;
    // A name of two words has two lines where one is too narrow.
    const room = this.left - 10;
    const lines = context.measureText(name).width > room ? name.split(" ") : [name];
    lines.forEach((line, at) => context.fillText(line, 4, y + 4 + 14 * (at - (lines.length - 1) / 2), room));
  }

  // Columns of two pixels: what is heard above the line, the jaw below it.
  drawClient(context, y, client) {
    const colours = [null, this.styles.good, this.styles.bad, this.styles.bad, this.styles.soft, this.styles.bad];
    for (let x = this.left; x < this.width - 8; x += 2) {
      const state = this.tape.clientState(client, this.time(x));
      this.bar(context, x, y - 2, -state.level * WAVE, this.styles.audio);
      this.bar(context, x, y + WAVE + 4, -this.tape.jaw(state.keyframe) * WAVE, this.styles.motion);
      const buffer = Math.min(1, state.buffered / 4000);
      if (buffer) this.bar(context, x, y + 40, -buffer * 6, this.styles.message);
      if (colours[state.status]) {
        context.fillStyle = colours[state.status];
        context.fillRect(x, y + WAVE + 6, 2, 5);
      }
    }
  }

  drawServer(context, y, client) {
    for (let x = this.left; x < this.width - 8; x += 2) {
      const time = this.time(x);
      this.bar(context, x, y - 2, -this.tape.spokenLevel(time) * WAVE, this.styles.audio);
      const keyframe = this.tape.serverKeyframe(time, client);
      this.bar(context, x, y + WAVE + 4, -this.tape.jaw(keyframe) * WAVE, this.styles.motion);
    }
  }

  bar(context, x, y, height, colour) {
    if (!height) return;
    context.fillStyle = colour;
    context.fillRect(x, y, 2, height);
  }

  drawMessages(context, shown, selected) {
    const { events, kinds } = this.tape;
    const first = Math.max(0, lastAtMost(events.at, this.view[0] - 1));
    const drawn = new Set();
    const ghosts = [];
    const crowded = lastAtMost(events.at, this.view[1]) - first > this.width / PIXELS_FOR_AN_ARROW;
    for (let index = first; index < events.at.length && events.at[index] <= this.view[1]; index += 1) {
      if (events.at[index] < this.view[0] || !shown.has(index) || this.guilty.has(index)) continue;
      if (kinds[events.kind[index]] === "ghost") {
        ghosts.push(index);
        continue;
      }
      const x = Math.round(this.place(events.at[index]));
      const key = `${x} ${events.source[index]} ${events.target[index]} ${events.kind[index]}`;
      // From afar the waveform says enough of the audio.
      if (crowded && index !== selected && kinds[events.kind[index]] === "audio") continue;
      if (drawn.has(key) && index !== selected) continue;
      drawn.add(key);
      this.drawMessage(context, x, index, index === selected ? 3 : 1.2);
    }
    this.drawGhosts(context, ghosts, this.drawEvidence(context, shown), selected);
  }

  // What never came stands beside the evidence, where it can be seen.
  drawGhosts(context, ghosts, taken, selected) {
    for (const index of ghosts) {
      let x = Math.round(this.place(this.tape.events.at[index]));
      while (taken.some((other) => Math.abs(other - x) < BADGE)) x += BADGE;
      taken.push(x);
      this.drawMessage(context, Math.min(x, this.width - 10), index, index === selected ? 3 : 1.2);
    }
  }

  // Evidence is drawn after the other messages, apart from each other, and each has its number. Returns where.
  drawEvidence(context, shown) {
    const { events } = this.tape;
    let free = -Infinity;
    const taken = [];
    for (const [index, number] of this.guilty) {
      const place = Math.round(this.place(events.at[index]));
      if (!shown.has(index) || place < this.left - 1 || place > this.width - 7) continue;
      const x = Math.min(this.width - 10, Math.max(place, free));
      free = x + BADGE;
      taken.push(x);
      this.drawMessage(context, x, index, 3);
      const [from, to] = [this.lane(events.source[index]), this.lane(events.target[index])];
      this.drawBadge(context, x, events.target[index] < 0 ? from - 16 : (from + to) / 2, number);
    }
    return taken;
  }

  drawBadge(context, x, y, number) {
    context.fillStyle = this.styles.guilty;
    context.beginPath();
    context.arc(x, y, BADGE / 2, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = this.styles["on-guilty"];
    context.textAlign = "center";
    context.font = "700 11px system-ui, sans-serif";
    context.fillText(String(number), x, y + 4);
    context.font = FONT;
    context.textAlign = "start";
  }

  // A message is an arrow from lane to lane, and what stays on a lane a point; a dashed arrow never came.
  drawMessage(context, x, index, width) {
    const { events, kinds } = this.tape;
    const [source, target, kind] = [events.source[index], events.target[index], kinds[events.kind[index]]];
    const from = this.lane(source);
    const colour = this.guilty.has(index) || width > 2 ? this.styles.guilty : this.styles[kind];
    context.strokeStyle = context.fillStyle = colour || this.styles.message;
    context.lineWidth = width;
    context.beginPath();
    if (target < 0) {
      context.arc(x, from, 3 + width / 2, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    const to = this.lane(target);
    const back = to > from ? -8 : 8;
    context.setLineDash(kind === "ghost" ? [2, 4] : []);
    if (kind === "ghost") context.lineWidth = 3;
    context.moveTo(x, from);
    context.lineTo(x, to);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(x, to);
    context.lineTo(x - 4, to + back);
    context.lineTo(x + 4, to + back);
    if (kind === "ghost") context.stroke();
    else context.fill();
  }
}

export function describeState(state) {
  return `${STATUS_SHORT[state.status]}, ${(state.buffered / 1000).toFixed(1)} s of motion in the buffer`;
}

export function seconds(milliseconds, digits) {
  return `${(milliseconds / 1000).toFixed(digits)} s`;
}
