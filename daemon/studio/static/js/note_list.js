/** Notes in the order of their beginnings, of which those in a range of time are found quickly. */

/**
 * A note on the page.
 * @typedef {object} RollNote
 * @property {string} role
 * @property {number} tick its beginning, in 1/24 beat from bar 1
 * @property {number} pitch
 * @property {number} length in ticks; while it is held, what has sounded of it
 * @property {number} velocity
 * @property {boolean} [held] it goes on: its end is not known yet
 * @property {number} [index] its place among those of its role, where an editor has them
 * @property {boolean} [selected]
 * @property {string} [mark] "pale", "added" (outlined) or "removed" (hollow)
 */

export class NoteList {
  /** @param {RollNote[]} [notes] */
  constructor(notes = []) {
    /** @type {RollNote[]} by their ticks */
    this.notes = [...notes].sort((one, other) => one.tick - other.tick);
    this.longest = 0;
    this.low = 128;
    this.high = -1;
    /** @type {Record<string, number>} how many notes each role has */
    this.counts = {};
    for (const note of this.notes) this.#measure(note);
  }

  /** @param {RollNote} note */
  add(note) {
    let place = this.notes.length;
    while (place && this.notes[place - 1].tick > note.tick) place -= 1;
    if (place === this.notes.length) this.notes.push(note);
    else this.notes.splice(place, 0, note);
    this.#measure(note);
  }

  /**
   * Take a note's length as it is now; a note that grew is found by where it reaches.
   * @param {RollNote} note
   */
  grow(note) {
    if (note.length > this.longest) this.longest = note.length;
  }

  clear() {
    this.notes.length = 0;
    this.longest = 0;
    this.low = 128;
    this.high = -1;
    this.counts = {};
  }

  /** The first tick at which nothing sounds any more. */
  get end() {
    let end = 0;
    for (let index = this.notes.length - 1; index >= 0; index -= 1) {
      const note = this.notes[index];
      if (note.tick + this.longest < end) break;
      end = Math.max(end, note.tick + note.length);
    }
    return end;
  }

  /**
   * Return the index of the first note that may reach into what begins at a tick; those from there on are in order.
   * @param {number} tick
   */
  firstAt(tick) {
    const wanted = tick - this.longest;
    let low = 0;
    let high = this.notes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.notes[middle].tick < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {RollNote} note */
  #measure(note) {
    this.counts[note.role] = (this.counts[note.role] ?? 0) + 1;
    if (note.length > this.longest) this.longest = note.length;
    if (note.role === "drums") return;
    if (note.pitch < this.low) this.low = note.pitch;
    if (note.pitch > this.high) this.high = note.pitch;
  }
}
