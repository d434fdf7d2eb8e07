/**
 * What the person plays, wherever it is played: on the page, or on a keyboard that the band hears. The band tells all that
 * it hears, also what the page has passed on to it; such notes are told once.
 *
 * Emits `played` {pitch, on, velocity, atMs, source, role}.
 */

import { emit, on } from "./bus.js";
import { live } from "./live.js";
import { settings } from "./settings.js";

/** After this time, a note of the page that did not come back is thought to be lost on its way. */
const FORGET_MS = 2000;

/** @type {{pitch: number, on: boolean, atMs: number}[]} notes of the page that the band has not told of yet */
let passedOn = [];

/**
 * Return the role of a key: the left hand's are those below the split, or on the chords' channel.
 * @param {number} pitch
 * @param {number} [channel] from 1
 */
function roleOf(pitch, channel) {
  const isHand = pitch < Number(settings.get("split") ?? 0) || (channel && channel === settings.get("chord_channel"));
  return isHand ? "hand" : "melody";
}

/** @param {{pitch: number, on: boolean, velocity: number, atMs: number, source: string}} key */
function takeKey(key) {
  if (live.hasBand && live.passesKeys) passedOn.push({ pitch: key.pitch, on: key.on, atMs: performance.now() });
  emit("played", { ...key, role: roleOf(key.pitch) });
}

/** @param {{pitch: number, on: boolean, velocity: number, channel: number, at: number}} note */
function takeHeard({ pitch, on: isOn, velocity, channel, at }) {
  const now = performance.now();
  passedOn = passedOn.filter((each) => now - each.atMs < FORGET_MS);
  const own = passedOn.findIndex((each) => each.pitch === pitch && each.on === isOn);
  if (own >= 0) passedOn.splice(own, 1);
  else emit("played", { pitch, on: isOn, velocity, atMs: live.toPageMs(at), source: "band", role: roleOf(pitch, channel) });
}

/** Listen to the page's keys and to the band. */
export function setUp() {
  on("key", takeKey);
  on("live:heard", takeHeard);
  on("live:closed", () => (passedOn = []));
}
