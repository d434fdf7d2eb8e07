/** Bars, beats and names of pitches: how ticks (24 a beat, bar 1 at tick 0) are told to a musician. */

import { BarLines } from "./bar_lines.js";

export const TICKS_PER_BEAT = 24;
const PITCH_NAMES = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const DRUM_NAMES = new Map([
  [35, "kick"], [36, "kick"], [37, "side stick"], [38, "snare"], [39, "clap"], [40, "snare"], [41, "low tom"],
  [42, "closed hi-hat"], [43, "low tom"], [44, "pedal hi-hat"], [45, "mid tom"], [46, "open hi-hat"], [47, "mid tom"],
  [48, "high tom"], [49, "crash"], [50, "high tom"], [51, "ride"], [53, "ride bell"], [54, "tambourine"], [56, "cowbell"],
]);

/** @typedef {{metres?: [number, string][], bars?: number, ticks?: number}} Song */

/** @type {WeakMap<object, BarLines>} by the lists of metres, of which each item has its own */
const known = new WeakMap();

/** Return a song's bar lines. @param {Song} song @returns {BarLines} */
export function linesOf({ metres }) {
  if (!metres) return new BarLines();
  const lines = known.get(metres) ?? BarLines.from(metres);
  known.set(metres, lines);
  return lines;
}

/** Return the tick at which a bar begins. @param {Song} song @param {number} bar from 1 */
export function tickOfBar(song, bar) {
  return linesOf(song).tickOf(bar);
}

/** Return bar and beat (both from 1, the beat with a fraction) of a tick. @param {Song} song @param {number} tick */
export function placeOf(song, tick) {
  const here = linesOf(song).at(tick);
  return { bar: here.bar, beat: 1 + (tick - here.tick) / here.beat };
}

/** Return how many bars a song has, at least one. @param {Song} song */
export function countBars(song) {
  if (song.bars) return song.bars;
  return Math.max(1, placeOf(song, Math.max(0, (song.ticks ?? 0) - 1)).bar);
}

/** Return the tick at which a song's last bar ends. @param {Song} song */
export function endOf(song) {
  return Math.max(tickOfBar(song, countBars(song) + 1), 1);
}

/** Return a tick in words: bar 2 beat 3. @param {Song} song @param {number} tick */
export function tellPlace(song, tick) {
  const { bar, beat } = placeOf(song, tick);
  return `bar ${bar} beat ${Number(beat.toFixed(2))}`;
}

/** Return the name of a pitch: C4 is the middle one; of a drum, what is struck. @param {number} pitch @param {string} role */
export function namePitch(pitch, role = "") {
  if (role === "drums") return DRUM_NAMES.get(pitch) ?? `drum ${pitch}`;
  return `${PITCH_NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

/** Return a length in beats, in words. @param {number} ticks */
export function tellLength(ticks) {
  const beats = Number((ticks / TICKS_PER_BEAT).toFixed(2));
  return beats === 1 ? "1 beat" : `${beats} beats`;
}

/** Return "1 note", "2 notes". @param {number} count @param {string} noun */
export function tellCount(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
