// The inspector: the sessions as they come, one of them in the player, and buttons for the server.
import { FRAME, Tape } from "./data.js";
import { Player } from "./main.js";
import { seconds } from "./lanes.js";

const find = (id) => document.getElementById(id);
const EVERY = 1000;
// The CPU that an answer cost the server, times this, is how long the page rests: it takes 4 % at most.
const REST = 25;
const LONGEST_REST = 60000;

class Inspector {
  constructor() {
    this.token = new URLSearchParams(location.search).get("token") || "";
    this.chosen = "";
    this.player = null;
  }

  address(path, query = {}) {
    const all = new URLSearchParams({ ...query, ...(this.token ? { token: this.token } : {}) });
    return `/_sim${path}?${all}`;
  }

  async ask(path, query, options) {
    const answer = await fetch(this.address(path, query), options);
    const said = await answer.json();
    this.cost += said.cost || 0;
    if (!answer.ok) throw new Error(said.error || `HTTP ${answer.status}`);
    return said;
  }

  async start() {
    const { server } = await this.ask("/page");
    find("bar").hidden = !server.plays;
    find("looks-on").hidden = server.plays;
    find("wanted").oninput = () => this.look();
    find("sessions").onclick = (event) => {
      const button = event.target.closest("button");
      if (button) this.choose(button.textContent);
    };
    if (server.plays) await this.fillScenarios();
    this.look();
  }

  async fillScenarios() {
    const scenarios = await this.ask("/scenarios");
    find("scenario").replaceChildren(...scenarios.map((one) => new Option(`${one.name}: ${one.about}`, one.name)));
    find("scenario").value = (await this.ask("/scenario")).name;
    find("start").onclick = () => this.act("plays", "/scenario", {
      method: "PUT", body: JSON.stringify({ name: find("scenario").value }),
    });
    find("reset").onclick = () => this.act("was reset, plays", "/reset", { method: "POST" });
  }

  async act(words, path, options) {
    try {
      find("said").textContent = `${words} ${(await this.ask(path, {}, options)).name}`;
    } catch (error) {
      find("said").textContent = `refused: ${error.message}`;
    }
  }

  choose(name) {
    this.chosen = name;
    this.player = null;
    this.look();
  }

  // Ask for what is shown; then rest.
  async look() {
    clearTimeout(this.waiting);
    const asked = (this.asked = (this.asked || 0) + 1);
    this.cost = 0;
    try {
      if (!document.hidden) await this.show();
    } catch (error) {
      find("count").textContent = `Motion Server does not answer: ${error.message}`;
    }
    const rest = Math.min(LONGEST_REST, Math.max(EVERY, REST * this.cost));
    if (asked === this.asked) this.waiting = setTimeout(() => this.look(), rest);
  }

  async show() {
    this.list(await this.ask("/page", { search: find("wanted").value }));
    if (!this.chosen) return;
    const name = this.chosen;
    const values = await this.ask(`/sessions/${encodeURIComponent(name)}/player`);
    if (name === this.chosen) this.play(name, values);
  }

  list({ sessions, open, past, found }) {
    const left = found > sessions.length ? `, the first ${sessions.length} are shown: search for others` : "";
    find("count").textContent = `${open} open, ${past} past; ${found} found${left}`;
    if (!this.chosen && sessions.length) this.chosen = sessions[0].name;
    // A button keeps its focus: rows are changed, and made anew only if other sessions are listed.
    const names = sessions.map((one) => one.name).join(" ");
    if (names !== this.listed) find("sessions").replaceChildren(...sessions.map(() => makeRow()));
    this.listed = names;
    sessions.forEach((one, index) => fillRow(find("sessions").rows[index], one, one.name === this.chosen));
  }

  play(name, values) {
    const tape = new Tape(values);
    find("session").hidden = false;
    find("session-name").textContent = name;
    find("save").href = this.address(`/sessions/${encodeURIComponent(name)}/tape`);
    find("save").download = `${name}.tape`;
    find("figures").textContent = describe(tape);
    if (!this.player) {
      this.player = this.shown ? this.shown : new Player(find("session").querySelector(".player"), tape);
      if (this.shown) this.player.replace(tape);
      else this.player.start();
      this.shown = this.player;
      this.player.goLive();
    } else this.player.take(tape);
  }
}

// How fast motion comes, and how much of it is ahead: the figures of this moment.
function describe(tape) {
  const waits = tape.turns.filter((turn) => turn[2] >= 0).map((turn) => turn[2] - turn[1]).sort((a, b) => a - b);
  const last = tape.turns.findLast((turn) => turn[2] >= 0);
  if (!last) return tape.turns.length ? "no motion yet" : "no turn yet";
  const until = tape.server.reduce((most, one) => Math.max(most, one[0] + tape.payloads.counts[one[1]] * FRAME), 0);
  const ahead = Math.max(0, until - tape.now);
  return [
    `${tape.turns.length} turn${tape.turns.length === 1 ? "" : "s"}`,
    `first motion after ${seconds(last[2] - last[1], 2)}, in the middle ${seconds(waits[waits.length >> 1], 2)}`,
    `${seconds(ahead, 1)} of motion ahead`,
  ].join("; ");
}

function makeRow() {
  const row = document.createElement("tr");
  const button = document.createElement("button");
  button.type = "button";
  row.insertCell().append(button);
  // A phone has no room for columns: there each cell says what it is.
  for (const head of find("heads").cells) if (head.cellIndex) row.insertCell().dataset.label = head.textContent;
  return row;
}

function fillRow(row, session, chosen) {
  const state = session.closed_at ? `closed with ${session.close_code}` : "open";
  const since = new Date(session.opened_at * 1000).toLocaleTimeString();
  const { name, connection_id, avatar_id, frames_received, frames_sent } = session;
  const texts = [connection_id, avatar_id, since, `${frames_received} frames`, `${frames_sent} frames`, state];
  put(row.cells[0].firstChild, name);
  texts.forEach((text, index) => put(row.cells[index + 1], text));
  row.toggleAttribute("aria-current", chosen);
  if (chosen) row.setAttribute("aria-current", "true");
}

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

await new Inspector().start();
document.documentElement.dataset.ready = "yes";
