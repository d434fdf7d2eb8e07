/** A piano roll on a canvas: what part of time and pitch it shows, what lies where, and when it is painted. */

import { DRUM_ROWS, rowOf } from "./drum_rows.js";
import { BarLines } from "./bar_lines.js";
import { Frames } from "./frames.js";
import { NoteList } from "./note_list.js";
import { paintBackground, paintForeground } from "./roll_paint.js";

/** @typedef {import("./note_list.js").RollNote} RollNote */
/**
 * Notes that are painted alike. `planned`: paler, and only what begins after the now-line.
 * @typedef {{notes: NoteList, look: "sounded" | "planned"}} Layer
 */
/**
 * Notes of one role, as an editor has them.
 * @typedef {{role: string, notes: Omit<RollNote, "role">[]}} RoleNotes
 */
/**
 * A piece that does not grow by itself: its bars, its end, its chords, and what is marked in it.
 * @typedef {object} Song
 * @property {[number, string][]} metres ticks and metres
 * @property {number} ticks its end
 * @property {[number, string][]} [chords] ticks and labels
 * @property {number | null} [playTick] what sounds
 * @property {number} [cursorTick] where the keyboard's cursor is
 * @property {number} [cursorPitch]
 * @property {[number, number]} [region] first tick and end of the bars that are chosen
 * @property {{fromTick: number, toTick: number, low: number, high: number}} [selection] a box that is being drawn
 */

const LEAST_PITCHES = 30;
const MARGIN_PITCHES = 2;
const LEAST_PX_PER_TICK = 0.04;
const MOST_PX_PER_TICK = 12;
/** sixteenths can be told apart */
const LEAST_FITTED_PX_PER_TICK = 0.42;
const LEAST_FITTED_TICKS = 2 * 96;

export class Roll {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    /** what is shown; `high` is included */
    this.view = { fromTick: 0, toTick: 768, low: 40, high: 84 };
    /** where the parts are, in CSS pixels */
    this.layout = { width: 0, height: 0, left: 46, chords: 0, ruler: 24, top: 42, bottom: 0, drums: 0, row: 10, drumRow: 11 };
    /** @type {Layer[]} */
    this.layers = [];
    /** @type {[number, string][]} ticks and labels of Harte et al. */
    this.chords = [];
    this.bars = new BarLines();
    /** the moment that sounds, or null where there is none */
    this.nowTick = /** @type {number | null} */ (null);
    /** where the music ends, for what has an end */
    this.endTick = /** @type {number | null} */ (null);
    /** true while a drag on the roll moves the view; an editor turns it off */
    this.panWithPointer = true;
    /** @type {Song | null} what is shown where it is no live performance */
    this.song = null;
    this.frames = new Frames();
    /** @type {(function(number): boolean) | null} called before every frame with its time; true while things move */
    this.animate = null;
    /** @type {Set<function(CanvasRenderingContext2D, Roll): void>} */
    this.painters = new Set();
    this.background = document.createElement("canvas");
    this.backgroundStale = true;
    this.scale = 1;
    this.frame = 0;
    this.paint = this.paint.bind(this);
    new ResizeObserver(() => this.resize()).observe(canvas);
    document.addEventListener("visibilitychange", () => this.frames.pause()); // a hidden page drops no frame
    this.resize();
  }

  /**
   * Show other notes: lists of them, or those of each role, of which `noteAt` tells the index.
   * @param {(Layer | RoleNotes)[]} layers
   */
  setLayers(layers) {
    this.layers = layers.map((layer) => {
      if (!("role" in layer)) return layer;
      const notes = layer.notes.map((note, index) => ({ ...note, role: layer.role, index }));
      return { notes: new NoteList(notes), look: /** @type {"sounded"} */ ("sounded") };
    });
    this.widenPitches();
    this.invalidate();
  }

  /**
   * Show a piece instead of a performance that goes on.
   * @param {Song} song
   */
  setSong(song) {
    if (this.song?.metres !== song.metres) this.bars = BarLines.from(song.metres);
    this.song = song;
    this.chords = song.chords ?? [];
    this.endTick = song.ticks;
    this.nowTick = song.playTick ?? null;
    this.invalidate();
  }

  /**
   * Show which tick sounds, and turn the page where it lies beyond what is shown.
   * @param {number | null | undefined} tick
   */
  setPlayTick(tick) {
    const now = tick ?? null;
    if (now === this.nowTick) return;
    this.nowTick = now;
    const { fromTick, toTick } = this.view;
    if (now !== null && (now < fromTick || now > toTick)) this.setTicks(now, now + toTick - fromTick);
    this.invalidate();
  }

  /** Show all of a piece, or its beginning, where it is long, and the pitches of all its notes. */
  fit() {
    const end = this.endTick ?? 0;
    const most = this.plotWidth / LEAST_FITTED_PX_PER_TICK;
    const ticks = Math.max(LEAST_FITTED_TICKS, Math.min(end, most));
    this.setTicks(-ticks * 0.01, ticks * 1.01);
    this.fitPitches();
  }

  /**
   * Paint over everything else in every frame.
   * @param {function(CanvasRenderingContext2D, Roll): void} painter
   * @returns {function(): void} ends it
   */
  onPaint(painter) {
    this.painters.add(painter);
    this.invalidate();
    return () => this.painters.delete(painter) && this.invalidate();
  }

  /** Paint soon: something has changed. */
  invalidate() {
    if (!this.frame) this.frame = requestAnimationFrame(this.paint);
  }

  /** Show the pitches of all notes, and some around them. */
  fitPitches() {
    let low = 128;
    let high = -1;
    for (const { notes } of this.layers) {
      if (notes.low < low) low = notes.low;
      if (notes.high > high) high = notes.high;
    }
    if (high < 0) [low, high] = [40, 84];
    low -= MARGIN_PITCHES;
    high += MARGIN_PITCHES;
    const missing = LEAST_PITCHES - 1 - (high - low);
    if (missing > 0) {
      low -= missing >> 1;
      high += missing - (missing >> 1);
    }
    this.setPitches(Math.max(0, low), Math.min(127, high));
  }

  /** Show more pitches, where notes have come that lie beyond those that are shown. */
  widenPitches() {
    for (const { notes } of this.layers) {
      if (notes.high >= 0 && (notes.low < this.view.low || notes.high > this.view.high)) {
        this.fitPitches();
        return;
      }
    }
  }

  /**
   * @param {number} low
   * @param {number} high
   */
  setPitches(low, high) {
    if (low !== this.view.low || high !== this.view.high) {
      this.view.low = low;
      this.view.high = high;
      this.measure();
    }
    this.invalidate();
  }

  /**
   * Show other ticks.
   * @param {number} fromTick
   * @param {number} toTick
   */
  setTicks(fromTick, toTick) {
    this.view.fromTick = fromTick;
    this.view.toTick = toTick;
    this.invalidate();
  }

  /**
   * Show more or less time; what is at x stays there.
   * @param {number} factor more than 1: larger notes
   * @param {number} [x]
   */
  zoom(factor, x = this.layout.left + this.plotWidth / 2) {
    const now = this.pxPerTick;
    const wanted = Math.min(MOST_PX_PER_TICK, Math.max(LEAST_PX_PER_TICK, now * factor));
    const tick = this.tickAt(x);
    const from = tick - (x - this.layout.left) / wanted;
    this.setTicks(from, from + this.plotWidth / wanted);
  }

  get plotWidth() {
    return Math.max(1, this.layout.width - this.layout.left);
  }

  get pxPerTick() {
    return this.plotWidth / (this.view.toTick - this.view.fromTick);
  }

  /** @param {number} x */
  tickAt(x) {
    return this.view.fromTick + (x - this.layout.left) / this.pxPerTick;
  }

  /** @param {number} tick */
  xOf(tick) {
    return this.layout.left + (tick - this.view.fromTick) * this.pxPerTick;
  }

  /**
   * Return which part of the roll is at a height: "chords", "ruler", "pitched" or "drums".
   * @param {number} y
   */
  laneAt(y) {
    const { ruler, top, drums } = this.layout;
    return y < ruler ? "chords" : y < top ? "ruler" : y < drums ? "pitched" : "drums";
  }

  /**
   * Return the pitch at a height; in the drums' lane the one that its row stands for.
   * @param {number} y
   */
  pitchAt(y) {
    const { top, drums, row, drumRow } = this.layout;
    if (y >= drums) return DRUM_ROWS[Math.min(DRUM_ROWS.length - 1, Math.floor((y - drums) / drumRow))].play;
    return Math.min(this.view.high, Math.max(this.view.low, this.view.high - Math.floor((y - top) / row)));
  }

  /**
   * Return the upper edge of a note's row.
   * @param {number} pitch
   * @param {string} [role]
   */
  yOf(pitch, role = "") {
    const { top, drums, row, drumRow } = this.layout;
    return role === "drums" ? drums + rowOf(pitch) * drumRow : top + (this.view.high - pitch) * row;
  }

  /**
   * Return the height of a note of a role.
   * @param {string} [role]
   */
  heightOf(role = "") {
    return role === "drums" ? this.layout.drumRow : this.layout.row;
  }

  /**
   * Return where a note is painted, in CSS pixels of the canvas.
   * @param {RollNote} note
   */
  rectOf(note) {
    const x = this.xOf(note.tick);
    const width = note.role === "drums" ? this.layout.drumRow : Math.max(2, note.length * this.pxPerTick - 1);
    return { x, y: this.yOf(note.pitch, note.role), width, height: this.heightOf(note.role) };
  }

  /**
   * Return the note at a place of the canvas, with its index among those of its role; null where there is none.
   * @param {number} x
   * @param {number} y
   * @returns {{role: string, index: number, note: RollNote} | null}
   */
  noteAt(x, y) {
    const tick = this.tickAt(x);
    const reach = this.layout.drumRow / this.pxPerTick;
    let found = null;
    for (const { notes } of this.layers) {
      for (let index = notes.firstAt(tick - reach); index < notes.notes.length; index += 1) {
        const note = notes.notes[index];
        if (note.tick > tick) break;
        const rect = this.rectOf(note);
        if (x >= rect.x && x <= rect.x + rect.width && y >= rect.y && y < rect.y + rect.height) found = note;
      }
    }
    return found && { role: found.role, index: found.index ?? -1, note: found };
  }

  /** Take the canvas's size as it is now. */
  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    if (!clientWidth || !clientHeight) return;
    const perTick = this.layout.width ? this.pxPerTick : 0;
    this.scale = window.devicePixelRatio || 1;
    this.layout.width = clientWidth;
    this.layout.height = clientHeight;
    for (const canvas of [this.canvas, this.background]) {
      canvas.width = Math.round(clientWidth * this.scale);
      canvas.height = Math.round(clientHeight * this.scale);
    }
    if (perTick) this.view.toTick = this.view.fromTick + this.plotWidth / perTick;
    this.measure();
    this.paint(NaN);
  }

  /** Find where the rows are. */
  measure() {
    const { layout, view } = this;
    layout.drumRow = layout.height < 320 ? 8 : 11;
    layout.drums = Math.round(layout.height - DRUM_ROWS.length * layout.drumRow - 2);
    layout.bottom = layout.drums - 6;
    layout.row = (layout.bottom - layout.top) / (view.high - view.low + 1);
    this.backgroundStale = true;
  }

  /** @param {number} nowMs the time of the frame; NaN for one that was not asked for */
  paint(nowMs) {
    if (nowMs === nowMs) this.frame = 0;
    const moves = nowMs === nowMs && this.animate !== null && this.animate(nowMs);
    if (this.backgroundStale) {
      paintBackground(this);
      this.backgroundStale = false;
    }
    const began = performance.now();
    paintForeground(this);
    for (const painter of this.painters) painter(this.context, this);
    if (moves) {
      this.frames.count(nowMs, performance.now() - began);
      this.invalidate();
    } else this.frames.pause();
  }
}
