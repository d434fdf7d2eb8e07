/** The painting of a piano roll: rows and names once for each size, and what moves in every frame. */

import { COLOURS, colour } from "./colours.js";
import { nameChord } from "./chord_names.js";
import { DRUM_ROWS, rowOf } from "./drum_rows.js";

/** @typedef {import("./roll.js").Roll} Roll */

const BLACK_KEYS = [false, true, false, true, false, false, true, false, true, false, true, false];
const TEXT = "11px system-ui, sans-serif";
const CHORD_TEXT = "600 13px system-ui, sans-serif";
const LEAST_CHORD_GAP_PX = 4;
const MOST_CHORD_PX = 200;
const LEAST_BAR_PX = 26;
const LEAST_BEAT_PX = 7;
const LEAST_NOTE_PX = 2;

const GROUND = colour("ground");
const PANEL = colour("panel");
const BAND = "#161920"; // rows of black keys
const ROW_LINE = "#1f232b";
const BEAT_LINE = "#20252d";
const BAR_LINE = "#3a4250";
const DIM = colour("dim");
const LIGHT = colour("text");
const ACCENT = colour("accent");
const GOOD = colour("good");
const REGION = "rgb(169 180 255 / 7%)";
const DASHES = [3, 2];
/** @type {number[]} */
const SOLID = [];

/** pale colours for what is planned, mixed with the ground so that nothing has to be blended in a frame */
const PALE = mixAll(0.42);
const BRIGHT = Object.fromEntries(Object.entries(COLOURS).map(([role, hex]) => [role, mix(hex, "#ffffff", 0.55)]));

/** @param {number} share */
function mixAll(share) {
  return Object.fromEntries(Object.entries(COLOURS).map(([role, hex]) => [role, mix(hex, GROUND, share)]));
}

/**
 * Return a colour between two, as #rrggbb.
 * @param {string} one
 * @param {string} other
 * @param {number} share of the first one
 */
function mix(one, other, share) {
  let mixed = "#";
  for (let place = 1; place < 7; place += 2) {
    const parts = [one, other].map((hex) => parseInt(hex.slice(place, place + 2), 16));
    mixed += Math.round(parts[0] * share + parts[1] * (1 - share))
      .toString(16)
      .padStart(2, "0");
  }
  return mixed;
}

/**
 * Paint what stays where it is while time goes on, into the roll's background: rows, keys, names of drums.
 * @param {Roll} roll
 */
export function paintBackground(roll) {
  const context = /** @type {CanvasRenderingContext2D} */ (roll.background.getContext("2d", { alpha: false }));
  const { width, height, left, ruler, top, bottom, drums, row, drumRow } = roll.layout;
  context.setTransform(roll.scale, 0, 0, roll.scale, 0, 0);
  context.fillStyle = GROUND;
  context.fillRect(0, 0, width, height);
  context.fillStyle = PANEL;
  context.fillRect(0, 0, width, ruler);
  context.font = TEXT;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let { low, high } = roll.view, pitch = high; pitch >= low; pitch -= 1) {
    const y = roll.yOf(pitch);
    if (BLACK_KEYS[pitch % 12]) {
      context.fillStyle = BAND;
      context.fillRect(left, y, width - left, row);
      context.fillStyle = "#0b0c0f";
      context.fillRect(left - 12, y, 12, row);
    } else {
      context.fillStyle = "#8d95a3";
      context.fillRect(left - 12, y, 12, row - (row > 5 ? 1 : 0.5));
    }
    if (pitch % 12 === 0) {
      context.fillStyle = ROW_LINE;
      context.fillRect(left, y + row - 1, width - left, 1);
      context.fillStyle = DIM;
      context.fillText(`C${pitch / 12 - 1}`, left - 17, y + row / 2);
    }
  }
  context.fillStyle = PANEL;
  context.fillRect(0, bottom, width, height - bottom);
  context.font = drumRow < 10 ? "8px system-ui, sans-serif" : "10px system-ui, sans-serif";
  DRUM_ROWS.forEach(({ name }, index) => {
    context.fillStyle = index % 2 ? PANEL : BAND;
    context.fillRect(left, drums + index * drumRow, width - left, drumRow);
    context.fillStyle = DIM;
    context.fillText(name, left - 5, drums + (index + 0.5) * drumRow + 0.5);
  });
  context.fillStyle = BAR_LINE;
  context.fillRect(0, top - 1, width, 1);
}

/**
 * Paint a frame: background, bars, chords, notes, now-line.
 * @param {Roll} roll
 */
export function paintForeground(roll) {
  const { context } = roll;
  const { width, height, left } = roll.layout;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(roll.background, 0, 0);
  context.setTransform(roll.scale, 0, 0, roll.scale, 0, 0);
  context.save();
  context.beginPath();
  context.rect(left, 0, width - left, height);
  context.clip();
  paintRegion(roll);
  paintBars(roll);
  for (const layer of roll.layers) paintLayer(roll, layer);
  paintChords(roll);
  paintMarks(roll);
  paintNow(roll);
  context.restore();
}

/** @param {Roll} roll */
function paintBars(roll) {
  const { context } = roll;
  const { height, ruler, top } = roll.layout;
  const perTick = roll.pxPerTick;
  const { fromTick, toTick } = roll.view;
  let lastLabel = -Infinity;
  context.font = TEXT;
  context.textAlign = "left";
  context.textBaseline = "middle";
  roll.bars.each(fromTick, toTick, (tick, bar, beat, end) => {
    const x = Math.round(roll.xOf(tick));
    if (beat * perTick >= LEAST_BEAT_PX) {
      context.fillStyle = BEAT_LINE;
      for (let each = tick + beat; each < end; each += beat) context.fillRect(Math.round(roll.xOf(each)), top, 1, height);
    }
    const labelled = x - lastLabel >= LEAST_BAR_PX;
    if (!labelled && (end - tick) * perTick < 6) return;
    context.fillStyle = BAR_LINE;
    context.fillRect(x, labelled ? ruler : top, 1, height);
    if (!labelled) return;
    context.fillStyle = DIM;
    context.fillText(String(bar), x + 4, (ruler + top) / 2);
    lastLabel = x;
  });
  if (roll.endTick === null) return;
  const x = roll.xOf(roll.endTick);
  context.fillStyle = GROUND;
  context.globalAlpha = 0.6;
  context.fillRect(x, top, roll.layout.width, height);
  context.globalAlpha = 1;
}

/** @param {Roll} roll */
function paintChords(roll) {
  const { context, chords } = roll;
  if (!chords.length) return;
  const { fromTick, toTick } = roll.view;
  context.font = CHORD_TEXT;
  context.textAlign = "left";
  context.textBaseline = "middle";
  let index = chords.length - 1;
  while (index > 0 && chords[index][0] > fromTick) index -= 1;
  let free = -Infinity;
  for (; index < chords.length && chords[index][0] < toTick; index += 1) {
    const [tick, label] = chords[index];
    const next = index + 1 < chords.length ? roll.xOf(chords[index + 1][0]) : Infinity;
    // the chord that holds at the left edge stays there as long as it holds
    const x = Math.max(roll.xOf(tick), roll.layout.left) + 4;
    if (x < free || next - x < LEAST_CHORD_GAP_PX) continue;
    const name = nameCached(label);
    const sounds = roll.nowTick !== null && tick <= roll.nowTick && (index + 1 >= chords.length || chords[index + 1][0] > roll.nowTick);
    const isPlanned = roll.song === null && roll.nowTick !== null && tick > roll.nowTick;
    context.fillStyle = sounds ? ACCENT : isPlanned ? DIM : LIGHT;
    context.fillText(name, x, roll.layout.ruler / 2 + 1, Math.min(MOST_CHORD_PX, Math.max(8, next - x - 2)));
    free = x + Math.min(measureCached(context, name), next - x - 2) + LEAST_CHORD_GAP_PX;
  }
}

/** @type {Map<string, string>} */
const names = new Map();
/** @type {Map<string, number>} */
const widths = new Map();

/** @param {string} label */
function nameCached(label) {
  let name = names.get(label);
  if (name === undefined) names.set(label, (name = nameChord(label)));
  return name;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} name
 */
function measureCached(context, name) {
  let width = widths.get(name);
  if (width === undefined) widths.set(name, (width = context.measureText(name).width));
  return width;
}

/**
 * @param {Roll} roll
 * @param {import("./roll.js").Layer} layer
 */
function paintLayer(roll, layer) {
  const { fromTick, toTick } = roll.view;
  const { notes } = layer.notes;
  const now = roll.nowTick;
  const planned = layer.look === "planned";
  const from = planned && now !== null && now > fromTick ? now : fromTick;
  for (let index = layer.notes.firstAt(from); index < notes.length; index += 1) {
    const note = notes[index];
    if (note.tick >= toTick) break;
    if (planned ? note.tick < from : note.tick + note.length < from && !note.held) continue;
    const sounds = !planned && now !== null && note.tick <= now && (note.held || note.tick + note.length > now);
    paintNote(roll, note, layer.look, sounds);
  }
}

/**
 * Paint one note. Roles differ in shape, too: the melody has a light head, the pad is thin, the left hand is hollow, drums
 * are short, edits have a slanted head.
 * @param {Roll} roll
 * @param {import("./note_list.js").RollNote} note
 * @param {string} look
 * @param {boolean} sounds
 */
function paintNote(roll, note, look, sounds) {
  const { context } = roll;
  const { row, drumRow, drums } = roll.layout;
  const { role } = note;
  const x = roll.xOf(note.tick);
  const palette = look === "planned" || note.mark === "pale" ? PALE : sounds ? BRIGHT : COLOURS;
  context.fillStyle = palette[role] ?? DIM;
  if (role === "drums") {
    const side = drumRow - (sounds ? 1 : 3);
    const y = drums + rowOf(note.pitch) * drumRow + (drumRow - side) / 2;
    context.fillRect(x, y, side, side);
    if (note.selected || note.mark) paintOutline(context, note, x, y, side, side);
    return;
  }
  const length = note.held && roll.nowTick !== null ? Math.max(note.length, roll.nowTick - note.tick) : note.length;
  const gap = row > 6 ? 1 : 0;
  const width = Math.max(LEAST_NOTE_PX, length * roll.pxPerTick - 1);
  const y = roll.yOf(note.pitch) + gap / 2;
  const height = Math.max(2, row - gap);
  if (role === "pad") context.fillRect(x, y + height * 0.25, width, Math.max(2, height * 0.5));
  else if (role === "hand") {
    context.fillRect(x, y, width, 1.5);
    context.fillRect(x, y + height - 1.5, width, 1.5);
    context.fillRect(x, y, 2, height);
    context.fillRect(x + width - 1.5, y, 1.5, height);
  } else if (role === "edits" && note.mark !== "removed") {
    context.beginPath();
    context.moveTo(x, y + height);
    context.lineTo(x + Math.min(height / 2, width), y);
    context.lineTo(x + width, y);
    context.lineTo(x + width, y + height);
    context.fill();
  } else if (note.mark !== "removed") context.fillRect(x, y, width, height);
  if (note.selected || note.mark) paintOutline(context, note, x, y, width, height);
  if (role === "melody" && look === "sounded") {
    context.fillStyle = LIGHT;
    context.fillRect(x, y, 2, height);
  }
}

/**
 * Paint the outline of a note that is selected, was added or was removed by edits.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./note_list.js").RollNote} note
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function paintOutline(context, note, x, y, width, height) {
  if (note.mark === "pale" && !note.selected) return;
  context.strokeStyle = note.selected ? LIGHT : note.mark === "removed" ? COLOURS.edits : GOOD;
  context.lineWidth = note.mark === "removed" ? 1 : 2;
  if (note.mark === "removed") context.setLineDash(DASHES);
  context.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), Math.max(1, height - 1));
  if (note.mark === "removed") context.setLineDash(SOLID);
}

/**
 * Paint the bars that are chosen.
 * @param {Roll} roll
 */
function paintRegion(roll) {
  const region = roll.song?.region;
  if (!region) return;
  const x = roll.xOf(region[0]);
  const { ruler, top, height } = roll.layout;
  const width = roll.xOf(region[1]) - x;
  roll.context.fillStyle = REGION;
  roll.context.fillRect(x, top, width, height);
  roll.context.fillStyle = ACCENT;
  roll.context.fillRect(x, ruler, width, 3);
}

/**
 * Paint the keyboard's cursor and the box that is being drawn.
 * @param {Roll} roll
 */
function paintMarks(roll) {
  if (!roll.song) return;
  const { context } = roll;
  const { cursorTick, cursorPitch, selection } = roll.song;
  if (cursorTick !== undefined && cursorPitch !== undefined && document.activeElement === roll.canvas) {
    context.strokeStyle = ACCENT;
    context.lineWidth = 1.5;
    context.strokeRect(roll.xOf(cursorTick), roll.yOf(cursorPitch), Math.max(6, 6 * roll.pxPerTick), roll.layout.row);
  }
  if (!selection) return;
  const x = roll.xOf(selection.fromTick);
  const y = roll.yOf(selection.high);
  const [width, height] = [roll.xOf(selection.toTick) - x, roll.yOf(selection.low) + roll.layout.row - y];
  context.fillStyle = "rgb(169 180 255 / 15%)";
  context.fillRect(x, y, width, height);
  context.strokeStyle = ACCENT;
  context.lineWidth = 1;
  context.strokeRect(x, y, width, height);
}

/** @param {Roll} roll */
function paintNow(roll) {
  if (roll.nowTick === null) return;
  const x = Math.round(roll.xOf(roll.nowTick));
  roll.context.fillStyle = ACCENT;
  roll.context.fillRect(x - 1, roll.layout.ruler, 2, roll.layout.height);
}
