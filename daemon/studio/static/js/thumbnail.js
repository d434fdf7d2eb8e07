/** A small picture of an item's notes, for lists. */
import { COLOURS } from "./colours.js";
import { endOf } from "./timeline.js";

const MARGIN_PX = 2;
const PITCH_MARGIN = 2;

/**
 * Paint all notes of an item into a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {import("./documents.js").Item} item
 */
export function paintThumbnail(canvas, item) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.max(1, width * scale);
  canvas.height = Math.max(1, height * scale);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(scale, scale);
  const lists = Object.entries(item.notes ?? {});
  const pitches = lists.flatMap(([, list]) => list.map((note) => note[1]));
  const low = Math.min(...pitches, 60) - PITCH_MARGIN;
  const high = Math.max(...pitches, 72) + PITCH_MARGIN;
  const across = (width - 2 * MARGIN_PX) / endOf(item);
  const row = (height - 2 * MARGIN_PX) / (high - low + 1);
  for (const [role, list] of lists) {
    context.fillStyle = COLOURS[role] ?? COLOURS.melody;
    for (const [tick, pitch, length] of list) {
      const y = MARGIN_PX + (high - pitch) * row;
      context.fillRect(MARGIN_PX + tick * across, y, Math.max(1, length * across - 0.5), Math.max(1, row));
    }
  }
}
