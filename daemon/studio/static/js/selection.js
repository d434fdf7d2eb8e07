/**
 * Changes of notes as pure functions: each takes an item's notes and the selected ones, and returns both anew.
 *
 * Notes are arrays [tick, pitch, length, velocity] in lists by role; a selected note is "role:index" into the list.
 */

/**
 * @typedef {[number, number, number, number]} Note
 * @typedef {Record<string, Note[]>} Notes
 * @typedef {{notes: Notes, selected: Set<string>}} Edited
 */

export const MAX_PITCH = 127;
export const MAX_VELOCITY = 127;

/** Return the name by which a note is selected. @param {string} role @param {number} index */
export const keyOf = (role, index) => `${role}:${index}`;

/** Return role and index of a selected note. @param {string} key @returns {[string, number]} */
export function readKey(key) {
  const at = key.lastIndexOf(":");
  return [key.slice(0, at), Number(key.slice(at + 1))];
}

/** Return the selected notes with their roles, in the order of time. @param {Notes} notes @param {Set<string>} selected */
export function pick(notes, selected) {
  return [...selected]
    .map((key) => {
      const [role, index] = readKey(key);
      return { role, index, note: notes[role]?.[index] };
    })
    .filter((found) => found.note)
    .sort((a, b) => a.note[0] - b.note[0] || a.note[1] - b.note[1]);
}

/** Return all notes of some roles in the order of time. @param {Notes} notes @param {string[]} roles */
export function listNotes(notes, roles) {
  const all = roles.flatMap((role) => (notes[role] ?? []).map((note, index) => ({ role, index, note })));
  return all.sort((a, b) => a.note[0] - b.note[0] || a.note[1] - b.note[1]);
}

/**
 * Return the notes with each selected one changed by a function; a note that the function drops (null) is gone.
 *
 * @param {Notes} notes
 * @param {Set<string>} selected
 * @param {(note: Note, role: string) => {role?: string, note: Note}|null} change
 * @returns {Edited}
 */
export function changeNotes(notes, selected, change) {
  /** @type {Notes} */
  const others = {};
  for (const [role, list] of Object.entries(notes)) others[role] = list.filter((_, i) => !selected.has(keyOf(role, i)));
  const changed = pick(notes, selected).flatMap(({ role, note }) => {
    const made = change([...note], role);
    return made ? [{ role: made.role ?? role, note: made.note }] : [];
  });
  return addNotes(others, changed);
}

/**
 * Return the notes with others added, which are the selected ones then.
 *
 * @param {Notes} notes
 * @param {{role: string, note: Note}[]} added
 * @returns {Edited}
 */
export function addNotes(notes, added) {
  /** @type {Notes} */
  const all = {};
  const fresh = new Set(added.map(({ note }) => note));
  for (const [role, list] of Object.entries(notes)) all[role] = [...list];
  for (const { role, note } of added) (all[role] ??= []).push(note);
  const selected = new Set();
  for (const [role, list] of Object.entries(all)) {
    list.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    list.forEach((note, i) => fresh.has(note) && selected.add(keyOf(role, i)));
  }
  return { notes: all, selected };
}

/** Return the notes with the selected ones moved, all of them by the same, within what there is. */
export function moveNotes(notes, selected, ticks, semitones) {
  const chosen = pick(notes, selected).map(({ note }) => note);
  if (!chosen.length) return { notes, selected };
  const earliest = Math.min(...chosen.map((note) => note[0]));
  const low = Math.min(...chosen.map((note) => note[1]));
  const high = Math.max(...chosen.map((note) => note[1]));
  const by = Math.max(ticks, -earliest);
  const up = Math.min(Math.max(semitones, -low), MAX_PITCH - high);
  return changeNotes(notes, selected, (n) => ({ note: [n[0] + by, n[1] + up, n[2], n[3]] }));
}

/** Return the notes with the selected ones longer by ticks, none shorter than a tick. */
export function stretchNotes(notes, selected, ticks) {
  return changeNotes(notes, selected, (n) => ({ note: [n[0], n[1], Math.max(1, n[2] + ticks), n[3]] }));
}

/** Return the notes with the selected ones louder by a number of velocities. */
export function louderNotes(notes, selected, by) {
  const clamp = (/** @type {number} */ v) => Math.min(MAX_VELOCITY, Math.max(1, v));
  return changeNotes(notes, selected, (n) => ({ note: [n[0], n[1], n[2], clamp(n[3] + by)] }));
}

/** Return the notes with the selected ones in another role. */
export function giveRole(notes, selected, role) {
  return changeNotes(notes, selected, (note) => ({ role, note }));
}

/** Return the notes without the selected ones. */
export function dropNotes(notes, selected) {
  return changeNotes(notes, selected, () => null);
}

/** Return the notes with the beginnings of the selected ones on a grid, and lengths of at least a tick. */
export function quantiseNotes(notes, selected, grid) {
  const round = (/** @type {number} */ tick) => Math.round(tick / grid) * grid;
  return changeNotes(notes, selected, (n) => {
    const from = round(n[0]);
    return { note: [from, n[1], Math.max(grid, round(n[0] + n[2]) - from), n[3]] };
  });
}
