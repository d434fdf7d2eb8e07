/**
 * Changing the notes of the item that is shown: what is selected, and what can be done with it.
 *
 * Each change is one step that can be undone, is shown at once and saved on the server at once. Emits `editor` whenever
 * notes, selection or the place of the cursor change.
 */
import { emit, on } from "./bus.js";
import { ROLE_NAMES } from "./colours.js";
import { documents } from "./documents.js";
import { attempt, say } from "./messages.js";
import * as change from "./selection.js";
import { TICKS_PER_BEAT, endOf, namePitch, tellCount, tellLength, tellPlace } from "./timeline.js";

/** @typedef {import("./selection.js").Notes} Notes */

const NEW_VELOCITY = 80;
const MIDDLE_C = 60;
const KICK = 36;

/** @type {{role: string, note: [number, number, number, number]}[]} what has been copied */
let copied = [];
/** Ids of the item whose notes are worked on, and of its revision. */
let shownId = "";
/** @type {Promise<any>|null} the end of the newest saving */
let saving = null;

export const editor = {
  /** @type {Notes} */
  notes: {},
  /** @type {Set<string>} */
  selected: new Set(),
  /** the role that new notes get */
  role: "melody",
  /** ticks of the grid to which what is done with the pointer and the arrow keys keeps */
  grid: TICKS_PER_BEAT / 4,
  /** true while a click adds a note */
  pencil: false,
  cursor: { tick: 0, pitch: MIDDLE_C },

  get hasCopied() {
    return copied.length > 0;
  },

  /** Return why the item cannot be changed, or "". */
  get refusal() {
    if (!documents.item) return "There is nothing to edit yet: record, import, or make a result first.";
    if (documents.item.kind === "take") return "A take stays as it was played: press Use as input, and edit that.";
    return "";
  },

  /** Select notes. @param {Iterable<string>} keys @param {boolean} [added] to those that are selected */
  select(keys, added = false) {
    const wanted = [...keys];
    this.selected = new Set(added ? [...this.selected, ...wanted] : wanted);
    const last = change.pick(this.notes, new Set(wanted)).at(-1);
    if (last) this.cursor = { tick: last.note[0], pitch: last.note[1] };
    tellSelection();
  },

  /** Select a note besides the others, or no more. @param {string} key */
  toggle(key) {
    const others = new Set(this.selected);
    if (!others.delete(key)) others.add(key);
    this.select(others);
  },

  /** Select all notes. */
  selectAll() {
    this.select(listAll().map(({ role, index }) => change.keyOf(role, index)));
  },

  /** Select the next or the previous note in time; returns false where there is none. @param {1|-1} step */
  selectNext(step) {
    const all = listAll();
    const keys = all.map(({ role, index }) => change.keyOf(role, index));
    const at = keys.findIndex((key) => this.selected.has(key));
    const after = all.findIndex(({ note }) => note[0] >= this.cursor.tick);
    const next = at >= 0 ? at + step : step > 0 ? after : after - 1;
    if (!keys[next]) return false;
    this.select([keys[next]]);
    return true;
  },

  /** Move the cursor. @param {number} ticks @param {number} semitones */
  moveCursor(ticks, semitones) {
    const tick = Math.max(0, Math.round((this.cursor.tick + ticks) / this.grid) * this.grid);
    this.cursor = { tick, pitch: Math.min(change.MAX_PITCH, Math.max(0, this.cursor.pitch + semitones)) };
    announce(documents.item ? `${tellPlace(documents.item, tick)}, ${namePitch(this.cursor.pitch, this.role)}` : "");
  },

  /** Select the note under the cursor, or add one there. */
  enterAtCursor() {
    const { tick, pitch } = this.cursor;
    const isHere = ({ note }) => note[1] === pitch && note[0] <= tick && note[0] + note[2] > tick;
    const here = listAll().find(isHere);
    if (here) this.select([change.keyOf(here.role, here.index)]);
    else this.add(tick, pitch);
  },

  /** Add a note. @param {number} tick @param {number} pitch @param {number} [length] */
  add(tick, pitch, length = this.grid) {
    const note = /** @type {[number, number, number, number]} */ ([Math.max(0, tick), pitch, length, NEW_VELOCITY]);
    apply(change.addNotes(this.notes, [{ role: this.role, note }]), `add ${namePitch(pitch, this.role)}`);
  },

  move(ticks, semitones) {
    if (!ticks && !semitones) return;
    applySelected((notes, selected) => change.moveNotes(notes, selected, ticks, semitones), "move");
  },

  stretch(ticks) {
    if (ticks) applySelected((notes, selected) => change.stretchNotes(notes, selected, ticks), "stretch");
  },

  louder(by) {
    applySelected((notes, selected) => change.louderNotes(notes, selected, by), "change the velocity of");
  },

  remove() {
    applySelected(change.dropNotes, "delete");
  },

  /** Give the selected notes another role; new notes get it, too. @param {string} role */
  setRole(role) {
    this.role = role;
    if (!this.selected.size) return emit("editor", this);
    applySelected((notes, selected) => change.giveRole(notes, selected, role), `give to ${ROLE_NAMES[role] ?? role}`);
  },

  /** Move the selected notes, or all, to the grid. */
  quantise() {
    if (!this.selected.size) this.selectAll();
    applySelected((notes, selected) => change.quantiseNotes(notes, selected, this.grid), "quantise");
  },

  copy() {
    copied = change.pick(this.notes, this.selected).map(({ role, note }) => ({ role, note: [...note] }));
    announce(`${tellCount(copied.length, "note")} copied`);
  },

  cut() {
    this.copy();
    this.remove();
  },

  /** Add what was copied at the cursor, or at a tick. @param {number} [tick] */
  paste(tick = this.cursor.tick) {
    if (!copied.length) return announce("Nothing has been copied yet");
    const first = Math.min(...copied.map(({ note }) => note[0]));
    const added = copied.map(({ role, note: [at, pitch, length, velocity] }) => ({
      role, note: /** @type {[number, number, number, number]} */ ([at - first + tick, pitch, length, velocity]),
    }));
    apply(change.addNotes(this.notes, added), `paste ${tellCount(added.length, "note")}`);
  },

  /** Add the selected notes once more behind themselves. */
  duplicate() {
    const chosen = change.pick(this.notes, this.selected);
    if (!chosen.length) return;
    this.copy();
    const end = Math.max(...chosen.map(({ note }) => note[0] + note[2]));
    this.paste(Math.ceil(end / this.grid) * this.grid);
  },
};

function listAll() {
  return change.listNotes(editor.notes, Object.keys(editor.notes));
}

/** Take over changed notes, show and save them. @param {import("./selection.js").Edited} edited @param {string} label */
function apply(edited, label) {
  if (editor.refusal || !documents.item) return say(editor.refusal);
  editor.notes = edited.notes;
  editor.selected = edited.selected;
  const first = change.pick(edited.notes, edited.selected)[0];
  if (first) editor.cursor = { tick: first.note[0], pitch: first.note[1] };
  save(documents.item.id, edited.notes, label);
  tellSelection();
}

/** Save changed notes; what is shown then is what the server has. @param {string} id @param {Notes} notes @param {string} label */
async function save(id, notes, label) {
  const done = documents.save(id, "/notes", { notes, label });
  if (done === saving) return; // goes with the changes before it
  saving = done;
  await attempt(() => done);
  if (documents.item) takeItem(documents.item);
}

/** @param {(notes: Notes, selected: Set<string>) => import("./selection.js").Edited} work @param {string} verb */
function applySelected(work, verb) {
  const count = editor.selected.size;
  if (!count) return announce("No note is selected");
  apply(work(editor.notes, editor.selected), `${verb} ${tellCount(count, "note")}`);
}

/** Tell in words what is selected. */
function tellSelection() {
  const chosen = change.pick(editor.notes, editor.selected);
  const { item } = documents;
  if (!chosen.length || !item) return announce("");
  const [{ role, note }] = chosen;
  const name = ROLE_NAMES[role] ?? role;
  if (chosen.length > 1) announce(`${tellCount(chosen.length, "note")} selected, from ${tellPlace(item, note[0])} on`);
  else announce(`${name}, ${namePitch(note[1], role)}, ${tellPlace(item, note[0])}, ${tellLength(note[2])}, velocity ${note[3]}`);
}

/** Say something to whoever does not see the roll, and show it above it. @param {string} text */
function announce(text) {
  emit("editor:words", text);
  emit("editor", editor);
}

/** Show the notes of an item, and keep selected what is the same in it. @param {import("./documents.js").Item|null} item */
function takeItem(item) {
  if (item && item.id === shownId && documents.isSaving(item.id, "/notes")) return; // what is shown is newer
  const kept = item?.id === shownId ? change.pick(editor.notes, editor.selected) : [];
  const count = listAll().length;
  editor.notes = item?.notes ?? {};
  const wanted = new Set(kept.map(({ role, note }) => `${role} ${note}`));
  const same = listAll().filter(({ role, note }) => wanted.has(`${role} ${note}`));
  const found = same.length || listAll().length !== count ? same : kept; // what was undone was a change of these notes
  editor.selected = new Set(found.map(({ role, index }) => change.keyOf(role, index)));
  if (item && item.id !== shownId) {
    editor.cursor = { tick: 0, pitch: listAll()[0]?.note[1] ?? MIDDLE_C };
    editor.role = pickRole(editor.notes);
    if (editor.role === "drums") editor.cursor.pitch = KICK;
  }
  const isOther = shownId !== (item?.id ?? "");
  shownId = item?.id ?? "";
  editor.cursor.tick = Math.min(editor.cursor.tick, item ? endOf(item) : 0);
  if (kept.length || isOther) tellSelection();
  else emit("editor", editor);
}

/** Return the role that new notes get first: the edited melody's, the melody's, else the first that there is. */
function pickRole(notes) {
  const has = (/** @type {string} */ role) => notes[role]?.length > 0;
  return ["edits", "melody", ...Object.keys(notes)].find(has) ?? "melody";
}

/** What tests and the console may look at. */
export const shown = { editor };

/** Follow the item that is shown. */
export function setUp() {
  on("item:chosen", takeItem);
}
