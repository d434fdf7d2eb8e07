/**
 * The sound of what happens now: the band's notes, by the times at which they are due, and what is played, at once.
 *
 * A note of the band is told when it begins, or a little before; it reaches the page some milliseconds later, and never
 * after the same time. So all of them are heard the same little while after they are due: as much as the slowest of the
 * last ones needed. Network and painting then do not move them.
 */

import { emit, on } from "./bus.js";
import { live } from "./live.js";
import { settings } from "./settings.js";
import { synth } from "./synth.js";

const KEPT = 64;
/** share of the last notes that are to be in time, and by how much: one in a while may be late, all need not wait for it */
const COUNTED = 0.94;
const SPARE_MS = 5;
const LEAST_MS = 5;
const MOST_MS = 250;
/** Shortest sound of a note whose beginning came late */
const LEAST_NOTE_MS = 25;
const CHOICE_KEY = "houseband.sound";

/** @typedef {"page" | "band" | "both"} Place */

class LiveSound {
  constructor() {
    /** @type {Place | null} what was chosen; null: as it suits the band */
    this.chosen = readChoice();
    /** how late the last notes came, in ms after they were due */
    this.lateness = /** @type {number[]} */ ([]);
    /** ms from when a note of the band is due until it is heard here */
    this.delayMs = 20;
    /** how many notes of the band came too late even for that */
    this.lateCount = 0;
    this.noteCount = 0;
    /** @type {Map<string, {role: string, pitch: number, atMs: number}>} what sounds of the band */
    this.sounding = new Map();
    /** @type {Map<string, {role: string, pitch: number, velocity: number}>} keys that are down, by role and key */
    this.keys = new Map();
    this.isWaking = false;
  }

  /**
   * Return where the sound comes from: where nothing is chosen, a band that has audio is heard already, and so is one
   * that was there before and has ports. The studio's own is not, for nothing needs to be connected to its ports.
   * @returns {Place}
   */
  get place() {
    const { own, ports, audio } = live.band;
    return this.chosen ?? ((own ? audio : ports) ? "band" : "page");
  }

  /** @param {Place} place */
  choose(place) {
    this.chosen = place;
    try {
      localStorage.setItem(CHOICE_KEY, place);
    } catch {
      // a browser that keeps nothing: it is asked again next time
    }
    if (place === "band") this.silence();
    emit("sound:place", place);
  }

  /** True while the band and the keys sound here. */
  get soundsHere() {
    return this.place !== "band";
  }

  /** @param {{role: string, on: boolean, pitch: number, velocity: number, due: number}} note */
  takeNote({ role, on: isOn, pitch, velocity, due }) {
    if (!this.soundsHere) return;
    const now = performance.now();
    const dueMs = live.toPageMs(due);
    const name = `${role}:${pitch}`;
    if (isOn) {
      this.#learn(now - dueMs);
      const atMs = Math.max(now, dueMs + this.delayMs + this.#outputMs);
      this.sounding.set(name, { role, pitch, atMs });
      synth.noteOn(role, pitch, velocity, atMs, { isScaled: true });
      return;
    }
    const begun = this.sounding.get(name);
    if (!begun) return;
    this.sounding.delete(name);
    synth.noteOff(role, pitch, Math.max(now, dueMs + this.delayMs + this.#outputMs, begun.atMs + LEAST_NOTE_MS));
  }

  /** What the browser adds by itself to everything. */
  get #outputMs() {
    return synth.latencyMs;
  }

  /** @param {number} lateMs */
  #learn(lateMs) {
    this.noteCount += 1;
    if (lateMs > this.delayMs) this.lateCount += 1;
    this.lateness.push(lateMs);
    if (this.lateness.length > KEPT) this.lateness.shift();
    if (this.lateness.length < 16) return;
    const sorted = [...this.lateness].sort((a, b) => a - b);
    const wanted = Math.min(MOST_MS, Math.max(LEAST_MS, sorted[Math.floor(sorted.length * COUNTED)] + SPARE_MS));
    // rises where notes come late, and falls so slowly that nobody hears it
    this.delayMs = wanted > this.delayMs ? Math.min(wanted, this.delayMs + 2) : Math.max(wanted, this.delayMs - 0.1);
  }

  /** @param {{pitch: number, on: boolean, velocity: number, role: string}} key */
  takeKey({ pitch, on: isOn, velocity, role }) {
    // a key ends the sound that it began, whatever its role or pitch would be now
    for (const each of ["melody", "hand"]) {
      const name = `${each}:${pitch}`;
      const begun = this.keys.get(name);
      if (!begun) continue;
      this.keys.delete(name);
      if (![...this.keys.values()].some((other) => other.role === begun.role && other.pitch === begun.pitch)) {
        synth.noteOff(begun.role, begun.pitch);
      }
    }
    if (!isOn) return;
    const moved = pitch + Number(settings.get(`semitones.${role}`) ?? 0) + 12 * Number(settings.get(`octave.${role}`) ?? 0);
    if (moved < 0 || moved > 127) return;
    this.keys.set(`${role}:${pitch}`, { role, pitch: moved, velocity });
    if (!this.soundsHere) return;
    if (synth.isReady) synth.noteOn(role, moved, velocity);
    else this.#wake();
  }

  /** The first key wakes the sound up: what is still down then begins. */
  async #wake() {
    if (this.isWaking) return;
    this.isWaking = true;
    await synth.start().catch(() => {});
    this.isWaking = false;
    for (const { role, pitch, velocity } of this.keys.values()) {
      synth.noteOn(role, pitch, velocity);
    }
  }

  /** End the band's notes here. */
  silenceBand() {
    for (const { role } of this.sounding.values()) synth.silence(role);
    this.sounding.clear();
  }

  /** End the band's notes and the keys. */
  silence() {
    this.silenceBand();
    for (const { role, pitch } of this.keys.values()) synth.noteOff(role, pitch);
    this.keys.clear();
  }

  /** End all that sounds on the page. */
  panic() {
    this.sounding.clear();
    this.keys.clear();
    synth.panic();
  }
}

/** @returns {Place | null} */
function readChoice() {
  try {
    const kept = localStorage.getItem(CHOICE_KEY);
    return kept === "page" || kept === "band" || kept === "both" ? kept : null;
  } catch {
    return null;
  }
}

export const liveSound = new LiveSound();
export const shown = { liveSound };

/** Follow the band, the keys and what ends them. */
export function setUp() {
  on("live:note", (note) => liveSound.takeNote(note));
  on("played", (key) => liveSound.takeKey(key));
  on("live:closed", () => liveSound.silenceBand());
  on("live:lost", () => liveSound.silenceBand()); // among what was lost there may be ends of notes
  on("live:band", ({ status }) => status !== "playing" && liveSound.silenceBand());
  on("panic", () => liveSound.panic());
  window.addEventListener("pagehide", () => synth.panic());
  const wake = () => synth.start().catch(() => {});
  for (const gesture of ["pointerdown", "keydown"]) window.addEventListener(gesture, wake, { once: true, capture: true });
  synth.prepare().catch((error) => console.warn("sound:", error));
}
