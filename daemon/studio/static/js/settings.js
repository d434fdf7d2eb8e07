/**
 * The controls as they stand: the band's where there is one, else those that were chosen on the page. `Make` uses them,
 * too. What is chosen is told to the band; what it refuses springs back.
 */

import { emit, on } from "./bus.js";
import { live } from "./live.js";

/** @type {Record<string, any>} */
const values = {};

/** @type {Map<string, Change>} what the band has been told and has not answered yet */
const changes = new Map();

/**
 * A change on its way to the band. While it is, others of the same control wait, of which the newest counts.
 * @typedef {{before: any, sent: any, next: any, hasNext: boolean, done: Promise<void>}} Change
 */

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
   * @returns {Promise<void>}
   */
  set(key, value) {
    const before = values[key];
    take(key, value);
    if (!live.hasBand) return Promise.resolve();
    const change = changes.get(key);
    if (change) {
      Object.assign(change, { next: value, hasNext: true });
      return change.done;
    }
    /** @type {Change} */
    const made = { before, sent: value, next: undefined, hasNext: false, done: Promise.resolve() };
    changes.set(key, made);
    made.done = send(key, made).finally(() => changes.delete(key));
    return made.done;
  },
};

/**
 * Tell the band a change, and then the newest one that came meanwhile, until there is none.
 * @param {string} key
 * @param {Change} change
 */
async function send(key, change) {
  for (;;) {
    try {
      await live.set(key, change.sent);
      change.before = change.sent;
    } catch (error) {
      if (!change.hasNext) {
        values[key] = undefined;
        take(key, change.before);
        throw error;
      }
    }
    if (!change.hasNext) return;
    change.sent = change.next;
    change.hasNext = false;
  }
}

/**
 * @param {string} key
 * @param {any} value
 */
function take(key, value) {
  if (values[key] === value) return;
  values[key] = value;
  emit("settings:changed", { key, value });
}

/** @param {Record<string, any> | undefined} controls as the band has them */
function takeAll(controls) {
  for (const [key, value] of Object.entries(controls ?? {})) if (!changes.has(key)) take(key, value);
}

/** @param {number | undefined} bpm */
function takeTempo(bpm) {
  if (bpm) takeAll({ bpm: Math.round(bpm * 10) / 10 });
}

/** Follow the band's controls. */
export function setUp() {
  on("live:hello", ({ controls, state }) => {
    for (const { name, default: value, kind } of controls ?? []) {
      if (!(name in values) && kind !== "trigger" && name !== "preset") take(name, value);
    }
    takeAll(state?.controls);
    takeTempo(state?.bpm);
  });
  on("live:band", ({ state }) => {
    takeAll(state?.controls);
    takeTempo(state?.bpm);
  });
  on("live:controls", ({ controls }) => takeAll(controls));
  on("live:tempo", ({ bpm }) => takeTempo(bpm));
}

/** What tests and the console may look at. */
export const shown = { settings };
