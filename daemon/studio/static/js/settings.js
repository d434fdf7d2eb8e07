/**
 * The controls as they stand: the band's where there is one, else those that were chosen on the page. `Make` uses them,
 * too. What is chosen is told to the band; what it refuses springs back.
 */

import { emit, on } from "./bus.js";
import { live } from "./live.js";

/** @type {Record<string, any>} */
const values = {};

export const settings = {
  /** @type {Readonly<Record<string, any>>} all values by the names of their controls */
  values,

  /**
   * Return a control's value.
   * @param {string} key
   */
  get(key) {
    return values[key];
  },

  /**
   * Choose a control's value. Rejects with the band's sentence where it refuses; the value is then the one before.
   * @param {string} key
   * @param {any} value
   */
  async set(key, value) {
    const before = values[key];
    take(key, value);
    if (!live.hasBand) return;
    try {
      await live.set(key, value);
    } catch (error) {
      if (values[key] === value) take(key, before);
      throw error;
    }
  },
};

/**
 * @param {string} key
 * @param {any} value
 */
function take(key, value) {
  if (values[key] === value) return;
  values[key] = value;
  emit("settings:changed", { key, value });
}

/** @param {Record<string, any> | undefined} controls */
function takeAll(controls) {
  for (const [key, value] of Object.entries(controls ?? {})) take(key, value);
}

/** Follow the band's controls. */
export function setUp() {
  on("live:hello", ({ controls, state }) => {
    for (const { name, default: value, kind } of controls ?? []) {
      if (!(name in values) && kind !== "trigger") take(name, value);
    }
    takeAll(state?.controls);
    if (state?.bpm) take("bpm", Math.round(state.bpm * 100) / 100);
  });
  on("live:controls", ({ controls }) => takeAll(controls));
  on("live:tempo", ({ bpm }) => bpm && take("bpm", Math.round(bpm * 100) / 100));
}
