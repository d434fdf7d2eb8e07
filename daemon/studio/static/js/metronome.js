/** A metronome to the band: a click on every beat while it plays, heard together with the band's notes. */

import { readMetre } from "./beats.js";
import { on } from "./bus.js";
import { live } from "./live.js";
import { liveSound } from "./live_sound.js";
import { synth } from "./synth.js";
import { everyTick } from "./ticker.js";

const AHEAD_MS = 120;

class Metronome {
  constructor() {
    this.isOn = false;
    /** @type {{tick: number, end: number, metre: string} | null} the bar that is played */
    this.bar = null;
    /** the first tick that has not been clicked */
    this.from = -Infinity;
    /** @type {(function(): void) | null} */
    this.stopTicking = null;
  }

  /** @param {boolean} isOn */
  turn(isOn) {
    this.isOn = isOn;
    if (isOn) this.stopTicking ??= everyTick(() => this.schedule());
    else {
      this.stopTicking?.();
      this.stopTicking = null;
    }
  }

  /** @param {{tick: number, end: number, metre: string}} bar */
  takeBar(bar) {
    if (this.bar && bar.tick < this.bar.tick) this.from = -Infinity; // another performance, or a jump back
    this.bar = bar;
  }

  /** Click what is due within the next moments. */
  schedule() {
    const { playing, bpm, tick, at } = live.state;
    if (!playing || !this.bar || !bpm) {
      this.from = -Infinity;
      return;
    }
    const msPerTick = 60_000 / (bpm * 24);
    const lateMs = liveSound.delayMs + synth.latencyMs;
    const timeOf = (/** @type {number} */ each) => live.toPageMs(at) + (each - tick) * msPerTick + lateMs;
    const { ticksPerBeat } = readMetre(this.bar.metre);
    const now = performance.now();
    for (let each = this.bar.tick; each <= this.bar.end; each = each < this.bar.end ? Math.min(this.bar.end, each + ticksPerBeat) : Infinity) {
      const atMs = timeOf(each);
      if (each < this.from || atMs < now || atMs > now + AHEAD_MS) continue;
      synth.click(atMs, each === this.bar.tick || each === this.bar.end);
      this.from = each + 1;
    }
  }
}

export const metronome = new Metronome();

/** Follow the band's bars. */
export function setUp() {
  on("live:bar", (bar) => metronome.takeBar(bar));
  on("live:closed", () => (metronome.bar = null));
}
