/** What the controls and their values are called on the page, where that is not their own name with a capital. */

import { ROLE_NAMES } from "./colours.js";

/** @type {Record<string, string>} */
const LABELS = {
  temperature: "Adventure",
  recall: "Repetition",
  harmony: "Chords from",
  harmony_hold: "Hold chords",
  chord_channel: "Chord channel",
  split: "Split below",
  vamp: "Vamp",
  start_with: "Begin with",
  intro_bars: "Intro bars",
  final_chord: "Final chord",
  pause_bars: "End after rest",
  pickup: "Upbeat",
  song_change: "Change songs",
  setlist: "Set list",
  next_song: "Next song",
  previous_song: "Song before",
  remove_max: "Remove at most",
  add_max: "Add at most",
  lock_bars: "Keep bars",
  lock_pitches: "Keep pitches",
  register_low: "Lowest pitch",
  register_high: "Highest pitch",
  loop_bars: "Loop bars",
  overdub: "Overdub",
  edits_per_second: "Edits a second",
  edit_sysex: "Send as SysEx",
  undo: "Take back last edit",
  "player.bass": "Bass player",
  "player.chords": "Chords player",
  "player.pad": "Pad player",
  "player.drums": "Drums player",
  "player.edits": "Edits player",
};

/** @type {Record<string, string>} */
const VALUES = {
  gan: "GAN",
  arcnn: "AR-CNN",
  transformer: "Transformer",
  auto: "Auto",
  hands: "Left hand",
  chart: "Chart",
  "next-bar": "On the next bar",
  "bar-later": "A bar later",
  "next-note": "On the next note",
  bar: "At the bar line",
  now: "At once",
  note: "First note",
};

/** @param {string} text */
export function capitalise(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Return what a control is called.
 * @param {string} key
 */
export function labelOf(key) {
  const [table, role] = key.split(".");
  if (role && table === "octave") return `${ROLE_NAMES[role]} octave`;
  if (role && table === "offset_ms") return `${ROLE_NAMES[role]} delay`;
  return LABELS[key] ?? capitalise(key.replaceAll("_", " ").replaceAll(".", " "));
}

/**
 * Return what one of a control's values is called.
 * @param {string} value
 */
export function wordOf(value) {
  return VALUES[value] ?? capitalise(value.replaceAll("-", " "));
}
