/** A performance as it grows: what was heard and played, what is planned, its chords and its bars. */

import { BarLines } from "./bar_lines.js";
import { NoteList } from "./note_list.js";

/** @typedef {import("./note_list.js").RollNote} RollNote */

const TICKS_PER_STEP = 6;
/** by so much may a tick lie before the last one in the same performance */
const BACKWARDS_TICKS = 24;

export class Performance {
  constructor() {
    /** what was heard and what the band has played */
    this.sounded = new NoteList();
    /** what it is going to play, as far as that is known */
    this.planned = new NoteList();
    this.bars = new BarLines();
    /** @type {[number, string][]} */
    this.chords = [];
    /** @type {Map<string, RollNote>} notes that sound, by role and pitch */
    this.held = new Map();
    /** @type {any[]} notes that were heard before the band's time began */
    this.early = [];
    this.lastTick = -Infinity;
    this.isPlaying = false;
    /** what the band's numbers of bars are ahead of those of this performance: it goes on counting while it is silent */
    this.barsBefore = 0;
    this.countsAnew = true;
  }

  clear() {
    this.sounded.clear();
    this.planned = new NoteList();
    this.bars.clear();
    this.chords.length = 0;
    this.held.clear();
    this.lastTick = -Infinity;
  }

  get isEmpty() {
    return !this.sounded.notes.length && !this.planned.notes.length;
  }

  /**
   * Take a tempo event: where the band was. A tick far behind the last one begins another performance.
   * @param {{tick: number | null, playing: boolean, at: number}} event
   * @param {function(number): number | null} tickOf returns the tick of a moment of the band
   */
  takeTempo({ tick, playing }, tickOf) {
    if (tick === null) return;
    if (tick < this.lastTick - BACKWARDS_TICKS) this.clear();
    this.lastTick = tick;
    if (playing && !this.isPlaying) this.countsAnew = true;
    this.isPlaying = playing;
    if (!playing) return this.endAll(tick);
    for (const { event, role } of this.early.splice(0)) {
      const began = tickOf(event.at);
      if (began !== null && began >= tick - 1) this.#begin(role, Math.round(began), event);
    }
  }

  /**
   * Take a bar that has begun.
   * @param {{bar: number, tick: number, end: number, metre: string}} event
   */
  takeBar({ bar, tick, end, metre }) {
    if (this.countsAnew) {
      this.barsBefore = Math.max(0, bar - 1);
      this.countsAnew = false;
    } else if (bar <= this.barsBefore) this.barsBefore = 0;
    this.bars.tell(bar - this.barsBefore, tick, end, metre);
  }

  /**
   * Take a note that the band begins or ends.
   * @param {{role: string, on: boolean, pitch: number, velocity: number, tick: number}} event
   */
  takeNote(event) {
    if (event.on) this.#begin(event.role, event.tick, event);
    else this.#end(event.role, event.pitch, event.tick);
  }

  /**
   * Take a note that the player begins or ends.
   * @param {{on: boolean, pitch: number, velocity: number, tick: number | null}} event
   * @param {string} role melody or hand
   */
  takeHeard(event, role) {
    if (event.tick === null || event.tick === undefined) {
      if (event.on) this.early.push({ event, role });
      else this.early = this.early.filter((other) => other.event.pitch !== event.pitch);
      return;
    }
    if (event.on) this.#begin(role, event.tick, event);
    else this.#end(role, event.pitch, event.tick);
  }

  /**
   * Take a plan, which replaces what was planned before.
   * @param {{first: number, notes: Record<string, number[][]>}} plan
   */
  takePlan({ first, notes }) {
    const planned = [];
    const from = first * TICKS_PER_STEP;
    for (const note of this.planned.notes) if (note.tick < from && note.tick > this.lastTick) planned.push(note);
    for (const role of Object.keys(notes)) {
      for (const [tick, pitch, length, velocity] of notes[role]) planned.push({ role, tick, pitch, length, velocity });
    }
    this.planned = new NoteList(planned);
  }

  /** Forget what is planned: the band plays no more. */
  dropPlan() {
    while (this.chords.length && this.chords[this.chords.length - 1][0] > this.lastTick) this.chords.pop();
    if (this.planned.notes.length) this.planned = new NoteList();
  }

  /**
   * Take the chord that holds from a tick on.
   * @param {string | null} label null: it is not known
   * @param {number} tick
   */
  takeChord(label, tick) {
    if (!label) return;
    const at = Math.round(tick / TICKS_PER_STEP) * TICKS_PER_STEP;
    while (this.chords.length && this.chords[this.chords.length - 1][0] >= at) this.chords.pop();
    const before = this.chords[this.chords.length - 1];
    if (before?.[1] !== label) this.chords.push([at, label]);
  }

  /**
   * Take the chords that a plan's notes were chosen for, from its first step on.
   * @param {{first: number, chords?: [number, string][]}} plan
   */
  takePlannedChords({ first, chords }) {
    if (!chords?.length) return;
    const from = Math.min(first * TICKS_PER_STEP, chords[0][0]);
    while (this.chords.length && this.chords[this.chords.length - 1][0] >= from) this.chords.pop();
    for (const chord of chords) {
      if (this.chords[this.chords.length - 1]?.[1] !== chord[1]) this.chords.push(chord);
    }
  }

  /**
   * Return the chord that holds at a tick, and the next one.
   * @param {number} tick
   * @returns {[string | null, string | null]}
   */
  chordsAt(tick) {
    let index = this.chords.length - 1;
    while (index >= 0 && this.chords[index][0] > tick) index -= 1;
    return [this.chords[index]?.[1] ?? null, this.chords[index + 1]?.[1] ?? null];
  }

  /**
   * Let the notes that sound grow up to a tick.
   * @param {number} tick
   */
  grow(tick) {
    for (const note of this.held.values()) {
      const length = tick - note.tick;
      if (length <= note.length) continue;
      note.length = length;
      this.sounded.grow(note);
    }
  }

  /**
   * End all that sounds.
   * @param {number} tick
   */
  endAll(tick) {
    for (const note of this.held.values()) {
      note.held = false;
      note.length = Math.max(1, tick - note.tick);
      this.sounded.grow(note);
    }
    this.held.clear();
    this.dropPlan();
  }

  /**
   * @param {string} role
   * @param {number} tick
   * @param {{pitch: number, velocity: number}} event
   */
  #begin(role, tick, { pitch, velocity }) {
    this.#end(role, pitch, tick);
    const note = { role, tick, pitch, length: 1, velocity, held: true };
    this.sounded.add(note);
    this.held.set(`${role} ${pitch}`, note);
  }

  /**
   * @param {string} role
   * @param {number} pitch
   * @param {number} tick
   */
  #end(role, pitch, tick) {
    const key = `${role} ${pitch}`;
    const note = this.held.get(key);
    if (!note) return;
    this.held.delete(key);
    note.held = false;
    note.length = Math.max(1, tick - note.tick);
    this.sounded.grow(note);
  }
}
