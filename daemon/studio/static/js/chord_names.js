/** Chord labels of Harte et al., such as "F:min7/b3", as musicians write them: Fm7/A♭. */

const KINDS = {
  "": "",
  maj: "",
  min: "m",
  dim: "dim",
  aug: "aug",
  maj6: "6",
  min6: "m6",
  7: "7",
  maj7: "maj7",
  min7: "m7",
  minmaj7: "m(maj7)",
  dim7: "dim7",
  hdim7: "m7♭5",
  sus2: "sus2",
  sus4: "sus4",
  9: "9",
  maj9: "maj9",
  min9: "m9",
  11: "11",
  13: "13",
  5: "5",
  1: "1",
};
const NATURALS = { C: 0, D: 2, E: 4, F: 5, G: 7, A: 9, B: 11 };
const LETTERS = "CDEFGAB";
const DEGREES = [0, 2, 4, 5, 7, 9, 11];

/** @param {string} text */
function withSigns(text) {
  return text.replaceAll("b", "♭").replaceAll("#", "♯");
}

/**
 * Return the note that is so many degrees above a root: the letter by the degree, the accidental by the semitones.
 * @param {string} root
 * @param {string} degree "b3", "5", ...
 */
function findBass(root, degree) {
  const number = Number(degree.replace(/[b#]/g, ""));
  if (!(number >= 1)) return withSigns(degree);
  const bend = (/** @type {string} */ text) => text.split("#").length - text.split("b").length;
  const step = (number - 1) % 7;
  const letter = LETTERS[(LETTERS.indexOf(root[0]) + step) % 7];
  const rootPitch = NATURALS[/** @type {keyof typeof NATURALS} */ (root[0])] + bend(root.slice(1));
  const wanted = rootPitch + DEGREES[step] + bend(degree);
  const off = ((((wanted - NATURALS[/** @type {keyof typeof NATURALS} */ (letter)] + 6) % 12) + 12) % 12) - 6;
  return letter + (off > 0 ? "♯" : "♭").repeat(Math.abs(off));
}

/**
 * Return a chord as musicians write it; "" where there is none.
 * @param {string | null | undefined} label
 */
export function nameChord(label) {
  if (!label || label === "X") return "";
  if (label === "N") return "N.C.";
  const read = /^([A-G][b#]*)(?::([^/(]*))?(\([^)]*\))?(?:\/(.+))?$/.exec(label);
  if (!read) return label;
  const [, root, kind = "", added = "", bass] = read;
  const known = KINDS[/** @type {keyof typeof KINDS} */ (kind)] ?? kind;
  return withSigns(root) + known + withSigns(added) + (bass ? `/${findBass(root, bass)}` : "");
}
