// The player: a clock, two faces, the lanes, and the list of events.
import { FRAME, lastAtMost, STATUS, Tape, unpack } from "./data.js";
import { drawFace } from "./face.js";
import { describeState, Lanes } from "./lanes.js";
import { Sound } from "./sound.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];
const ROWS = 40;
const LIST_EVERY = 100;
const find = (id) => document.getElementById(id);

class Player {
  constructor(tape) {
    this.tape = tape;
    this.time = 0;
    this.speed = 1;
    this.playing = false;
    this.selected = tape.events.guilty.length ? tape.events.guilty[0] : -1;
    this.client = tape.clients[0] || null;
    this.sound = new Sound();
    const all = tape.events.at.map((_, index) => index);
    this.shown = { version: 0, has: () => true, list: all, times: tape.events.at };
    this.lanes = new Lanes(find("lanes"), tape, readStyles());
    this.listed = "";
    this.listedAt = -LIST_EVERY;
    this.dirty = true;
  }

  start() {
    this.fillChoices();
    this.listen();
    this.lanes.resize();
    this.seek(this.linked() ?? this.firstMoment());
    requestAnimationFrame((now) => this.frame(now));
  }

  // Without a link, the page begins at the evidence; else at its first moment.
  firstMoment() {
    const { guilty, at } = this.tape.events;
    return guilty.length ? at[guilty[0]] : 0;
  }

  linked() {
    const found = /[#&]t=([0-9.]+)/.exec(location.hash);
    const seconds = found ? Number(found[1]) : NaN;
    return Number.isFinite(seconds) ? seconds * 1000 : null;
  }

  fillChoices() {
    const { tape } = this;
    fill("client", tape.clients.map((client) => client.name), false);
    find("client").parentElement.hidden = tape.clients.length < 2;
    fill("connection", unique(tape.events.connection.map((text) => tape.texts[text])), true);
    fill("turn", unique(tape.events.turn.map((text) => tape.texts[text])), true);
    fill("kind", tape.kinds, true);
    fill("run", tape.runs.map((run) => run.name), false);
    find("run").parentElement.hidden = tape.runs.length < 2;
    fill("speed", SPEEDS.map((speed) => `${speed}×`), false);
    find("speed").value = "1×";
    find("seek").max = tape.end;
    find("seek").step = FRAME;
    const audible = tape.clients.some((client) => client.conversations.some((one) => one.pcm));
    find("sound").parentElement.hidden = !audible;
    find("client-face").hidden = !tape.clients.length;
    find("client-words").hidden = !tape.clients.length;
    find("no-client").hidden = tape.clients.length > 0;
  }

  listen() {
    find("play").onclick = () => this.toggle();
    find("back").onclick = () => this.step(-1);
    find("next").onclick = () => this.step(1);
    find("closer").onclick = () => this.zoom(0.5);
    find("wider").onclick = () => this.zoom(2);
    find("seek").oninput = () => this.seek(Number(find("seek").value));
    find("speed").onchange = () => this.setSpeed(parseFloat(find("speed").value));
    find("sound").onchange = () => this.hear();
    find("run").onchange = () => this.seek(this.tape.runs[find("run").selectedIndex].at);
    find("client").onchange = () => {
      this.client = this.tape.clients[find("client").selectedIndex];
      this.hear();
      this.dirty = true;
    };
    for (const id of ["connection", "turn", "kind"]) find(id).onchange = () => this.filter();
    find("search").oninput = () => this.filter();
    window.onhashchange = () => this.seek(this.linked() ?? this.time);
    window.onresize = () => this.resize();
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.resize();
    document.onkeydown = (event) => this.key(event);
    const canvas = find("lanes");
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
      this.dirty = true;
    };
  }

  key(event) {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (event.key === " " && event.target.tagName === "BUTTON") return;
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
      "/": () => find("search").focus(),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  toggle() {
    if (!this.playing && this.time >= this.tape.end) this.seek(0);
    this.playing = !this.playing && this.tape.end > 0;
    find("play").textContent = this.playing ? "Pause" : "Play";
    this.hear();
    if (!this.playing) this.link();
    this.dirty = true;
  }

  hear() {
    if (this.playing && this.speed === 1 && find("sound").checked) this.sound.play(this.client, this.time);
    else this.sound.stop();
  }

  step(frames) {
    if (this.playing) this.toggle();
    this.seek((Math.round(this.time / FRAME) + frames) * FRAME);
  }

  changeSpeed(step) {
    const index = SPEEDS.indexOf(this.speed) + step;
    if (SPEEDS[index]) {
      find("speed").value = `${SPEEDS[index]}×`;
      this.setSpeed(SPEEDS[index]);
    }
  }

  setSpeed(speed) {
    this.speed = speed;
    this.hear();
  }

  zoom(factor) {
    this.lanes.zoom(factor, this.time);
    this.dirty = true;
  }

  seek(time) {
    this.time = Math.min(this.tape.end, Math.max(0, time));
    this.lanes.follow(this.time);
    this.hear();
    if (!this.playing) this.link();
    this.dirty = true;
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
    const words = find("search").value.toLowerCase();
    const [connection, turn, kind] = ["connection", "turn", "kind"].map((id) => find(id).value);
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
    this.dirty = true;
  }

  resize() {
    this.lanes.styles = readStyles();
    this.lanes.resize();
    this.dirty = true;
  }

  frame(now) {
    if (this.playing) {
      this.time = Math.min(this.tape.end, this.time + (now - this.before) * this.speed);
      this.lanes.follow(this.time);
      this.dirty = true;
      if (this.time >= this.tape.end) this.toggle();
    }
    this.before = now;
    if (this.dirty) this.draw();
    requestAnimationFrame((next) => this.frame(next));
  }

  draw() {
    this.dirty = false;
    const { tape, time, client } = this;
    const sent = tape.serverKeyframe(time, client);
    drawFace(find("server-face"), tape.channels(sent), sent >= 0);
    put("server-words", sent >= 0 ? "sends motion" : "has sent no motion for this moment");
    const state = tape.clientState(client, time);
    drawFace(find("client-face"), tape.channels(state.keyframe), state.keyframe >= 0);
    put("client-words", STATUS[state.status]);
    put("cause", state.cause);
    put("buffer", client ? describeState(state) : "");
    put("clock", `${(time / 1000).toFixed(2)} s of ${(tape.end / 1000).toFixed(2)} s`);
    find("seek").value = time;
    find("seek").setAttribute("aria-valuetext", `${(time / 1000).toFixed(2)} seconds`);
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
      this.listing = setTimeout(() => (this.dirty = true), LIST_EVERY);
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
    put("found", `${list.length.toLocaleString("en")} of ${this.tape.events.at.length.toLocaleString("en")} events`);
    const rows = list.slice(first, first + ROWS).map((index, place) => this.row(index, first + place === now));
    find("events").replaceChildren(...rows);
    const current = find("events").querySelector("[aria-current]");
    if (current) find("events").scrollTop = current.offsetTop - 60;
    this.tell(this.selected >= 0 ? this.selected : list[now]);
  }

  row(index, current) {
    const event = this.tape.event(index);
    const button = document.createElement("button");
    const way = event.target ? `${event.source} → ${event.target}` : event.source;
    button.append(
      piece("at", `${(event.at / 1000).toFixed(3)} s`),
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
    put("event-words", event.words);
    put("event-place", [event.connection, event.turn].filter(Boolean).join(", "));
    put("event-size", event.size ? `${event.size.toLocaleString("en")} bytes, the first ${bytes.length}:` : "");
    put("event-hex", hex);
    put("event-text", text);
  }
}

function readStyles() {
  const style = getComputedStyle(document.documentElement);
  const names = "ink soft line lane good bad audio motion end message guilty none".split(" ");
  const read = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...read, fault: read.bad, kit: read.soft, connection: read.message };
}

function piece(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function put(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text;
}

function unique(texts) {
  return [...new Set(texts)].filter(Boolean);
}

function fill(id, names, all) {
  const options = names.map((name) => new Option(name, name));
  find(id).replaceChildren(...(all ? [new Option("all", "")] : []), ...options);
}

const player = new Player(new Tape(await unpack(find("tape").textContent)));
player.start();
document.documentElement.dataset.ready = "yes";
