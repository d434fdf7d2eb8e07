/** The chords that a band plays, found in its notes, where nobody has told which they are: one for each half bar. */

/** @typedef {import("./note_list.js").NoteList} NoteList */

const NAMES = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
/** intervals of each kind of chord, and how much the notes must speak for it rather than for a simpler one */
const KINDS = /** @type {const} */ ([
  ["maj", [0, 4, 7], 0],
  ["min", [0, 3, 7], 0],
  ["7", [0, 4, 7, 10], 0.04],
  ["min7", [0, 3, 7, 10], 0.04],
  ["maj7", [0, 4, 7, 11], 0.05],
  ["sus4", [0, 5, 7], 0.06],
  ["dim", [0, 3, 6], 0.04],
]);
const WEIGHTS = { chords: 1, pad: 1, bass: 1.2, hand: 1, melody: 0.25, edits: 0.25 };
/** the bass's share that speaks for its note as the root */
const ROOT_BONUS = 0.25;
/** notes beside the chord count against it */
const FOREIGN_COST = 0.7;
const LEAST_SCORE = 0.45;

const chroma = new Float64Array(12);
const bass = new Float64Array(12);

/**
 * Add what sounds between two ticks to the chroma.
 * @param {NoteList} list
 * @param {number} from
 * @param {number} to
 */
function listen(list, from, to) {
  for (let index = list.firstAt(from); index < list.notes.length; index += 1) {
    const { tick, length, pitch, role } = list.notes[index];
    if (tick >= to) break;
    const weight = WEIGHTS[/** @type {keyof typeof WEIGHTS} */ (role)];
    const ticks = Math.min(to, tick + length) - Math.max(from, tick);
    if (!weight || ticks <= 0) continue;
    chroma[pitch % 12] += weight * ticks;
    if (role === "bass") bass[pitch % 12] += ticks;
  }
}

/** Return the label of the chord that the chroma speaks for; null where it is not clear. */
function name() {
  const all = chroma.reduce((sum, part) => sum + part, 0);
  if (!all) return null;
  const low = bass.reduce((sum, part) => sum + part, 0) || 1;
  let best = LEAST_SCORE;
  let found = null;
  for (let root = 0; root < 12; root += 1) {
    if (!chroma[root]) continue;
    for (const [kind, intervals, cost] of KINDS) {
      let inside = 0;
      for (const interval of intervals) inside += chroma[(root + interval) % 12];
      const score = (inside - FOREIGN_COST * (all - inside)) / all + (ROOT_BONUS * bass[root]) / low - cost;
      if (score <= best) continue;
      best = score;
      found = `${NAMES[root]}:${kind}`;
    }
  }
  return found;
}

/**
 * Return the chords between two ticks, as [tick, label], from the half bar in which the first one lies.
 * @param {NoteList[]} lists
 * @param {import("./bar_lines.js").BarLines} bars
 * @param {number} from
 * @param {number} to
 * @returns {[number, string][]}
 */
export function findChords(lists, bars, from, to) {
  /** @type {[number, string][]} */
  const found = [];
  let tick = from;
  while (tick < to) {
    const bar = bars.at(tick);
    const half = (bar.end - bar.tick) / 2;
    const length = half % bar.beat === 0 ? half : 2 * half;
    const begin = bar.tick + Math.floor((tick - bar.tick) / length) * length;
    const end = Math.min(begin + length, bar.end);
    chroma.fill(0);
    bass.fill(0);
    for (const list of lists) listen(list, begin, end);
    const label = name();
    if (label && label !== found[found.length - 1]?.[1]) found.push([begin, label]);
    tick = end;
  }
  return found;
}
