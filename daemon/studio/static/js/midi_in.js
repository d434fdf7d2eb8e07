/** MIDI keyboards of this computer, by Web MIDI: asked for only when somebody wants them, found as they come and go. */

import { emit, on } from "./bus.js";
import { noteInput } from "./note_input.js";

const NOTE_OFF = 0x80;
const NOTE_ON = 0x90;
const CONTROL_CHANGE = 0xb0;
const SUSTAIN = 64;
const ALL_SOUND_OFF = 120;
const ALL_NOTES_OFF = 123;

class MidiIn {
  constructor() {
    /** @type {"idle" | "asking" | "connected" | "denied" | "unsupported"} */
    this.state = "requestMIDIAccess" in navigator ? "idle" : "unsupported";
    /** @type {MIDIAccess | null} */
    this.access = null;
    /** @type {Map<string, {pedal: boolean, waiting: Set<number>}>} what the pedal of each device holds */
    this.pedals = new Map();
  }

  /** The names of the devices that are heard. */
  get names() {
    return this.#inputs().map(({ name }) => name ?? "MIDI device");
  }

  /** Return how it stands in a sentence. */
  describe() {
    if (this.state === "unsupported") return "This browser does not hear MIDI keyboards; Chromium, Edge and Firefox do.";
    if (this.state === "denied") return "The browser keeps MIDI from this page: allow it in the settings of the site.";
    if (this.state !== "connected") return "";
    return this.names.length ? `MIDI: ${this.names.join(", ")}` : "No MIDI keyboard yet: plug one in.";
  }

  /** Ask the browser for MIDI; only in answer to a click or a key. */
  async connect() {
    if (this.state === "connected" || this.state === "asking" || this.state === "unsupported") return;
    this.#become("asking");
    try {
      this.access = await navigator.requestMIDIAccess({ sysex: false });
    } catch {
      this.#become("denied");
      return;
    }
    this.access.addEventListener("statechange", () => this.#bind());
    this.#become("connected");
    this.#bind();
  }

  /** Connect at once where the page was allowed to before. */
  async connectAgain() {
    try {
      const permission = await navigator.permissions.query({ name: /** @type {PermissionName} */ ("midi") });
      if (permission.state === "granted") await this.connect();
    } catch {
      // a browser that cannot tell: the button asks
    }
  }

  /** @param {MidiIn["state"]} state */
  #become(state) {
    this.state = state;
    emit("midi", { state });
  }

  /** Return the inputs, but for the band's own output, which it would play to itself. */
  #inputs() {
    const all = this.access ? [...this.access.inputs.values()] : [];
    return all.filter(({ name, state }) => state === "connected" && !/houseband/i.test(name ?? ""));
  }

  /** Listen to what is plugged in now, and end what a device that is gone held. */
  #bind() {
    const inputs = this.#inputs();
    const there = new Set(inputs.map(({ id }) => id));
    for (const id of [...this.pedals.keys()].filter((each) => !there.has(each))) {
      this.pedals.delete(id);
      noteInput.releaseAll(`midi ${id}`);
    }
    for (const input of inputs) {
      if (!this.pedals.has(input.id)) this.pedals.set(input.id, { pedal: false, waiting: new Set() });
      input.onmidimessage = (event) => this.#hear(input.id, event);
    }
    emit("midi", { state: this.state });
  }

  /**
   * @param {string} id
   * @param {MIDIMessageEvent} event
   */
  #hear(id, { data, timeStamp }) {
    const held = this.pedals.get(id);
    if (!data || data.length < 3 || !held) return;
    const [status, number, value] = data;
    const kind = status & 0xf0;
    if (kind === NOTE_ON && value) {
      held.waiting.delete(number);
      noteInput.release(number, `midi ${id}`, timeStamp); // where the pedal held it
      noteInput.press(number, `midi ${id}`, value, timeStamp);
    } else if (kind === NOTE_OFF || kind === NOTE_ON) {
      if (held.pedal) held.waiting.add(number);
      else noteInput.release(number, `midi ${id}`, timeStamp);
    } else if (kind === CONTROL_CHANGE) this.#control(id, held, number, value, timeStamp);
  }

  /**
   * @param {string} id
   * @param {{pedal: boolean, waiting: Set<number>}} held
   * @param {number} number
   * @param {number} value
   * @param {number} atMs
   */
  #control(id, held, number, value, atMs) {
    if (number === SUSTAIN) {
      held.pedal = value >= 64;
      if (held.pedal) return;
      for (const pitch of held.waiting) noteInput.release(pitch, `midi ${id}`, atMs);
      held.waiting.clear();
    } else if (number === ALL_NOTES_OFF || number === ALL_SOUND_OFF) {
      held.waiting.clear();
      noteInput.releaseAll(`midi ${id}`);
    } else emit("midi:control", { number, value, channel: 0, device: id });
  }
}

export const midiIn = new MidiIn();

/** End what the pedals hold after a panic. */
export function setUp() {
  on("panic", () => {
    for (const held of midiIn.pedals.values()) held.waiting.clear();
    noteInput.releaseAll();
  });
}
