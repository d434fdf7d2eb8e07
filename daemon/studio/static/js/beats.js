/** Bars, beats and ticks (1/24 of a quarter note) of a metre such as "6/8". */

export const TICKS_PER_QUARTER = 24;

/**
 * Return the beats of a bar and the note value of one; 4/4 for "auto" and what is no metre.
 * @param {string | undefined} metre
 * @returns {{beats: number, ticksPerBeat: number, ticksPerBar: number}}
 */
export function readMetre(metre) {
  const found = /(\d+)\s*\/\s*(\d+)/.exec(metre ?? "");
  const beats = Number(found?.[1] ?? 4) || 4;
  const ticksPerBeat = (TICKS_PER_QUARTER * 4) / (Number(found?.[2] ?? 4) || 4);
  return { beats, ticksPerBeat, ticksPerBar: beats * ticksPerBeat };
}

/**
 * Return how long a tick is.
 * @param {number} bpm quarter notes a minute
 */
export function msPerTick(bpm) {
  return 60_000 / (bpm * TICKS_PER_QUARTER);
}

/**
 * Return the clicks of a song from one tick up to another: beats, accented where a bar begins.
 * @param {[number, string][]} metres from which tick on each metre holds
 * @param {number} from
 * @param {number} to
 * @returns {{tick: number, accent: boolean}[]}
 */
export function listClicks(metres, from, to) {
  const clicks = [];
  for (const [index, [begin, metre]] of metres.entries()) {
    const end = Math.min(to, metres[index + 1]?.[0] ?? Infinity);
    const { ticksPerBeat, ticksPerBar } = readMetre(metre);
    const first = begin + Math.ceil((Math.max(from, begin) - begin) / ticksPerBeat) * ticksPerBeat;
    for (let tick = first; tick < end; tick += ticksPerBeat) {
      clicks.push({ tick, accent: (tick - begin) % ticksPerBar === 0 });
    }
  }
  return clicks;
}
