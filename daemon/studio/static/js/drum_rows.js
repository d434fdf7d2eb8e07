/** The rows of the drums' lane: which instrument of the General MIDI kit is on which. */

/** @type {readonly {name: string, pitches: number[], play: number}[]} from top to bottom; `play`: the pitch it stands for */
export const DRUM_ROWS = [
  { name: "Crash", pitches: [49, 52, 55, 57], play: 49 },
  { name: "Ride", pitches: [51, 53, 59], play: 51 },
  { name: "Hi-hat", pitches: [42, 44, 46], play: 42 },
  { name: "Toms", pitches: [41, 43, 45, 47, 48, 50], play: 47 },
  { name: "Other", pitches: [], play: 54 },
  { name: "Snare", pitches: [37, 38, 39, 40], play: 38 },
  { name: "Kick", pitches: [35, 36], play: 36 },
];

const OTHER = DRUM_ROWS.findIndex(({ name }) => name === "Other");
const rows = new Uint8Array(128).fill(OTHER);
DRUM_ROWS.forEach(({ pitches }, row) => pitches.forEach((pitch) => (rows[pitch] = row)));

/**
 * Return the row of a drum, from 0 at the top.
 * @param {number} pitch
 */
export function rowOf(pitch) {
  return rows[pitch & 127];
}
