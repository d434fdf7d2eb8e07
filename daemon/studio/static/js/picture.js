/** The picture of an item that is exported: its piano roll at a fixed size, with bars, chords, a legend and its title. */
import { COLOURS, ROLES, ROLE_NAMES } from "./colours.js";
import { nameChord } from "./chord_names.js";
import { countBars, endOf, namePitch, tickOfBar } from "./timeline.js";
import { TECHNIQUE_NAMES } from "./techniques.js";

const WIDTH = 1920;
const HEIGHT = 1080;
const AREA = { left: 84, top: 148, right: WIDTH - 36, bottom: HEIGHT - 92 };
const FONT = "system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif";
const GROUND = "#121418";
const LINE = "#2f3540";
const TEXT = "#e9ebf0";
const DIM = "#a7afbd";
const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);
const MOST_LABELLED_BARS = 40;
const PALE = 0.35; // the melody that was edited, where the edited one lies over it

/**
 * Return the picture as a PNG file.
 *
 * @param {import("./documents.js").Item} item
 * @returns {Promise<Blob>}
 */
export function paintPicture(item) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser cannot paint a picture.");
  context.fillStyle = GROUND;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  const scale = makeScale(item);
  paintTitle(context, item);
  paintRows(context, scale);
  paintBars(context, item, scale);
  paintChords(context, item, scale);
  paintNotes(context, item, scale);
  paintLegend(context, item);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be written."))), "image/png");
  });
}

/** @param {import("./documents.js").Item} item */
function makeScale(item) {
  const pitches = Object.values(item.notes ?? {}).flatMap((list) => list.map((note) => note[1]));
  const low = Math.min(...pitches, 48) - 2;
  const high = Math.max(...pitches, 72) + 2;
  const row = (AREA.bottom - AREA.top) / (high - low + 1);
  const end = endOf(item);
  return {
    low, high, row,
    x: (/** @type {number} */ tick) => AREA.left + ((AREA.right - AREA.left) * tick) / end,
    y: (/** @type {number} */ pitch) => AREA.top + (high - pitch) * row,
  };
}

/** @param {CanvasRenderingContext2D} context */
function write(context, text, x, y, size, colour = TEXT, weight = 400) {
  context.font = `${weight} ${size}px ${FONT}`;
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

function paintTitle(context, item) {
  write(context, item.name, AREA.left, 64, 38, TEXT, 650);
  const metre = (item.metres ?? [[0, "4/4"]]).map(([, metre]) => metre).join(", ");
  const made = item.technique ? [TECHNIQUE_NAMES[item.technique] ?? item.technique, item.style, `seed ${item.seed}`] : [];
  const facts = [...made, `${Math.round(item.bpm * 10) / 10} bpm`, metre, `${countBars(item)} bars`];
  write(context, facts.join("  ·  "), AREA.left, 100, 22, DIM);
}

function paintRows(context, { low, high, row, y }) {
  for (let pitch = low; pitch <= high; pitch += 1) {
    context.fillStyle = BLACK_KEYS.has(pitch % 12) ? "#16191f" : "#1a1d23";
    context.fillRect(AREA.left, y(pitch), AREA.right - AREA.left, row + 0.5);
    if (pitch % 12) continue;
    context.fillStyle = LINE;
    context.fillRect(AREA.left, y(pitch) + row, AREA.right - AREA.left, 1);
    context.textAlign = "right";
    write(context, namePitch(pitch), AREA.left - 10, y(pitch) + row / 2 + 6, 17, DIM);
    context.textAlign = "left";
  }
}

function paintBars(context, item, { x }) {
  const bars = countBars(item);
  const every = Math.ceil(bars / MOST_LABELLED_BARS);
  for (let bar = 1; bar <= bars + 1; bar += 1) {
    const at = x(tickOfBar(item, bar));
    context.fillStyle = "#3a4150";
    context.fillRect(at, AREA.top, 1.5, AREA.bottom - AREA.top);
    if (bar <= bars && (bar - 1) % every === 0) write(context, String(bar), at + 5, AREA.bottom + 24, 17, DIM);
  }
}

function paintChords(context, item, { x }) {
  let free = 0;
  for (const [tick, chord] of item.chords ?? []) {
    const at = x(tick) + 4;
    if (at < free) continue; // names do not run into each other
    const name = nameChord(chord);
    write(context, name, at, AREA.top - 10, 20, TEXT, 600);
    free = at + context.measureText(name).width + 8;
  }
}

function paintNotes(context, item, { x, y, row }) {
  const order = ROLES.filter((role) => item.notes?.[role]?.length);
  for (const role of order) {
    const strength = role === "melody" && item.notes.edits?.length ? PALE : 1;
    for (const [tick, pitch, length, velocity] of item.notes[role]) {
      context.globalAlpha = (0.55 + (0.45 * velocity) / 127) * strength;
      context.fillStyle = COLOURS[role];
      const width = Math.max(3, x(tick + length) - x(tick) - 1.5);
      context.beginPath();
      context.roundRect(x(tick), y(pitch) + 0.5, width, Math.max(3, row - 1), Math.min(3, row / 3));
      context.fill();
    }
  }
  context.globalAlpha = 1;
}

function paintLegend(context, item) {
  let x = AREA.left;
  for (const role of ROLES) {
    const count = item.notes?.[role]?.length;
    if (!count) continue;
    context.fillStyle = COLOURS[role];
    context.fillRect(x, HEIGHT - 46, 22, 16);
    const text = `${ROLE_NAMES[role]}, ${count}`;
    write(context, text, x + 30, HEIGHT - 31, 20);
    x += 30 + context.measureText(text).width + 34;
  }
  context.textAlign = "right";
  write(context, "houseband", AREA.right, HEIGHT - 31, 20, DIM);
  context.textAlign = "left";
}
