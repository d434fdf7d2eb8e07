/** The mark in the header that tells how the page, the server and the band are connected. */

import { on } from "./bus.js";
import { live } from "./live.js";

const mark = /** @type {HTMLElement} */ (document.getElementById("connection"));

const WORDS = {
  playing: "Ready",
  starting: "Starting",
  absent: "No band",
  closed: "Connecting",
};

function show() {
  const state = live.open ? live.band.status : "closed";
  mark.dataset.state = state;
  const text = /** @type {HTMLElement} */ (mark.querySelector(".text"));
  text.textContent = WORDS[/** @type {keyof typeof WORDS} */ (state)] ?? state;
}

/** Keep the mark up to date. */
export function setUp() {
  for (const name of ["live:open", "live:closed", "live:band"]) on(name, show);
}
