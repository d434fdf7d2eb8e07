/** The connection to the studio's server: requests, events, the band's state, and the band's time on the page's clock. */

import { emit, on } from "./bus.js";
import { ClockOffset } from "./clock_offset.js";

const RETRY_FIRST_MS = 250;
const RETRY_MOST_MS = 4000;
const CLOCK_EVERY_MS = 2000;
const CLOCK_AT_FIRST = 6;
const ANSWER_WITHIN_MS = 10_000;

class Live {
  constructor() {
    /** the state that the control socket tells, kept up to date by its events; empty until the first hello */
    this.state = /** @type {Record<string, any>} */ ({});
    /** @type {any} the server's first message */
    this.hello = null;
    /** @type {{status: string, own?: boolean, ports?: boolean}} */
    this.band = { status: "absent" };
    this.open = false;
    /** true while what is played on the page is passed to the band */
    this.passesKeys = true;
    this.clock = new ClockOffset();
    /** @type {WebSocket | null} */
    this.socket = null;
    this.retryMs = RETRY_FIRST_MS;
    this.retryTimer = 0;
    this.serial = 0;
    /** @type {Map<number, {resolve: function(any): void, reject: function(Error): void, timer: number}>} */
    this.waiting = new Map();
  }

  /** Connect, and connect again whenever the connection is lost. */
  connect() {
    clearTimeout(this.retryTimer);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live`);
    this.socket = socket;
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", () => this.#lose(socket));
  }

  /**
   * Send a request and return its answer; rejects with the sentence where it is refused.
   * @param {string} op
   * @param {Record<string, any>} [members]
   * @param {number} [withinMs] how long the answer may take
   * @returns {Promise<any>}
   */
  request(op, members = {}, withinMs = ANSWER_WITHIN_MS) {
    if (!this.open) return Promise.reject(new Error("The studio is not connected: it tries again by itself."));
    const id = ++this.serial;
    this.socket?.send(JSON.stringify({ id, op, ...members }));
    return new Promise((resolve, reject) => {
      const timer = window.setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error("The band did not answer in time: try again."));
      }, withinMs);
      this.waiting.set(id, { resolve, reject, timer });
    });
  }

  /**
   * Turn one of the band's controls.
   * @param {string} key
   * @param {any} value
   */
  set(key, value) {
    return this.request("set", { key, value });
  }

  /** True while there is a band that can be told something. */
  get hasBand() {
    return this.open && this.band.status === "playing";
  }

  /**
   * Return a moment of the band on performance.now()'s scale.
   * @param {number} ns of the machine's monotonic clock
   */
  toPageMs(ns) {
    return ns / 1e6 + this.clock.offsetMs;
  }

  /** @param {string} text */
  #receive(text) {
    const message = JSON.parse(text);
    if (message.event === "clock") this.clock.take(message.t, message.now, performance.now());
    else if (message.event === "hello") this.#greet(message);
    else if (message.event) this.#tell(message);
    else this.#answer(message);
  }

  /** @param {any} message */
  #greet(message) {
    this.open = true;
    this.retryMs = RETRY_FIRST_MS;
    this.hello = message;
    this.state = message.state ?? {};
    this.band = message.band ?? { status: "absent" };
    this.clock.reset();
    this.clock.guess(message.now, performance.now());
    for (let each = 0; each < CLOCK_AT_FIRST; each += 1) window.setTimeout(() => this.#askClock(), each * 40);
    emit("live:hello", message);
    emit("live:open", message);
  }

  /** @param {any} message an event of the control socket or the server */
  #tell(message) {
    const { event } = message;
    if (event === "controls") this.state.controls = message.controls;
    else if (event === "counters") this.state.counters = message.counters;
    else if (event === "chord") this.state.chord = message;
    else if (event === "song") this.state.song = message;
    else if (event === "tempo") {
      const { bpm, playing, tick, at, waiting_for } = message;
      Object.assign(this.state, { bpm, playing, tick, at, waiting_for });
    } else if (event === "band") {
      this.band = message;
      if (message.state) this.state = message.state;
    }
    emit(`live:${event}`, message);
  }

  /** @param {any} message */
  #answer(message) {
    const waiting = this.waiting.get(message.id);
    if (!waiting) return;
    this.waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.ok) waiting.resolve(message);
    else waiting.reject(new Error(message.error ?? "That was refused."));
  }

  /** @param {WebSocket} socket */
  #lose(socket) {
    if (socket !== this.socket) return;
    this.open = false;
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer);
      reject(new Error("The connection to the studio was lost: it tries again by itself."));
    }
    this.waiting.clear();
    emit("live:closed");
    this.retryTimer = window.setTimeout(() => this.connect(), this.retryMs);
    this.retryMs = Math.min(RETRY_MOST_MS, this.retryMs * 2);
  }

  /** Read the band's whole state anew: events have been lost. */
  async #catchUp() {
    try {
      const { state } = await this.request("get");
      this.state = state;
      emit("live:controls", { event: "controls", controls: state.controls });
      emit("live:tempo", { event: "tempo", ...state });
    } catch {
      // there is no band to ask: the next greeting tells its state
    }
  }

  #askClock() {
    if (this.open) this.socket?.send(JSON.stringify({ op: "clock", t: performance.now() }));
  }

  /** Begin: connect, measure the clock now and then, and pass what is played on the page to the band. */
  setUp() {
    window.setInterval(() => this.#askClock(), CLOCK_EVERY_MS);
    on("key", ({ pitch, on: down, velocity }) => {
      if (!this.hasBand || (down && !this.passesKeys)) return;
      this.socket?.send(JSON.stringify({ id: ++this.serial, op: "play", pitch, on: down, velocity }));
    });
    on("live:lost", () => this.#catchUp());
    this.connect();
  }
}

export const live = new Live();

/** Connect the page. */
export function setUp() {
  live.setUp();
}
