/** Moving about in the roll: zoom by wheel, keys and buttons; drag and scroll; back to what sounds now. */

import { on } from "./bus.js";
import { liveRoll } from "./live_roll.js";
import { roll } from "./main_roll.js";
import { stage } from "./stage.js";

const ZOOM = 1.25;
const WHEEL_ZOOM_PER_PX = 0.0022;
const SCROLL_SHARE = 0.15;

const tools = /** @type {HTMLElement} */ (document.getElementById("roll-tools"));

/**
 * Show another stretch of time.
 * @param {number} ticks by how many it lies later
 */
function scroll(ticks) {
  if (stage.what === "live") liveRoll.release();
  roll.setTicks(roll.view.fromTick + ticks, roll.view.toTick + ticks);
  showFollowing();
}

/** @param {number} factor @param {number} [x] */
function zoom(factor, x) {
  const follows = stage.what === "live" && liveRoll.follows;
  roll.zoom(factor, x);
  if (follows) liveRoll.follow();
}

/** @type {HTMLButtonElement} */
let nowButton;

function showFollowing() {
  nowButton.hidden = stage.what !== "live" || liveRoll.follows;
}

/** @param {string} label @param {string} text @param {function(): void} run */
function addButton(label, text, run) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = text;
  if (label !== text) button.setAttribute("aria-label", label);
  button.title = label;
  button.addEventListener("click", run);
  tools.append(button);
  return button;
}

/** @param {WheelEvent} event */
function wheel(event) {
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
  const pageScrolls = document.documentElement.scrollHeight > window.innerHeight + 1;
  if (pageScrolls && !sideways && !event.ctrlKey) return;
  event.preventDefault();
  const delta = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY;
  if (sideways) scroll(delta / roll.pxPerTick);
  else zoom(Math.exp(-delta * WHEEL_ZOOM_PER_PX), event.offsetX);
}

/** @param {KeyboardEvent} event */
function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  const width = roll.view.toTick - roll.view.fromTick;
  /** @type {Record<string, function(): void>} */
  const moves = {
    "+": () => zoom(ZOOM),
    "=": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
    PageUp: () => scroll(-width * 0.8),
    PageDown: () => scroll(width * 0.8),
  };
  if (stage.what === "live") {
    moves.ArrowLeft = () => scroll(-width * SCROLL_SHARE);
    moves.ArrowRight = () => scroll(width * SCROLL_SHARE);
    moves.Home = () => scroll(-roll.view.fromTick - width * 0.02);
    moves.End = () => liveRoll.follow();
  }
  if (!moves[event.key]) return;
  event.preventDefault();
  event.stopPropagation();
  moves[event.key]();
  showFollowing();
}

/** Let a drag on the roll move what it shows: of the live performance by any pointer, of an item by a finger. */
function bindDrag() {
  const { canvas } = roll;
  let pointer = -1;
  let last = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer >= 0 || event.button > 1) return;
    const moves = stage.what === "live" || event.pointerType === "touch" || event.button === 1;
    if (!moves || !roll.panWithPointer) return;
    pointer = event.pointerId;
    last = event.clientX;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const moved = last - event.clientX;
    if (liveRoll.follows && Math.abs(moved) < 4 && stage.what === "live") return;
    if (!canvas.hasPointerCapture(pointer)) canvas.setPointerCapture(pointer);
    scroll(moved / roll.pxPerTick);
    last = event.clientX;
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (/** @type {PointerEvent} */ (event).pointerId === pointer) pointer = -1;
    });
  }
}

/** Bind wheel, keys and pointers, and make the buttons. */
export function setUp() {
  nowButton = addButton("Back to now", "Now", () => {
    liveRoll.follow();
    showFollowing();
  });
  nowButton.className = "";
  addButton("Zoom out", "−", () => zoom(1 / ZOOM));
  addButton("Zoom in", "+", () => zoom(ZOOM));
  addButton("Fit", "Fit", () => (stage.what === "live" ? liveRoll.follow() : roll.fit()));
  on("stage", showFollowing);
  roll.canvas.addEventListener("wheel", wheel, { passive: false });
  roll.canvas.addEventListener("keydown", press);
  bindDrag();
  showFollowing();
}
