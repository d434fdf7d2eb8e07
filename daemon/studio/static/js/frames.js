/** A count of the frames that were painted while something moved, and of those that came too late to be seen. */

const FRAME_MS = 1000 / 60;
/** a frame that comes later than this has missed at least one refresh of a screen at 60 Hz */
const LATE_MS = FRAME_MS * 1.5;

export class Frames {
  constructor() {
    this.painted = 0;
    this.dropped = 0;
    this.worstMs = 0;
    /** time that painting took in all, in ms */
    this.paintMs = 0;
    this.before = NaN;
  }

  /** Begin to count anew. */
  reset() {
    Object.assign(this, new Frames());
  }

  /** Note that what moved stands still: the next frame follows no other. */
  pause() {
    this.before = NaN;
  }

  /**
   * Count a frame.
   * @param {number} nowMs the time that requestAnimationFrame tells
   * @param {number} paintMs how long painting it took
   */
  count(nowMs, paintMs) {
    const passed = nowMs - this.before;
    this.before = nowMs;
    this.painted += 1;
    this.paintMs += paintMs;
    if (!(passed > 0)) return;
    if (passed > this.worstMs) this.worstMs = passed;
    if (passed > LATE_MS) this.dropped += Math.round(passed / FRAME_MS) - 1;
  }

  /** The share of frames that were dropped, 0 to 1. */
  get share() {
    const all = this.painted + this.dropped;
    return all ? this.dropped / all : 0;
  }
}
