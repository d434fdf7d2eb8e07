/**
 * The synthesiser of the page: a General MIDI soundfont in an AudioWorklet. Roles play on channels of their own; moments
 * are on performance.now()'s scale, and are those at which a sound is *heard*, as far as the browser knows its latency.
 *
 * Everything that begins is ended: `silence` also takes back notes that are still to come.
 */

import { WorkletSynthesizer } from "../vendor/spessasynth_lib.js";
import { AudioClock } from "./audio_clock.js";
import { emit } from "./bus.js";
import { ClickSound } from "./click_sound.js";
import { SynthOutput } from "./synth_output.js";
import { everyTick } from "./ticker.js";

/** role -> MIDI channel, as the band has them */
const CHANNELS = { melody: 0, bass: 1, chords: 2, pad: 3, edits: 4, hand: 5, drums: 9 };
/** role -> General MIDI program (from 1) where none is chosen */
export const USUAL_PROGRAMS = { melody: 1, hand: 1, bass: 34, chords: 5, pad: 90, edits: 1, drums: 1 };
/** role -> strength: measured, so that the melody is heard above the band, by 4 to 8 LU */
const BALANCE = { melody: 1, hand: 0.5, bass: 0.45, chords: 0.38, pad: 1.2, edits: 1, drums: 0.65 };
const ALL_SOUND_OFF = 120;
/** a note has begun so long after its moment: a block of 128 samples lasts less, from 22 kHz on */
const BEGUN_AFTER_S = 0.006;
const CLOCK_EVERY_TICKS = 10;
const RESUME_WITHIN_MS = 1000;

/** @typedef {{level: number, mute: boolean, solo: boolean, program: number}} Strip */

class Synth {
  constructor() {
    /** @type {"idle" | "loading" | "ready" | "failed"} */
    this.state = "idle";
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {SynthOutput | null} */
    this.output = null;
    /** @type {Record<string, Strip>} */
    this.mix = {};
    for (const role of Object.keys(CHANNELS)) this.mix[role] = { level: 1, mute: false, solo: false, program: 0 };
    this.volume = 1;
    /** what the browser does not know of, such as wireless headphones: ms by which everything sounds later */
    this.extraLatencyMs = 0;
    /** the name of the soundfont */
    this.soundfont = "";
    /** how long it took to get ready, in ms */
    this.readyMs = NaN;
    /** @type {any} */
    this.worklet = null;
    /** @type {ClickSound | null} */
    this.clicks = null;
    /** @type {AudioClock | null} */
    this.clock = null;
    /** @type {Promise<void> | null} */
    this.preparing = null;
    /** @type {{channel: number, atS: number}[]} onsets of the last second, and those to come */
    this.coming = [];
    /** @type {Record<string, number>} role -> program (from 0) that the synthesiser was told */
    this.programs = {};
    /** @type {(function(): void) | null} */
    this.stopMeasuring = null;
    this.ticks = 0;
  }

  /** The master's AnalyserNode, null before the sound is prepared. */
  get analyser() {
    return this.output?.analyser ?? null;
  }

  /** True while what is played is heard. */
  get isReady() {
    return this.state === "ready" && this.context?.state === "running";
  }

  /** Milliseconds from a note's beginning to its being heard. */
  get latencyMs() {
    const { baseLatency = 0, outputLatency = 0 } = this.context ?? {};
    return Math.max(baseLatency, outputLatency) * 1000 + this.extraLatencyMs;
  }

  /** Load the soundfont and the synthesiser; this may be done before the page is touched. */
  prepare() {
    this.preparing ??= this.#prepare().catch((error) => {
      this.preparing = null;
      this.#turn("failed");
      throw error;
    });
    return this.preparing;
  }

  /** Begin to sound: browsers allow it once the page has been clicked or a key was pressed. */
  async start() {
    const prepared = this.prepare();
    this.context?.resume().catch(() => {});
    await prepared;
    if (this.isReady) return;
    // a page that nobody has touched stays silent, and what waits for the sound goes on without it
    const patience = new Promise((resolve) => window.setTimeout(resolve, RESUME_WITHIN_MS));
    await Promise.race([this.context?.resume(), patience]);
  }

  async #prepare() {
    const begin = performance.now();
    this.#turn("loading");
    const font = this.#fetchSoundfont();
    font.catch(() => {}); // it is awaited below; until then nobody else hears of a failure
    this.context?.close(); // of a try that failed
    this.programs = {};
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    this.clock = new AudioClock(context);
    context.addEventListener("statechange", () => this.#followContext());
    await context.audioWorklet.addModule(new URL("./synth_clock_worklet.js", import.meta.url));
    await context.audioWorklet.addModule(new URL("../vendor/spessasynth_processor.min.js", import.meta.url));
    this.output = new SynthOutput(context, BALANCE);
    this.clicks = new ClickSound(context, this.output.master);
    const worklet = new WorkletSynthesizer(context, { eventsEnabled: false });
    for (const [role, channel] of Object.entries(CHANNELS)) {
      const strip = this.output.strips.get(role);
      if (strip) worklet.connectChannel(strip.gate, channel);
    }
    worklet.setSystemParameter("effectsEnabled", false); // the output has a room, after the switches of the roles
    await worklet.isReady;
    await worklet.soundBankManager.addSoundBank(await font, "soundfont");
    this.worklet = worklet;
    for (const role of Object.keys(CHANNELS)) this.#applyStrip(role);
    this.output.setVolume(this.volume);
    this.readyMs = performance.now() - begin;
    this.#turn("ready");
  }

  /** @returns {Promise<ArrayBuffer>} */
  async #fetchSoundfont() {
    const response = await fetch("/soundfont");
    if (!response.ok) throw new Error("The sound cannot be loaded: reload the page to try again.");
    this.soundfont = decodeURIComponent(response.headers.get("X-Soundfont") ?? "");
    const problem = response.headers.get("X-Soundfont-Problem");
    if (problem) emit("synth:problem", decodeURIComponent(problem));
    return response.arrayBuffer();
  }

  #followContext() {
    this.clock?.reset();
    if (this.context?.state === "running") {
      this.stopMeasuring ??= everyTick(() => this.#measureClock());
    } else {
      this.stopMeasuring?.();
      this.stopMeasuring = null;
    }
    emit("synth:state", this.state);
  }

  #measureClock() {
    this.ticks = (this.ticks + 1) % CLOCK_EVERY_TICKS;
    if (this.ticks === 0) this.clock?.measure();
  }

  /** @param {"loading" | "ready" | "failed"} state */
  #turn(state) {
    this.state = state;
    emit("synth:state", state);
  }

  /**
   * Begin a note.
   * @param {string} role
   * @param {number} pitch
   * @param {number} velocity
   * @param {number} [whenMs] when it is heard; as soon as possible where it is left out or too late
   * @param {{isScaled?: boolean}} [options] isScaled: the role's level is in the velocity already
   */
  noteOn(role, pitch, velocity, whenMs, { isScaled = false } = {}) {
    const strip = this.mix[role];
    if (!this.isReady || !strip) return;
    const level = isScaled ? 1 : strip.level;
    if (level === 0) return;
    const loud = Math.max(1, Math.min(127, Math.round(velocity * level)));
    const atS = this.#toAudioTime(whenMs);
    const channel = CHANNELS[/** @type {keyof typeof CHANNELS} */ (role)];
    if (atS > this.worklet.currentTime - BEGUN_AFTER_S) this.#note(channel, atS);
    this.worklet.noteOn(channel, pitch, loud, { time: atS });
  }

  /**
   * End a note. It must not be earlier than the note's beginning.
   * @param {string} role
   * @param {number} pitch
   * @param {number} [whenMs]
   */
  noteOff(role, pitch, whenMs) {
    if (!this.worklet || !(role in CHANNELS)) return;
    const channel = CHANNELS[/** @type {keyof typeof CHANNELS} */ (role)];
    this.worklet.noteOff(channel, pitch, { time: this.#toAudioTime(whenMs) });
  }

  /**
   * End what a role, or everybody, plays, and take back what is to come.
   * @param {string} [role]
   */
  silence(role) {
    if (!this.worklet) return;
    const channels = role ? [CHANNELS[/** @type {keyof typeof CHANNELS} */ (role)]] : Object.values(CHANNELS);
    const now = this.worklet.currentTime;
    for (const channel of channels) this.worklet.controllerChange(channel, ALL_SOUND_OFF, 0);
    for (const { channel, atS } of this.coming) {
      if (atS <= now - 1 || !channels.includes(channel)) continue;
      // The synthesiser plays what it was given; at the same moment, before a sample of it is made, it ends. Where that
      // moment has passed already, but its block has not been begun, an end at once would come before the beginning:
      // a block later it has begun for certain.
      this.worklet.controllerChange(channel, ALL_SOUND_OFF, 0, { time: atS });
      this.worklet.controllerChange(channel, ALL_SOUND_OFF, 0, { time: atS + BEGUN_AFTER_S });
    }
    this.coming = this.coming.filter(({ channel, atS }) => atS > now - 1 && !channels.includes(channel));
    if (!role) this.clicks?.silence();
  }

  /** End everything at once, however it came to sound. */
  panic() {
    this.silence();
    this.worklet?.stopAll(true);
  }

  /**
   * Click, as a metronome does.
   * @param {number} whenMs
   * @param {boolean} accent
   */
  click(whenMs, accent) {
    if (this.isReady) this.clicks?.play(this.#toAudioTime(whenMs), accent);
  }

  /**
   * Change how a role sounds.
   * @param {string} role
   * @param {Partial<Strip>} changes
   */
  setMix(role, changes) {
    if (!this.mix[role]) return;
    Object.assign(this.mix[role], changes);
    for (const each of "solo" in changes ? Object.keys(this.mix) : [role]) this.#applyStrip(each);
  }

  /** @param {number} volume of everything; 1 is as usual */
  setVolume(volume) {
    this.volume = volume;
    this.output?.setVolume(volume);
  }

  /**
   * Return how loud a role is just now, 0..1.
   * @param {string} role
   */
  peak(role) {
    return this.output?.peak(role) ?? 0;
  }

  /** @param {string} role */
  #applyStrip(role) {
    if (!this.worklet || !this.output) return;
    const { mute, solo, level, program } = this.mix[role];
    const isSoloed = Object.values(this.mix).some((strip) => strip.solo);
    this.output.setHeard(role, !mute && level > 0 && (solo || !isSoloed));
    const usual = /** @type {Record<string, number>} */ (USUAL_PROGRAMS)[role];
    const channel = CHANNELS[/** @type {keyof typeof CHANNELS} */ (role)];
    const wanted = (program || usual) - 1;
    if (this.programs[role] !== wanted) this.worklet.programChange(channel, wanted);
    this.programs[role] = wanted;
  }

  /**
   * @param {number} channel
   * @param {number} atS
   */
  #note(channel, atS) {
    const now = this.worklet.currentTime;
    if (this.coming.length > 200) this.coming = this.coming.filter((each) => each.atS > now - 1);
    this.coming.push({ channel, atS });
  }

  /** @param {number | undefined} whenMs */
  #toAudioTime(whenMs) {
    if (whenMs === undefined || !this.clock) return 0;
    return Math.max(0, this.clock.toAudioTime(whenMs - this.extraLatencyMs));
  }
}

export const synth = new Synth();
export const shown = { synth };
