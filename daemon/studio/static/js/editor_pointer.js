/**
 * Editing notes with the pointer: a click selects, a drag moves (at a note's end: stretches), a drag on the ground draws
 * a box, a double click (with the pencil a click) adds a note. On touch screens a finger on the ground moves the roll.
 */
import { documents } from "./documents.js";
import { byId } from "./dom.js";
import { editor } from "./editor.js";
import { showDrag } from "./item_roll.js";
import { roll } from "./main_roll.js";
import { moveNotes, stretchNotes } from "./selection.js";
import { playback } from "./playback.js";
import { stage } from "./stage.js";

const EDGE_PX = 6;
const STILL_PX = 3;

/** @typedef {{kind: "move"|"stretch"|"box", x: number, y: number, tick: number, pitch: number, key: string, moved: boolean, adds: boolean, steps: [number, number]}} Drag */

/** @type {Drag|null} */
let drag = null;

/** @param {PointerEvent|MouseEvent} event */
function placeOf(event) {
  const frame = roll.canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
  return { x, y, tick: roll.tickAt(x), pitch: roll.pitchAt(y) };
}

/** Return the note under the pointer, and whether the pointer is at its end. */
function hit({ x, y }) {
  const found = roll.noteAt(x, y)?.note;
  if (!found?.tag?.key) return null;
  const [left, right] = [roll.xOf(found.tick), roll.xOf(found.tick + found.length)];
  return { key: found.tag.key, atEnd: found.role !== "drums" && right - left > 2 * EDGE_PX && x > right - EDGE_PX };
}

/** Add a note; in the drums' rows it is one of the drums, elsewhere it is none. */
function addAt({ tick, pitch, y }) {
  const isDrum = roll.laneAt(y) === "drums";
  const other = Object.keys(editor.notes).find((role) => role !== "drums" && editor.notes[role].length) ?? "melody";
  if (isDrum !== (editor.role === "drums")) editor.role = isDrum ? "drums" : other;
  editor.add(floorTick(tick), pitch);
}

/** @param {number} tick */
const floorTick = (tick) => Math.max(0, Math.floor(tick / editor.grid) * editor.grid);

/** @param {PointerEvent} event */
function press(event) {
  if (stage.what !== "item" || !documents.item || event.button !== 0) return;
  const place = placeOf(event);
  if (["ruler", "chords"].includes(roll.laneAt(place.y))) return playback.seek(floorTick(place.tick));
  const found = hit(place);
  const adds = event.shiftKey || event.ctrlKey || event.metaKey;
  if (!found && editor.pencil) return addAt(place);
  if (!found && event.pointerType === "touch") return editor.select([]);
  if (found && adds) editor.toggle(found.key);
  else if (found && !editor.selected.has(found.key)) editor.select([found.key]);
  drag = { ...place, key: found?.key ?? "", kind: !found ? "box" : found.atEnd ? "stretch" : "move", moved: false, adds, steps: [0, 0] };
  roll.canvas.setPointerCapture(event.pointerId);
}

/** @param {PointerEvent} event */
function move(event) {
  const place = placeOf(event);
  if (!drag) {
    const found = stage.what === "item" ? hit(place) : null;
    roll.canvas.style.cursor = found ? (found.atEnd ? "ew-resize" : "move") : "";
    return;
  }
  drag.moved ||= Math.hypot(place.x - drag.x, place.y - drag.y) > STILL_PX;
  if (!drag.moved) return;
  if (drag.kind === "box") showDrag({ box: boxTo(place) });
  else {
    const ticks = Math.round((place.tick - drag.tick) / editor.grid) * editor.grid;
    drag.steps = [ticks, drag.kind === "move" ? place.pitch - drag.pitch : 0];
    preview(drag.steps);
  }
}

/** Return the box from where the drag began. @returns {import("./editing_paint.js").Box} */
function boxTo({ x, y }) {
  const from = /** @type {Drag} */ (drag);
  return { x: Math.min(x, from.x), y: Math.min(y, from.y), width: Math.abs(x - from.x), height: Math.abs(y - from.y) };
}

/** Return the notes of which something lies in a box. @param {import("./editing_paint.js").Box} box @returns {string[]} */
function findIn(box) {
  const isIn = (/** @type {import("./note_list.js").RollNote} */ note) => {
    const { x, y, width, height } = roll.rectOf(note);
    return note.tag?.key && x < box.x + box.width && x + width > box.x && y < box.y + box.height && y + height > box.y;
  };
  return roll.layers.flatMap(({ notes }) => notes.notes.filter(isIn).map((note) => note.tag.key));
}

/** Show where the selected notes would be. @param {[number, number]} steps */
function preview([ticks, semitones]) {
  const { notes, selected } = editor;
  const isMove = drag?.kind === "move";
  showDrag({ edited: isMove ? moveNotes(notes, selected, ticks, semitones) : stretchNotes(notes, selected, ticks) });
}

/** @param {PointerEvent} event */
function release(event) {
  if (!drag) return;
  const { kind, moved, adds, steps, tick, pitch, key } = drag;
  const box = boxTo(placeOf(event));
  drag = null;
  showDrag();
  if (kind === "box" && moved) editor.select(findIn(box), adds);
  else if (kind === "box" && !adds) {
    editor.cursor = { tick: floorTick(tick), pitch };
    editor.select([]);
  } else if (moved && kind === "move") editor.move(...steps);
  else if (moved) editor.stretch(steps[0]);
  else if (!adds) editor.select([key]);
}

/** @param {MouseEvent} event */
function addByDouble(event) {
  const place = placeOf(event);
  if (stage.what !== "item" || editor.pencil || hit(place) || place.y < roll.layout.top) return;
  addAt(place);
}

/** Bind the pointer. */
export function setUp() {
  const canvas = byId("roll");
  canvas.addEventListener("pointerdown", press);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", () => {
    drag = null;
    showDrag();
  });
  canvas.addEventListener("dblclick", addByDouble);
}
