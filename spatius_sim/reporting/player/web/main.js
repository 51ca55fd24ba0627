// The player: a clock, two faces, the lanes, and the list of events.
import { FRAME, lastAtMost, STATUS, STILL, Tape, unpack } from "./data.js";
import { drawFace } from "./face.js";
import { describeState, Lanes, seconds } from "./lanes.js";
import { Sound } from "./sound.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];
const ROWS = 40;
const LIST_EVERY = 100;
const LEAST_AROUND = 60;
const MOST_APART = 1500;
const MOST_BEHIND = 1500;

export class Player {
  // `root` is the element of the player. Its parts have ids that begin with its prefix; a page with one player
  // has no prefix, and its address names the moment.
  constructor(root, tape) {
    this.root = root;
    this.prefix = root.dataset.player;
    this.time = 0;
    this.speed = 1;
    this.playing = false;
    this.sound = new Sound();
    this.shown = { version: 0 };
    this.lanes = new Lanes(this.find("lanes"), tape, readStyles());
    this.take(tape);
  }

  // What is played from now on. A live page gives a longer tape now and then; what was chosen stays chosen.
  take(tape) {
    const grown = Boolean(this.tape);
    const before = this.client ? this.client.name : "";
    this.tape = tape;
    this.lanes.take(tape);
    this.runsAt = tape.runs.map((run) => run.at);
    this.client = tape.clients.find((client) => client.name === before) || tape.clients[tape.client] || null;
    if (!grown) this.selected = tape.events.guilty.length ? tape.events.guilty[0] : -1;
    this.listed = "";
    this.fillChoices();
    this.filter();
    if (this.live && this.playing && Math.abs(tape.now - this.time) > MOST_BEHIND) this.time = tape.now;
    this.before = performance.now();
  }

  // Another tape, looked at anew.
  replace(tape) {
    this.selected = -1;
    this.client = null;
    this.take(tape);
    this.lanes.look(0, tape.end);
    this.seek(0);
  }

  // A page that goes on stands at the present moment until somebody pauses it. Who wants little motion starts it.
  goLive() {
    this.live = true;
    this.time = this.tape.now;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!this.playing && !still) this.toggle();
  }

  find(id) {
    return document.getElementById(this.prefix + id);
  }

  put(id, text) {
    if (this.find(id).textContent !== text) this.find(id).textContent = text;
  }

  fill(id, names, all) {
    const choice = this.find(id);
    const chosen = choice.value;
    const options = names.map((name) => new Option(name, name));
    choice.replaceChildren(...(all ? [new Option("all", "")] : []), ...options);
    if (all && names.includes(chosen)) choice.value = chosen;
  }

  start() {
    this.listen();
    this.lanes.resize();
    this.lookAtEvidence();
    this.seek(this.linked() ?? this.firstMoment());
  }

  // All evidence and the first moment are in view from the beginning, with some time around them.
  lookAtEvidence() {
    const { guilty, at } = this.tape.events;
    if (!guilty.length) return;
    const moments = [...guilty.map((index) => at[index]), this.firstMoment()];
    const [first, last] = [Math.min(...moments), Math.max(...moments)];
    const around = Math.max(LEAST_AROUND, (last - first) * 0.25);
    this.lanes.look(first - around, last - first + 2 * around);
  }

  // Without a link, the page begins where the fault shows: where the client's face is still although motion was
  // sent, soon after the evidence; or else at the last evidence. Without evidence it begins at its first moment.
  firstMoment() {
    const { guilty, at } = this.tape.events;
    if (!guilty.length) return 0;
    const moments = guilty.map((index) => at[index]);
    const [first, last] = [Math.min(...moments), Math.max(...moments)];
    for (let time = first; time <= Math.min(this.tape.end, last + MOST_APART); time += FRAME) {
      const moves = this.tape.serverKeyframe(time, this.client) >= 0;
      if (moves && STILL.includes(this.tape.clientState(this.client, time).status)) return time;
    }
    return last;
  }

  linked() {
    if (this.prefix) return null;
    const found = /[#&]t=([0-9.]+)/.exec(location.hash);
    const seconds = found ? Number(found[1]) : NaN;
    return Number.isFinite(seconds) ? seconds * 1000 : null;
  }

  fillChoices() {
    const { tape } = this;
    const { events, kinds } = tape;
    this.fill("client", tape.clients.map((client) => client.name), false);
    if (this.client) this.find("client").value = this.client.name;
    this.fill("connection", unique(events.connection.map((text) => tape.texts[text])), true);
    this.fill("turn", unique(events.turn.map((text) => tape.texts[text])), true);
    this.fill("kind", unique(events.kind.map((kind) => kinds[kind])), true);
    this.fill("run", tape.runs.map((run) => run.name), false);
    this.fill("speed", SPEEDS.map((speed) => `${speed}×`), false);
    this.find("speed").value = `${this.speed}×`;
    this.find("seek").max = tape.end;
    this.find("seek").step = FRAME;
    const audible = tape.clients.some((client) => client.conversations.some((one) => one.pcm));
    const hidden = { client: tape.clients.length < 2, run: tape.runs.length < 2, sound: !audible };
    for (const [id, hide] of Object.entries(hidden)) this.find(id).parentElement.hidden = hide;
    for (const id of ["client-face", "client-words"]) this.find(id).hidden = !tape.clients.length;
    this.find("no-client").hidden = tape.clients.length > 0;
    this.find("ghost-key").hidden = !events.kind.some((kind) => kinds[kind] === "ghost");
    this.find("guilty-key").hidden = !events.guilty.length;
    this.find("late-key").hidden = !tape.late.length;
  }

  listen() {
    this.find("play").onclick = () => this.toggle();
    this.find("back").onclick = () => this.step(-1);
    this.find("next").onclick = () => this.step(1);
    this.find("closer").onclick = () => this.zoom(0.5);
    this.find("wider").onclick = () => this.zoom(2);
    this.find("seek").oninput = () => this.seek(Number(this.find("seek").value));
    this.find("speed").onchange = () => this.setSpeed(parseFloat(this.find("speed").value));
    this.find("sound").onchange = () => this.hear();
    this.find("run").onchange = () => this.seek(this.tape.runs[this.find("run").selectedIndex].at);
    this.find("client").onchange = () => {
      this.client = this.tape.clients[this.find("client").selectedIndex];
      this.hear();
      this.touch();
    };
    for (const id of ["connection", "turn", "kind"]) this.find(id).onchange = () => this.filter();
    this.find("search").oninput = () => this.filter();
    window.addEventListener("hashchange", () => this.seek(this.linked() ?? this.time));
    const parent = this.find("lanes").parentElement;
    const refit = () => parent.clientWidth !== this.lanes.width && this.resize();
    new ResizeObserver(() => requestAnimationFrame(refit)).observe(parent);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
    // The only player of a page hears every key; one of several hears those that are pressed inside it.
    (this.prefix ? this.root : document).addEventListener("keydown", (event) => this.key(event));
    const canvas = this.find("lanes");
    const point = (event) => {
      if (event.buttons & 1) this.seek(this.lanes.time(event.clientX - canvas.getBoundingClientRect().left));
    };
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    };
    canvas.onpointermove = point;
    canvas.onwheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.lanes.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, this.lanes.time(event.offsetX));
      this.touch();
    };
  }

  key(event) {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing) return;
    if (event.key === " " && /^(BUTTON|SUMMARY)$/.test(event.target.tagName)) return;
    const does = {
      " ": () => this.toggle(),
      k: () => this.toggle(),
      ArrowLeft: () => this.seek(this.time - 5000),
      ArrowRight: () => this.seek(this.time + 5000),
      j: () => this.seek(this.time - 10000),
      l: () => this.seek(this.time + 10000),
      ",": () => this.step(-1),
      ".": () => this.step(1),
      "<": () => this.changeSpeed(-1),
      ">": () => this.changeSpeed(1),
      Home: () => this.seek(0),
      End: () => this.seek(this.tape.end),
      "+": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      n: () => this.nextEvent(1),
      p: () => this.nextEvent(-1),
      "/": () => this.find("search").focus(),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  toggle() {
    if (!this.playing && this.time >= this.tape.end) this.seek(this.live ? this.tape.now : 0);
    this.playing = !this.playing && this.tape.end > 0;
    this.before = performance.now();
    this.find("play").textContent = this.playing ? "Pause" : "Play";
    this.hear();
    if (!this.playing) this.link();
    this.touch();
  }

  hear() {
    if (this.playing && this.speed === 1 && this.find("sound").checked) this.sound.play(this.client, this.time);
    else this.sound.stop();
  }

  step(frames) {
    if (this.playing) this.toggle();
    this.seek((Math.round(this.time / FRAME) + frames) * FRAME);
  }

  changeSpeed(step) {
    const index = SPEEDS.indexOf(this.speed) + step;
    if (SPEEDS[index]) {
      this.find("speed").value = `${SPEEDS[index]}×`;
      this.setSpeed(SPEEDS[index]);
    }
  }

  setSpeed(speed) {
    this.speed = speed;
    this.hear();
  }

  zoom(factor) {
    this.lanes.zoom(factor, this.time);
    this.touch();
  }

  seek(time) {
    this.time = Math.min(this.tape.end, Math.max(0, time));
    this.lanes.follow(this.time);
    this.hear();
    if (!this.playing) this.link();
    this.touch();
  }

  // The address always names the moment, a little after the last change.
  link() {
    clearTimeout(this.linking);
    this.linking = setTimeout(() => {
      history.replaceState(null, "", `#t=${(this.time / 1000).toFixed(3).replace(/\.?0+$/, "")}`);
    }, 150);
  }

  nextEvent(step) {
    const { list } = this.shown;
    const here = list.indexOf(this.selected);
    const near = lastAtMost(this.shown.times, this.time);
    const index = list[(here < 0 ? near : here) + step];
    if (index !== undefined) this.select(index);
  }

  select(index) {
    this.selected = index;
    this.listedAt = -LIST_EVERY;
    this.seek(this.tape.events.at[index]);
  }

  filter() {
    const { events, texts, kinds } = this.tape;
    const words = this.find("search").value.toLowerCase();
    const [connection, turn, kind] = ["connection", "turn", "kind"].map((id) => this.find(id).value);
    const list = [];
    for (let index = 0; index < events.at.length; index += 1) {
      if (connection && texts[events.connection[index]] !== connection) continue;
      if (turn && texts[events.turn[index]] !== turn) continue;
      if (kind && kinds[events.kind[index]] !== kind) continue;
      if (words && !texts[events.words[index]].toLowerCase().includes(words)) continue;
      list.push(index);
    }
    const set = new Set(list);
    this.shown = { version: this.shown.version + 1, has: (index) => set.has(index), list };
    this.listedAt = -LIST_EVERY;
    this.shown.times = list.map((index) => events.at[index]);
    this.touch();
  }

  resize() {
    this.lanes.styles = readStyles();
    this.lanes.resize();
    this.touch();
  }

  // A frame is drawn only if something is different.
  touch() {
    this.wanted ??= requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    this.wanted = null;
    if (this.playing) {
      this.time = Math.min(this.tape.end, this.time + Math.max(0, now - this.before) * this.speed);
      this.lanes.follow(this.time);
      if (this.time >= this.tape.end && !this.live) this.toggle();
    }
    this.before = now;
    this.draw();
    if (this.playing && this.time < this.tape.end) this.touch();
  }

  draw() {
    const { tape, time, client } = this;
    const sent = tape.serverKeyframe(time, client);
    drawFace(this.find("server-face"), tape.channels(sent), sent >= 0);
    this.put("server-words", sent >= 0 ? "sends motion" : "has sent no motion for this moment");
    const state = tape.clientState(client, time);
    drawFace(this.find("client-face"), tape.channels(state.keyframe), state.keyframe >= 0);
    this.put("client-words", STATUS[state.status]);
    this.put("cause", state.cause);
    this.find("cause").classList.toggle("waiting", / yet$/.test(state.cause)); // A wait is no fault.
    this.put("buffer", client ? describeState(state) : "");
    this.put("clock", `${seconds(time - tape.zero, 2)} of ${seconds(tape.end - tape.zero, 2)}`);
    if (tape.runs.length > 1) this.find("run").selectedIndex = Math.max(0, lastAtMost(this.runsAt, time));
    this.find("seek").value = time;
    this.find("seek").setAttribute("aria-valuetext", `${seconds(time - tape.zero, 2)}econds`);
    this.lanes.draw(time, client, this.shown, this.selected);
    this.listSoon();
  }

  // The list costs more than a frame, so that it follows the clock ten times a second.
  listSoon() {
    const now = performance.now();
    clearTimeout(this.listing);
    if (now - this.listedAt >= LIST_EVERY) {
      this.list();
      this.listedAt = now;
    } else {
      this.listing = setTimeout(() => this.touch(), LIST_EVERY);
    }
  }

  list() {
    const { list, times } = this.shown;
    const selectedPlace = list.indexOf(this.selected);
    const onSelected = selectedPlace >= 0 && times[selectedPlace] === this.time;
    const now = onSelected ? selectedPlace : lastAtMost(times, this.time);
    const first = Math.max(0, Math.min(now - ROWS / 4, list.length - ROWS));
    const key = `${this.shown.version} ${now} ${this.selected}`;
    if (key === this.listed) return;
    this.listed = key;
    this.put("found", `${list.length.toLocaleString("en")} of ${this.tape.events.at.length.toLocaleString("en")} events`);
    const rows = list.slice(first, first + ROWS).map((index, place) => this.row(index, first + place === now));
    this.find("events").replaceChildren(...rows);
    const current = this.find("events").querySelector("[aria-current]");
    if (current) this.find("events").scrollTop = current.offsetTop - 60;
    this.tell(this.selected >= 0 ? this.selected : list[now]);
  }

  row(index, current) {
    const event = this.tape.event(index);
    const button = document.createElement("button");
    const way = event.target ? `${event.source} → ${event.target}` : event.source;
    button.append(
      piece("at", seconds(event.at - this.tape.zero, 3)),
      piece("who", way),
      piece(`words ${event.kind}`, event.words),
    );
    button.type = "button";
    button.onclick = () => this.select(index);
    const item = document.createElement("li");
    if (current) item.setAttribute("aria-current", "true");
    if (this.tape.events.guilty.includes(index)) item.className = "guilty";
    item.append(button);
    return item;
  }

  tell(index) {
    if (index === undefined || index < 0) return;
    const event = this.tape.event(index);
    const bytes = [...atob(event.head)].map((character) => character.charCodeAt(0));
    const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = bytes.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    this.put("event-words", event.words);
    this.put("event-place", [event.connection, event.turn].filter(Boolean).join(", "));
    this.put("event-size", event.size ? `${event.size.toLocaleString("en")} bytes, the first ${bytes.length}:` : "");
    this.put("event-hex", hex);
    this.put("event-text", text);
  }
}

function readStyles() {
  const style = getComputedStyle(document.documentElement);
  const names = "ink soft line lane card good bad open audio motion end message guilty on-guilty none".split(" ");
  const read = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...read, fault: read.bad, ghost: read.bad, kit: read.soft, connection: read.message };
}

function piece(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function unique(texts) {
  return [...new Set(texts)].filter(Boolean);
}

