// Starts every player of a page. One that cannot be read says so, and harms no other.
import { Tape, unpack } from "./data.js";
import { Player } from "./main.js";

for (const root of document.querySelectorAll("[data-player]")) {
  try {
    const packed = root.querySelector("script").textContent;
    new Player(root, new Tape(await unpack(packed))).start();
  } catch (error) {
    const trouble = document.getElementById(`${root.dataset.player}trouble`);
    trouble.textContent = `This picture cannot be shown: ${error.message}`;
    trouble.hidden = false;
  }
}
document.documentElement.dataset.ready = "yes";
