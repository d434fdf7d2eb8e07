/** Notes that are played on the page, by whatever: a key that two things hold down sounds until both have let go. */

import { emit } from "./bus.js";

/** @type {Map<number, Set<string>>} pitch -> what holds it down */
const holders = new Map();

export const noteInput = {
  /** how hard computer keys and the piano on the screen strike, 1 to 127 */
  velocity: 90,
  /** the lowest C of the computer's keys */
  basePitch: 60,

  /**
   * Begin a note.
   * @param {number} pitch
   * @param {string} source what plays it
   * @param {number} [velocity]
   * @param {number} [atMs] when, on performance.now()'s scale
   */
  press(pitch, source, velocity = this.velocity, atMs = performance.now()) {
    if (pitch < 0 || pitch > 127) return;
    let those = holders.get(pitch);
    if (!those) holders.set(pitch, (those = new Set()));
    if (those.has(source)) return;
    those.add(source);
    if (those.size === 1) emit("key", { pitch, on: true, velocity, atMs, source });
  },

  /**
   * End a note.
   * @param {number} pitch
   * @param {string} source
   * @param {number} [atMs]
   */
  release(pitch, source, atMs = performance.now()) {
    const those = holders.get(pitch);
    if (!those?.delete(source) || those.size) return;
    emit("key", { pitch, on: false, velocity: 0, atMs, source });
  },

  /**
   * End all notes, or those of one source.
   * @param {string} [source]
   */
  releaseAll(source) {
    for (const [pitch, those] of holders) {
      for (const each of [...those]) if (source === undefined || each === source) this.release(pitch, each);
    }
  },

  /**
   * Move the computer's keys.
   * @param {number} octaves
   */
  shift(octaves) {
    const moved = this.basePitch + 12 * octaves;
    if (moved < 12 || moved > 96) return;
    this.basePitch = moved;
    emit("key:range", { basePitch: moved });
  },
};
