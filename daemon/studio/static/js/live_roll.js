/** The live performance in the roll: it rolls under the now-line, or stands still while somebody looks back. */

import { on } from "./bus.js";
import { live } from "./live.js";
import { isPlaying, tickAt, tickOfNs } from "./live_clock.js";
import { roll } from "./main_roll.js";
import { Performance } from "./performance.js";
import { settings } from "./settings.js";
import { stage } from "./stage.js";

/** where the now-line is, as a share of the roll's width */
const NOW_SHARE = 0.66;
const TICKS_SHOWN = 6 * 96;

export const performed = new Performance();

export const liveRoll = {
  /** true while the roll goes with the music */
  follows: true,

  /** Go with the music again. */
  follow() {
    this.follows = true;
    place(performance.now());
    roll.invalidate();
  },

  /** Stand still: somebody looks at another place. */
  release() {
    this.follows = false;
  },
};

const layers = () => [
  { notes: performed.planned, look: /** @type {"planned"} */ ("planned") },
  { notes: performed.sounded, look: /** @type {"sounded"} */ ("sounded") },
];

/** @param {{pitch: number, channel?: number}} event */
function roleOfHeard({ pitch, channel }) {
  const ofHand = settings.get("chord_channel") > 0 && channel === settings.get("chord_channel");
  return ofHand || pitch < (settings.get("split") ?? 0) ? "hand" : "melody";
}

/**
 * Put the now-line where it belongs.
 * @param {number} nowMs
 */
function place(nowMs) {
  const tick = isPlaying() ? /** @type {number} */ (tickAt(nowMs)) : (roll.nowTick ?? 0); // it waits where it ended
  roll.nowTick = tick;
  if (!liveRoll.follows) return;
  const width = roll.view.toTick - roll.view.fromTick;
  roll.view.fromTick = tick - width * NOW_SHARE;
  roll.view.toTick = roll.view.fromTick + width;
}

/**
 * Move to the moment of a frame; true while there is anything to move.
 * @param {number} nowMs
 */
function animate(nowMs) {
  if (stage.what !== "live") return false;
  place(nowMs);
  if (!isPlaying()) return false;
  performed.grow(/** @type {number} */ (roll.nowTick));
  return live.open;
}

function show() {
  if (stage.what !== "live") return;
  const { fromTick, toTick } = roll.view;
  roll.song = null;
  roll.endTick = null;
  roll.bars = performed.bars;
  roll.chords = performed.chords;
  roll.setLayers(layers());
  if (liveRoll.follows && roll.animate !== animate) roll.setTicks(fromTick, fromTick + TICKS_SHOWN);
  else roll.setTicks(fromTick, toTick);
  roll.animate = animate;
}

/** Bring the roll up to date after an event. */
function refresh() {
  if (stage.what !== "live") return;
  roll.layers[0].notes = performed.planned;
  roll.widenPitches();
  roll.invalidate();
}

/** @param {string} name @param {function(any): void} take */
function follow(name, take) {
  on(`live:${name}`, (event) => {
    take(event);
    refresh();
  });
}

/** Show the live performance while it is on the stage. */
export function setUp() {
  follow("tempo", (event) => performed.takeTempo(event, tickOfNs));
  follow("note", (event) => performed.takeNote(event));
  follow("heard", (event) => performed.takeHeard(event, roleOfHeard(event)));
  follow("plan", (event) => {
    performed.takePlan(event);
    if (!live.state.chord?.now) performed.takePlannedChords(event);
  });
  follow("bar", (event) => performed.takeBar(event));
  follow("chord", ({ now }) => isPlaying() && performed.takeChord(now, tickAt(performance.now()) ?? 0));
  on("live:closed", () => performed.endAll(tickAt(performance.now()) ?? 0));
  on("live:hello", ({ state }) => {
    performed.endAll(performed.lastTick);
    if (state?.tick !== null && state?.tick < performed.lastTick) performed.clear();
    refresh();
  });
  on("stage", (what) => {
    if (what !== "live") return void (roll.animate = null);
    liveRoll.follows = true;
    show();
  });
  show();
}

export const shown = { performed };
