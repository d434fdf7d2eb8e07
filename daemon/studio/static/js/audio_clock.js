/**
 * The relation between performance.now() and the audio clock: which moment of the page a sample is heard at.
 *
 * The browser's own answer moves by as much as a block of samples from one question to the next, so the median of the
 * last ones counts; a larger difference is a new device, or a pause, and counts at once.
 */

const KEPT = 15;
const JUMP_MS = 60;

export class AudioClock {
  /** @param {BaseAudioContext & {getOutputTimestamp?: function(): AudioTimestamp}} context */
  constructor(context) {
    this.context = context;
    /** @type {number[]} page's time less audio time, in ms, the last ones that were measured */
    this.offsets = [];
    this.offsetMs = 0;
  }

  /** Measure once more; call it now and then. */
  measure() {
    const { contextTime = 0, performanceTime = 0 } = this.context.getOutputTimestamp?.() ?? {};
    const now = performance.now();
    // before the first sample is heard, browsers answer zeros or old times
    const known = contextTime > 0 && performanceTime > 0 && now - performanceTime < 1000;
    const offset = known ? performanceTime - contextTime * 1000 : now - this.context.currentTime * 1000;
    if (this.offsets.length && Math.abs(offset - this.offsetMs) > JUMP_MS) this.offsets.length = 0;
    this.offsets.push(offset);
    if (this.offsets.length > KEPT) this.offsets.shift();
    this.offsetMs = median(this.offsets);
  }

  /** Forget what was measured: the clock has stood still. */
  reset() {
    this.offsets.length = 0;
  }

  /**
   * Return the audio time, in seconds, of what is heard at a moment of the page.
   * @param {number} pageMs
   */
  toAudioTime(pageMs) {
    if (!this.offsets.length) this.measure();
    return (pageMs - this.offsetMs) / 1000;
  }
}

/**
 * @param {number[]} numbers at least one
 * @returns {number}
 */
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
