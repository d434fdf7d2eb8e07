/** Editing notes with the keyboard, while the roll has the focus. */
import { byId } from "./dom.js";
import { editor } from "./editor.js";
import { attempt } from "./messages.js";
import { playback } from "./playback.js";
import { stage } from "./stage.js";

const OCTAVE = 12;
const LOUDER = 8;

/** @type {Record<string, [number, number]>} where an arrow leads: times the grid, semitones */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Move, stretch, or make louder what is selected; without a selection, move the cursor. */
function hearArrow(event, [across, up]) {
  const some = editor.selected.size > 0;
  if (event.altKey && up) editor.louder(up * LOUDER);
  else if (event.shiftKey && across && some) editor.stretch(across * editor.grid);
  else {
    const semitones = event.shiftKey ? up * OCTAVE : up;
    if (some) editor.move(across * editor.grid, semitones);
    else editor.moveCursor(across * editor.grid, semitones);
  }
  return true;
}

/** Go to the next or the previous note; where there is none, the focus goes on. */
function hearTab(event) {
  if (!editor.selected.size) return false;
  const went = editor.selectNext(event.shiftKey ? -1 : 1);
  if (!went) editor.select([]);
  return went;
}

/** @type {Record<string, (event: KeyboardEvent) => any>} */
const KEYS = {
  Tab: hearTab,
  PageDown: () => editor.selectNext(1) || true,
  PageUp: () => editor.selectNext(-1) || true,
  Enter: () => editor.enterAtCursor(),
  Delete: () => editor.remove(),
  Backspace: () => editor.remove(),
  Escape: () => editor.select([]),
  " ": () => attempt(() => playback.toggle()),
};

/** @type {Record<string, () => void>} with Ctrl or Command */
const CTRL_KEYS = {
  a: () => editor.selectAll(),
  c: () => editor.copy(),
  x: () => editor.cut(),
  v: () => editor.paste(),
  d: () => editor.duplicate(),
  q: () => editor.quantise(),
};

/** @param {KeyboardEvent} event */
function hearKey(event) {
  if (stage.what !== "item") return;
  const isCommand = event.ctrlKey || event.metaKey;
  const arrow = ARROWS[event.key];
  const does = isCommand ? CTRL_KEYS[event.key.toLowerCase()] : arrow ? (e) => hearArrow(e, arrow) : KEYS[event.key];
  if (!does || does(event) === false) return;
  event.preventDefault();
  event.stopPropagation();
}

/** Bind the keys. */
export function setUp() {
  byId("roll").addEventListener("keydown", hearKey, true);
}
