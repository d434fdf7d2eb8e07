/**
 * Playback of an item, in a loop or once. Notes are handed to the audio clock a moment before they sound; what is a moment
 * away can still be changed, so that another item takes over at the same place without a gap.
 *
 * Emits `player:state` {playing, item, tick}.
 */

import { listClicks, msPerTick } from "./beats.js";
import { emit, on } from "./bus.js";
import { synth } from "./synth.js";
import { everyTick } from "./ticker.js";

const AHEAD_MS = 110;
/** from `play` to the first note */
const BEGIN_MS = 35;

/** @typedef {{tick: number, pitch: number, length: number, velocity: number, role: string}} PlayedNote */

class Player {
  constructor() {
    /** @type {any} the item that is played */
    this.item = null;
    /** whether a metronome clicks along */
    this.click = false;
    /** @type {[number, number] | null} the ticks that are repeated */
    this.loop = null;
    /** @type {PlayedNote[]} */
    this.notes = [];
    /** ticks from here on are not handed over yet */
    this.cursor = 0;
    /** @type {{ms: number, tick: number, msPerTick: number}[]} which tick was, or is, heard when: the last few */
    this.anchors = [];
    /** @type {Map<string, {role: string, pitch: number, end: number}>} notes handed over that have no end yet */
    this.sounding = new Map();
    /** @type {(function(): void) | null} */
    this.stopTicking = null;
    /** counts calls, so that a `stop` also ends a `play` that waits for the sound */
    this.serial = 0;
  }

  /** True while something is played, or about to be. */
  get isPlaying() {
    return this.stopTicking !== null;
  }

  /**
   * Play an item. While it, or another revision of it, is played already, it goes on where it is.
   * @param {any} item
   * @param {{fromTick?: number, loop?: [number, number] | boolean | null}} [options] loop: true, or left out: all of it
   */
  async play(item, { fromTick, loop = true } = {}) {
    const serial = ++this.serial;
    const range = loop === true ? [0, item.ticks] : loop || null;
    const repeated = /** @type {[number, number] | null} */ (range && range[1] > range[0] ? range : null);
    if (this.isPlaying && this.item?.id === item.id && fromTick === undefined) {
      this.loop = repeated;
      this.switchTo(item);
      return;
    }
    await synth.start();
    if (serial !== this.serial) return;
    this.#halt();
    this.item = item;
    this.loop = repeated;
    this.notes = listNotes(item);
    this.cursor = fromTick ?? repeated?.[0] ?? 0;
    if (repeated && this.cursor >= repeated[1]) this.cursor = repeated[0];
    this.anchors = [{ ms: performance.now() + BEGIN_MS + synth.latencyMs, tick: this.cursor, msPerTick: msPerTick(item.bpm) }];
    this.#beginWithin(this.cursor);
    this.stopTicking = everyTick(() => this.#schedule());
    this.#schedule();
    this.#tell();
  }

  /** End playback; everything that sounds ends with it. */
  stop() {
    this.serial += 1;
    if (!this.isPlaying) return;
    this.#halt();
    this.#tell();
  }

  /**
   * Go on with another item at the same place, without a gap.
   * @param {any} item
   */
  switchTo(item) {
    if (!this.isPlaying) return;
    const whole = this.loop && this.loop[0] === 0 && this.loop[1] === this.item.ticks && item.ticks > 0;
    if (whole) this.loop = [0, item.ticks];
    for (const [name, note] of this.sounding) this.#end(name, note, this.cursor);
    const { ms } = this.#anchorAt(this.cursor);
    this.anchors.push({ ms, tick: this.cursor, msPerTick: msPerTick(item.bpm) });
    this.item = item;
    this.notes = listNotes(item);
    if (this.loop && (this.cursor >= this.loop[1] || this.cursor < this.loop[0])) this.#jumpTo(this.loop[0]);
    this.#beginWithin(this.cursor);
    this.#tell();
  }

  /**
   * Change what is repeated while it plays.
   * @param {[number, number] | null} loop
   */
  setLoop(loop) {
    this.loop = loop && loop[1] > loop[0] ? loop : null;
    if (this.isPlaying && this.loop && (this.cursor >= this.loop[1] || this.cursor < this.loop[0])) {
      for (const [name, note] of this.sounding) this.#end(name, note, this.cursor);
      this.#jumpTo(this.loop[0]);
      this.#beginWithin(this.cursor);
    }
  }

  /** Return the tick that is heard just now; null while nothing is played. */
  positionTick() {
    if (!this.isPlaying) return null;
    const now = performance.now();
    let heard = this.anchors[0];
    for (const anchor of this.anchors) if (anchor.ms <= now) heard = anchor;
    return Math.max(heard.tick, heard.tick + (now - heard.ms) / heard.msPerTick);
  }

  /** Hand over what sounds within the next moment. */
  #schedule() {
    const until = performance.now() + AHEAD_MS + synth.latencyMs;
    for (let guard = 0; guard < 64; guard += 1) {
      const end = this.loop?.[1] ?? this.item.ticks;
      const last = this.anchors[this.anchors.length - 1];
      const to = Math.min(end, last.tick + (until - last.ms) / last.msPerTick);
      if (to <= this.cursor && to < end) return;
      this.#handOver(Math.max(this.cursor, to));
      if (to < end) return;
      for (const [name, note] of this.sounding) this.#end(name, note, end);
      if (!this.loop) {
        this.#finish(end);
        return;
      }
      this.#jumpTo(this.loop[0]);
      this.#beginWithin(this.cursor);
    }
  }

  /** @param {number} to the tick up to which notes begin and end; the cursor is there afterwards */
  #handOver(to) {
    /** @type {{tick: number, order: number, run: function(): void}[]} */
    const due = [];
    for (const note of this.notes) {
      if (note.tick >= this.cursor && note.tick < to) due.push({ tick: note.tick, order: 1, run: () => this.#begin(note) });
    }
    if (this.click) {
      for (const { tick, accent } of listClicks(this.item.metres, this.cursor, to)) {
        due.push({ tick, order: 2, run: () => synth.click(this.#anchorAt(tick).ms, accent) });
      }
    }
    due.sort((a, b) => a.tick - b.tick || a.order - b.order);
    for (const { tick, run } of due) {
      this.#endUpTo(tick);
      run();
    }
    this.#endUpTo(to);
    this.cursor = to;
  }

  /** @param {number} tick */
  #endUpTo(tick) {
    for (const [name, note] of this.sounding) if (note.end <= tick) this.#end(name, note, note.end);
  }

  /** @param {PlayedNote} note */
  #begin({ tick, pitch, length, velocity, role }) {
    const name = `${role}:${pitch}`;
    const same = this.sounding.get(name);
    if (same) this.#end(name, same, tick);
    synth.noteOn(role, pitch, velocity, this.#anchorAt(tick).ms);
    this.sounding.set(name, { role, pitch, end: tick + length });
  }

  /**
   * @param {string} name
   * @param {{role: string, pitch: number}} note
   * @param {number} tick
   */
  #end(name, { role, pitch }, tick) {
    this.sounding.delete(name);
    synth.noteOff(role, pitch, this.#anchorAt(tick).ms);
  }

  /**
   * Begin what sounds already at a tick, such as a pad's chord.
   * @param {number} tick
   */
  #beginWithin(tick) {
    for (const note of this.notes) {
      const left = note.tick + note.length - tick;
      if (note.tick < tick && left >= 3 && note.role !== "drums") this.#begin({ ...note, tick, length: left });
    }
  }

  /** @param {number} tick the cursor's next place, which is heard when the one that it has now would be */
  #jumpTo(tick) {
    const { ms, msPerTick: pace } = this.#anchorAt(this.cursor);
    this.anchors.push({ ms, tick, msPerTick: pace });
    if (this.anchors.length > 12) this.anchors.shift();
    this.cursor = tick;
  }

  /**
   * Return when a tick is heard, by the last anchor.
   * @param {number} tick
   */
  #anchorAt(tick) {
    const last = this.anchors[this.anchors.length - 1];
    return { ms: last.ms + (tick - last.tick) * last.msPerTick, msPerTick: last.msPerTick };
  }

  /** @param {number} end */
  #finish(end) {
    const serial = this.serial;
    this.stopTicking?.();
    const ticking = everyTick(() => {
      if (serial !== this.serial) ticking();
      else if (performance.now() >= this.#anchorAt(end).ms) {
        ticking();
        this.stop();
      }
    });
    this.stopTicking = ticking;
  }

  #halt() {
    this.stopTicking?.();
    this.stopTicking = null;
    const roles = new Set(this.notes.map((note) => note.role));
    if (this.item) for (const role of roles) synth.silence(role);
    if (this.click) synth.clicks?.silence();
    this.sounding.clear();
  }

  #tell() {
    emit("player:state", { playing: this.isPlaying, item: this.item, tick: this.positionTick() ?? undefined });
  }
}

/**
 * Return an item's notes in the order in which they begin. The AR-CNN's edited melody takes the place of the one that it
 * was made from.
 * @param {any} item
 * @returns {PlayedNote[]}
 */
export function listNotes(item) {
  const isEdited = item.notes.edits?.length > 0;
  const notes = [];
  for (const [role, line] of Object.entries(item.notes)) {
    if (isEdited && role === "melody") continue;
    for (const [tick, pitch, length, velocity] of line) notes.push({ tick, pitch, length, velocity, role });
  }
  return notes.sort((a, b) => a.tick - b.tick);
}

export const player = new Player();
export const shown = { player };

/** End with everything else. */
export function setUp() {
  for (const name of ["stop", "panic"]) on(name, () => player.stop());
}
