/** What is painted over the roll while an item is edited: where playing begins, which bars loop, the pointer's box. */
import { colour } from "./colours.js";
import { documents } from "./documents.js";
import { playback } from "./playback.js";
import { region } from "./region.js";

/** @typedef {{x: number, y: number, width: number, height: number}} Box in CSS pixels of the roll */

const ACCENT = colour("accent");
const BOX = "rgb(169 180 255 / 15%)";
const MARK_PX = 5;
const LOOP_PX = 3;

/**
 * Paint over the roll.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {import("./roll.js").Roll} roll
 * @param {Box} [box] that is drawn with the pointer
 */
export function paintEditing(context, roll, box) {
  const { left, width, height } = roll.layout;
  context.save();
  context.beginPath();
  context.rect(left, 0, width - left, height);
  context.clip();
  paintRuler(context, roll);
  if (box) paintBox(context, box);
  context.restore();
}

/** Show which bars loop, and where playing begins. */
function paintRuler(context, roll) {
  const { top } = roll.layout;
  const item = documents.item;
  if (!item) return;
  const [from, to] = region.ticks(item).map((tick) => roll.xOf(tick));
  context.fillStyle = ACCENT;
  if (playback.loop) context.fillRect(from, top - LOOP_PX, to - from, LOOP_PX);
  const x = roll.xOf(playback.fromTick);
  context.beginPath();
  context.moveTo(x - MARK_PX, top - 2.5 * MARK_PX);
  context.lineTo(x + MARK_PX, top - 2.5 * MARK_PX);
  context.lineTo(x, top - LOOP_PX);
  context.fill();
}

/** @param {Box} box */
function paintBox(context, { x, y, width, height }) {
  context.fillStyle = BOX;
  context.fillRect(x, y, width, height);
  context.strokeStyle = ACCENT;
  context.lineWidth = 1;
  context.strokeRect(x, y, width, height);
}
