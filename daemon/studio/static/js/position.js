/** What the band does now, in figures: chord and the next one, bar and beat, metre and tempo, and how well it keeps up. */

import { on } from "./bus.js";
import { nameChord } from "./chord_names.js";
import { live } from "./live.js";
import { isPlaying } from "./live_clock.js";
import { performed } from "./live_roll.js";
import { roll } from "./main_roll.js";
import { stage } from "./stage.js";

const chords = /** @type {HTMLElement} */ (document.getElementById("chords"));
const figures = /** @type {HTMLElement} */ (document.getElementById("figures"));
const hint = /** @type {HTMLElement} */ (document.getElementById("roll-hint"));
const chordNow = document.createElement("span");
const chordNext = document.createElement("small");
const place = document.createElement("small");
let shownPlace = "";

/** @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show bar and beat; called in every frame, and writes only where they change. */
function showPlace() {
  if (stage.what !== "live" || roll.nowTick === null) return;
  const { bar, tick, beat, metre } = performed.bars.at(roll.nowTick);
  const bpm = Math.round(live.state.bpm ?? 0);
  const text = isPlaying() ? `Bar ${bar}.${Math.floor((roll.nowTick - tick) / beat) + 1}  ${metre}  ${bpm} bpm` : "";
  if (text === shownPlace) return;
  shownPlace = text;
  place.textContent = text;
}

function showChord() {
  const isLive = stage.what === "live" && isPlaying();
  chords.hidden = stage.what !== "live";
  const told = live.state.chord;
  const [now, next] = told?.now ? [told.now, told.next] : performed.chordsAt(roll.nowTick ?? 0);
  write(chordNow, isLive ? nameChord(now) : "");
  write(chordNext, isLive && next ? `→ ${nameChord(next)}` : "");
  if (!isLive) place.textContent = shownPlace = "";
}

/** @param {string} name @param {string} value @param {string} title */
function addFigure(name, value, title) {
  const box = document.createElement("div");
  const term = document.createElement("dt");
  const figure = document.createElement("dd");
  term.textContent = name;
  figure.textContent = value;
  box.title = title;
  box.append(term, figure);
  figures.append(box);
}

function showFigures() {
  const counted = live.state.counters;
  figures.replaceChildren();
  if (stage.what !== "live" || !counted || counted.isr === null || counted.isr === undefined) return;
  addFigure("In time", `${(100 * counted.isr).toFixed(1)} %`, "Share of steps whose plan had come before they sounded");
  if (counted.age_ms_p50 !== null) {
    addFigure("Knows", `${Math.round(counted.age_ms_p50)} ms`, "How old what the band had heard of you is when it plays");
  }
}

const WAITS = {
  note: "The band waits for your first note.",
  start: "Press Start, then play: on the keyboard below, on your computer's keys, or on a MIDI keyboard.",
  clock: "The band waits for the clock that it follows.",
  "count-in": "Counting in …",
  player: "The band gets ready …",
};

/** Return what to do next, where the roll is empty. */
function describeNext() {
  if (stage.what !== "live" || isPlaying()) return "";
  if (!live.open) return "Connecting to the studio …";
  if (live.band.status === "starting") return "The band gets ready …";
  if (live.band.status !== "playing") return "There is no band: record a melody or drop a MIDI file here, and make music of it.";
  const [first] = live.state.waiting_for ?? [];
  if (!performed.isEmpty && first !== "note") return "";
  if (!first) return "";
  return WAITS[/** @type {keyof typeof WAITS} */ (first)] ?? `The band waits for ${first}.`;
}

function showAll() {
  showChord();
  showFigures();
  write(hint, describeNext());
}

/** Keep the figures up to date. */
export function setUp() {
  chords.append(chordNow, chordNext, place);
  for (const name of ["live:open", "live:closed", "live:band", "live:tempo", "live:chord", "live:counters", "stage"]) {
    on(name, showAll);
  }
  roll.onPaint(showPlace);
  showAll();
}
