/** The band's musical time on the page's clock: from the last `tempo` event, on at its tempo while the band plays. */

import { live } from "./live.js";

const TICKS_PER_BEAT = 24;
const MS_PER_MINUTE = 60_000;

/** True while the band's time goes on. */
export function isPlaying() {
  const { playing, tick, at } = live.state;
  return Boolean(playing) && tick !== null && tick !== undefined && at !== null && at !== undefined;
}

/**
 * Return the tick at a moment of the page, with its fraction; null before the band has played.
 * @param {number} pageMs on performance.now()'s scale
 * @returns {number | null}
 */
export function tickAt(pageMs) {
  const { playing, tick, at, bpm } = live.state;
  if (tick === null || tick === undefined) return null;
  if (!playing || !live.open) return tick;
  return tick + ((pageMs - live.toPageMs(at)) * bpm * TICKS_PER_BEAT) / MS_PER_MINUTE;
}

/**
 * Return the tick of a moment of the band (ns of its monotonic clock); null before it has played.
 * @param {number} ns
 * @returns {number | null}
 */
export function tickOfNs(ns) {
  const { tick, at, bpm } = live.state;
  if (tick === null || tick === undefined) return null;
  return tick + (((ns - at) / 1e6) * bpm * TICKS_PER_BEAT) / MS_PER_MINUTE;
}
