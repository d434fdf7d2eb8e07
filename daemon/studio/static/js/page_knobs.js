/**
 * Knobs of MIDI devices that the browser hears, and the controls that they turn: learnt on the page, kept in the browser.
 * Those of the band's own ports are learnt by the band.
 */

import { on } from "./bus.js";
import { live } from "./live.js";
import { sayError } from "./messages.js";
import { settings } from "./settings.js";

const KEPT_AS = "houseband-knobs";
const MOST = 127;
const HALF = 64;

/** @type {Map<string, string>} "cc 20" -> the control that it turns */
const knobs = new Map(read());
/** @type {Map<string, number>} where knobs stood */
const stood = new Map();
/** @type {(function(string): void) | null} whoever waits for the next knob */
let learner = null;

/** @returns {[string, string][]} */
function read() {
  try {
    return Object.entries(JSON.parse(localStorage.getItem(KEPT_AS) ?? "{}"));
  } catch {
    return [];
  }
}

function keep() {
  try {
    localStorage.setItem(KEPT_AS, JSON.stringify(Object.fromEntries(knobs)));
  } catch {
    // a browser that keeps nothing: they hold until the page is closed
  }
}

export const pageKnobs = {
  /**
   * Wait for the next knob that is turned, and let it turn a control.
   * @param {string} key
   * @returns {Promise<string>} the knob
   */
  learn(key) {
    return new Promise((resolve) => {
      learner = (knob) => {
        learner = null;
        knobs.set(knob, key);
        keep();
        resolve(knob);
      };
    });
  },

  /** Wait no longer. */
  cancel() {
    learner = null;
  },

  /**
   * Return the knobs that turn a control.
   * @param {string} key
   */
  of(key) {
    return [...knobs].filter(([, target]) => target === key).map(([knob]) => knob);
  },

  /**
   * Let a control be turned by no knob.
   * @param {string} key
   */
  forget(key) {
    for (const knob of this.of(key)) knobs.delete(knob);
    keep();
  },
};

/**
 * Turn a control by a knob.
 * @param {string} key
 * @param {number} value 0 to 127
 * @param {number} before where the knob stood
 */
function turn(key, value, before) {
  const spec = (live.hello?.controls ?? []).find((/** @type {any} */ each) => each.name === key);
  if (!spec) return;
  const isPressed = value >= HALF && before < HALF;
  let sent;
  if (spec.kind === "trigger") sent = isPressed ? live.set(key, true) : null;
  else if (spec.kind === "switch") sent = isPressed ? settings.set(key, !settings.get(key)) : null;
  else if (spec.choices) sent = settings.set(key, spec.choices[Math.floor((value / (MOST + 1)) * spec.choices.length)]);
  else if (typeof spec.low === "number" && typeof spec.high === "number") {
    const exact = spec.low + ((spec.high - spec.low) * value) / MOST;
    sent = settings.set(key, spec.kind === "integer" ? Math.round(exact) : Math.round(exact * 100) / 100);
  }
  sent?.catch(sayError);
}

/** Listen to the knobs. */
export function setUp() {
  on("midi:control", ({ number, value }) => {
    const knob = `cc ${number}`;
    const before = stood.get(knob) ?? 0;
    stood.set(knob, value);
    if (learner) return learner(knob);
    const key = knobs.get(knob);
    if (key) turn(key, value, before);
  });
}
