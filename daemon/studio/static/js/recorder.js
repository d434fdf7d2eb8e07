/**
 * Recording of what is played, to a count-in and a click. The clicks are heard at their moments, as far as the browser
 * knows its latency, and keys are taken at the moments at which they were pressed, so a note's tick is right to the tick.
 *
 * Emits `recorder:state` {state: "idle" | "counting" | "recording", bar, beat} at every beat, and `recorder:note`.
 */

import { msPerTick, readMetre } from "./beats.js";
import { emit, on } from "./bus.js";
import { synth } from "./synth.js";
import { everyTick } from "./ticker.js";

const AHEAD_MS = 110;
/** from `start` to the first click */
const BEGIN_MS = 150;
/** what comes so little before bar 1 belongs to it; the rest of the count-in is practice */
const EARLY_TICKS = 6;
/** what hangs over a bar line by less than a beat makes no bar of its own */
const OVERHANG_TICKS = 24;

class Recorder {
  constructor() {
    this.state = /** @type {"idle" | "counting" | "recording"} */ ("idle");
    this.bpm = 120;
    this.metre = "4/4";
    this.click = true;
    /** when bar 1 begins, on performance.now()'s scale */
    this.zeroMs = 0;
    /** the beat that is clicked next, counted from bar 1 */
    this.nextBeat = 0;
    this.toldBeat = -Infinity;
    /** @type {Record<string, [number, number, number, number][]>} */
    this.notes = {};
    /** @type {Map<number, {tick: number, velocity: number, role: string}>} */
    this.open = new Map();
    /** @type {(function(): void) | null} */
    this.stopTicking = null;
    this.serial = 0;
  }

  /** True from the count-in until the end. */
  get isOn() {
    return this.state !== "idle";
  }

  /**
   * Count in, then record; a recording that goes on is thrown away.
   * @param {{bpm?: number, metre?: string, countIn?: number, click?: boolean}} [options] countIn: bars of it
   */
  async start({ bpm = 120, metre = "4/4", countIn = 1, click = true } = {}) {
    this.#end();
    const serial = ++this.serial;
    await synth.start().catch(() => {}); // without sound, it is recorded all the same
    if (serial !== this.serial) return;
    const { beats, ticksPerBeat } = readMetre(metre);
    Object.assign(this, { bpm, metre: /\d+\s*\/\s*\d+/.exec(metre)?.[0] ?? "4/4", click });
    this.notes = { melody: [], hand: [] };
    const msPerBeat = ticksPerBeat * msPerTick(bpm);
    this.nextBeat = -beats * countIn;
    this.toldBeat = -Infinity;
    this.zeroMs = performance.now() + BEGIN_MS + synth.latencyMs - this.nextBeat * msPerBeat;
    this.state = countIn > 0 ? "counting" : "recording";
    this.stopTicking = everyTick(() => this.#goOn());
    this.#goOn();
  }

  /**
   * End the recording and return it. Keys that are still down end here; empty bars at the end are left away.
   * @returns {{notes: Record<string, number[][]>, bpm: number, metres: [number, string][], bars: number}}
   */
  stop() {
    const now = this.tickAt(performance.now());
    for (const pitch of [...this.open.keys()]) this.#close(pitch, now);
    this.serial += 1;
    this.#end();
    const { ticksPerBar } = readMetre(this.metre);
    let end = 0;
    for (const line of Object.values(this.notes)) for (const [tick, , length] of line) end = Math.max(end, tick + length);
    const lastBegin = Math.max(0, ...Object.values(this.notes).flatMap((line) => line.map(([tick]) => tick + 1)));
    const bars = Math.max(Math.ceil((end - OVERHANG_TICKS + 1) / ticksPerBar), Math.ceil(lastBegin / ticksPerBar), 0);
    const notes = /** @type {Record<string, number[][]>} */ ({});
    for (const [role, line] of Object.entries(this.notes)) {
      if (!line.length && role !== "melody") continue;
      notes[role] = line
        .map(([tick, pitch, length, velocity]) => [tick, pitch, Math.min(length, bars * ticksPerBar - tick), velocity])
        .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    }
    return { notes, bpm: this.bpm, metres: [[0, this.metre]], bars };
  }

  /** Throw the recording away. */
  cancel() {
    this.serial += 1;
    this.#end();
  }

  /**
   * Return the tick, with its fraction, at a moment.
   * @param {number} atMs on performance.now()'s scale
   */
  tickAt(atMs) {
    return (atMs - this.zeroMs) / msPerTick(this.bpm);
  }

  /** @param {{pitch: number, on: boolean, velocity: number, atMs: number, role: string}} key */
  takeKey({ pitch, on: isOn, velocity, atMs, role }) {
    if (!this.isOn) return;
    const tick = this.tickAt(atMs);
    this.#close(pitch, tick); // a key that is struck again has gone up
    if (!isOn || tick < -EARLY_TICKS) return;
    this.open.set(pitch, { tick: Math.max(0, Math.round(tick)), velocity, role });
    emit("recorder:note", { pitch, on: true, tick });
  }

  /**
   * @param {number} pitch
   * @param {number} end
   */
  #close(pitch, end) {
    const begun = this.open.get(pitch);
    if (!begun) return;
    this.open.delete(pitch);
    const length = Math.max(1, Math.round(end) - begun.tick);
    (this.notes[begun.role] ??= []).push([begun.tick, pitch, length, begun.velocity]);
    emit("recorder:note", { pitch, on: false, tick: end });
  }

  /** Click, and tell the beats as they are heard. */
  #goOn() {
    const now = performance.now();
    const { beats, ticksPerBeat } = readMetre(this.metre);
    const msPerBeat = ticksPerBeat * msPerTick(this.bpm);
    while (this.zeroMs + this.nextBeat * msPerBeat < now + AHEAD_MS + synth.latencyMs) {
      const isCounting = this.nextBeat < 0;
      const accent = ((this.nextBeat % beats) + beats) % beats === 0;
      if (isCounting || this.click) synth.click(this.zeroMs + this.nextBeat * msPerBeat, accent);
      this.nextBeat += 1;
    }
    const beat = Math.floor((now - this.zeroMs) / msPerBeat);
    if (beat === this.toldBeat) return;
    this.toldBeat = beat;
    this.state = beat < 0 ? "counting" : "recording";
    emit("recorder:state", { state: this.state, bar: Math.floor(beat / beats) + 1, beat: (((beat % beats) + beats) % beats) + 1 });
  }

  #end() {
    this.stopTicking?.();
    this.stopTicking = null;
    this.open.clear();
    if (this.state === "idle") return;
    synth.clicks?.silence();
    this.state = "idle";
    emit("recorder:state", { state: "idle", bar: 0, beat: 0 });
  }
}

export const recorder = new Recorder();
export const shown = { recorder };

/** Listen to what is played. */
export function setUp() {
  on("played", (key) => recorder.takeKey(key));
}
