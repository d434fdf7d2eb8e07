/** The beginning of the page: loads its modules and sets them up; one that fails is told, and the rest works. */

import { sayError } from "./messages.js";
import { live } from "./live.js";

/** Modules in the order in which they are set up: each may export `setUp()`. */
const MODULES = [
  "settings",
  "connection",
  "main_roll",
  "live_roll",
  "roll_tools",
  "roll_text",
  "position",
  "documents",
  "history",
  "region",
  "editor",
  "editor_bar",
  "inputs",
  "edits_panel",
  "importing",
  "exporting",
  "live",
];

/** What tests and the console may look at: {live, roll, synth, player, documents, frames}. */
const houseband = /** @type {Record<string, any>} */ ({ live, ready: false });
Object.defineProperty(window, "houseband", { value: houseband });

/** @param {string} name */
async function load(name) {
  try {
    const module = await import(`./${name}.js`);
    await module.setUp?.();
    Object.assign(houseband, module.shown ?? {});
  } catch (error) {
    console.error(name, error);
    sayError(`A part of the page (${name}) does not work: reload the page, and tell us if it stays so.`);
  }
}

for (const name of MODULES) await load(name);
houseband.ready = true;
