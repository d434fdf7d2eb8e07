/** The beginning of the page: loads its modules and sets them up; one that fails is told, and the rest works. */

import { sayError } from "./messages.js";
import { live } from "./live.js";

/** Modules in the order in which they are set up: each may export `setUp()`. */
const MODULES = [
  "settings",
  "connection",
  "binding",
  "controls",
  "learn_menu",
  "keys",
  "midi_in",
  "page_knobs",
  "piano",
  "piano_tools",
  "transport",
  "main_roll",
  "live_roll",
  "roll_tools",
  "roll_text",
  "position",
  "chart_strip",
  "history",
  "region",
  "editor",
  "editor_bar",
  "inputs",
  "played",
  "synth",
  "metronome",
  "player",
  "recorder",
  "mixer",
  "sound_panel",
  "live_sound",
  "playback",
  "playback_bar",
  "item_roll",
  "editor_keys",
  "editor_pointer",
  "compare",
  "make_panel",
  "results",
  "edits_panel",
  "takes",
  "importing",
  "exporting",
  "documents",
  "live",
];

/** What tests and the console may look at: {live, roll, synth, player, documents, frames}. */
const houseband = /** @type {Record<string, any>} */ ({ live, ready: false });
Object.defineProperty(window, "houseband", { value: houseband });

/**
 * @param {string} name
 * @param {Promise<any>} loading
 */
async function setUp(name, loading) {
  try {
    const module = await loading;
    await module.setUp?.();
    Object.assign(houseband, module.shown ?? {});
  } catch (error) {
    console.error(name, error);
    sayError(`A part of the page (${name}) does not work: reload the page, and tell us if it stays so.`);
  }
}

/** @type {[string, Promise<any>][]} all are fetched at once, and set up one after the other */
const loading = MODULES.map((name) => [name, import(`./${name}.js`)]);
for (const [, each] of loading) each.catch(() => {}); // told where it is set up
for (const [name, each] of loading) await setUp(name, each);
document.body.inert = false; // what was clicked before would have been lost
houseband.ready = true;
