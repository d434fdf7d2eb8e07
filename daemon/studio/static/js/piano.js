/** The piano on the screen: by mouse, by touch, and by the keys of a keyboard; it shows what is played, by whatever. */

import { on } from "./bus.js";
import { make } from "./dom.js";
import { SEMITONES } from "./keys.js";
import { noteInput } from "./note_input.js";

const LEAST_WHITE_PX = 24.5;
const MOST_OCTAVES = 7;
const IS_BLACK = [false, true, false, true, false, false, true, false, true, false, true, false];
const NAMES = ["C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B"];
/** where the middle of a black key is, in white keys from its octave's C */
const BLACK_MIDDLES = [0, 0.94, 0, 2.06, 0, 0, 3.92, 0, 5, 0, 6.08, 0];
const BLACK_WIDTH = 0.6;
const TAP_MS = 300;

const piano = /** @type {HTMLElement} */ (document.getElementById("piano"));

/** @type {Map<number, HTMLButtonElement>} */
const keys = new Map();
/** @type {Map<number, number>} pointer -> the pitch that it holds */
const pointers = new Map();
/** the one key that Tab goes to */
let tabPitch = 60;
/** @type {Map<string, string>} event.code -> what is printed on the key, where the browser tells */
let printed = new Map();

/** @param {number} pitch */
const nameOf = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

/** Return the lowest and the highest pitch for which there is room: from a C up to a C. */
function findRange() {
  const octaves = Math.max(1, Math.min(MOST_OCTAVES, Math.floor((piano.clientWidth / LEAST_WHITE_PX - 1) / 7)));
  const below = Math.max(0, Math.floor((octaves - 1) / 2 - 0.5));
  const low = Math.max(12, Math.min(noteInput.basePitch - 12 * below, 108 - 12 * octaves));
  return [low, low + 12 * octaves];
}

/** Return the letters of the computer's keys by pitch: the upper row's where both rows have it. */
function findLetters() {
  const letters = new Map();
  for (const [code, semitones] of SEMITONES) {
    const letter = printed.get(code) ?? code.replace(/^(Key|Digit)/, "");
    if (letter.length === 1) letters.set(noteInput.basePitch + semitones, letter.toUpperCase());
  }
  return letters;
}

/** Make the keys for which there is room. */
function build() {
  const [low, high] = findRange();
  const hadFocus = piano.contains(document.activeElement);
  tabPitch = Math.max(low, Math.min(high, tabPitch));
  const whites = ((high - low) / 12) * 7 + 1;
  const letters = findLetters();
  keys.clear();
  piano.replaceChildren();
  for (let pitch = low; pitch <= high; pitch += 1) {
    const black = IS_BLACK[pitch % 12];
    const key = make("button", {
      type: "button",
      class: black ? "black" : "white",
      "data-pitch": pitch,
      "aria-label": nameOf(pitch),
      tabindex: pitch === tabPitch ? 0 : -1,
    });
    const octave = Math.floor((pitch - low) / 12) * 7;
    const white = [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6][pitch % 12];
    key.style.left = `${(100 / whites) * (octave + (black ? BLACK_MIDDLES[pitch % 12] - BLACK_WIDTH / 2 : white))}%`;
    key.style.width = `${(100 / whites) * (black ? BLACK_WIDTH : 1)}%`;
    const letter = letters.get(pitch);
    if (letter) key.dataset.letter = letter;
    if (pitch % 12 === 0) key.dataset.octave = nameOf(pitch);
    keys.set(pitch, key);
    piano.append(key);
  }
  if (hadFocus) keys.get(tabPitch)?.focus();
}

/**
 * Return the pitch of the key at a place of the window, or -1.
 * @param {number} x
 * @param {number} y
 */
function pitchAt(x, y) {
  const key = document.elementFromPoint(x, y)?.closest("[data-pitch]");
  return key && piano.contains(key) ? Number(/** @type {HTMLElement} */ (key).dataset.pitch) : -1;
}

/** @param {PointerEvent} event */
function movePointer(event) {
  const before = pointers.get(event.pointerId);
  if (before === undefined) return;
  const pitch = pitchAt(event.clientX, event.clientY);
  if (pitch === before) return;
  if (before >= 0) noteInput.release(before, `pointer ${event.pointerId}`, event.timeStamp);
  pointers.set(event.pointerId, pitch);
  if (pitch >= 0) noteInput.press(pitch, `pointer ${event.pointerId}`, noteInput.velocity, event.timeStamp);
}

/** @param {PointerEvent} event */
function endPointer(event) {
  const pitch = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (pitch !== undefined && pitch >= 0) noteInput.release(pitch, `pointer ${event.pointerId}`, event.timeStamp);
}

/** Move Tab's key. @param {number} pitch */
function focusKey(pitch) {
  const next = keys.get(pitch);
  if (!next) return;
  keys.get(tabPitch)?.setAttribute("tabindex", "-1");
  tabPitch = pitch;
  next.setAttribute("tabindex", "0");
  next.focus();
}

/** @param {KeyboardEvent} event */
function pressKey(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 12, ArrowDown: -12 };
  const step = steps[/** @type {keyof typeof steps} */ (event.key)];
  if (step && !event.ctrlKey && !event.altKey && !event.metaKey) {
    event.preventDefault();
    focusKey(tabPitch + step);
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    if (!event.repeat) noteInput.press(tabPitch, `key ${event.key}`, noteInput.velocity, event.timeStamp);
  }
}

/** Bind what plays the keys. */
function bind() {
  piano.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (/** @type {Element} */ (event.target).hasPointerCapture?.(event.pointerId)) {
      /** @type {Element} */ (event.target).releasePointerCapture(event.pointerId); // or a finger stays with its first key
    }
    pointers.set(event.pointerId, -1);
    movePointer(event);
  });
  window.addEventListener("pointermove", movePointer);
  window.addEventListener("pointerup", endPointer);
  window.addEventListener("pointercancel", endPointer);
  piano.addEventListener("keydown", pressKey);
  piano.addEventListener("keyup", ({ key }) => {
    if (key === "Enter" || key === " ") noteInput.releaseAll(`key ${key}`);
  });
  piano.addEventListener("focusout", () => ["key Enter", "key  "].forEach((source) => noteInput.releaseAll(source)));
  piano.addEventListener("click", (event) => {
    if (event.detail) return; // a pointer's, which has played it already; this one is a screen reader's
    const pitch = Number(/** @type {HTMLElement} */ (/** @type {Element} */ (event.target).closest("[data-pitch]"))?.dataset.pitch);
    noteInput.press(pitch, "tap");
    window.setTimeout(() => noteInput.release(pitch, "tap"), TAP_MS);
  });
  piano.addEventListener("contextmenu", (event) => event.preventDefault());
}

/** Ask which letters are printed on the keys, where the browser knows it. */
async function readLetters() {
  const keyboard = /** @type {any} */ (navigator).keyboard;
  try {
    printed = new Map(await keyboard?.getLayoutMap());
    build();
  } catch {
    // those of an American keyboard are shown
  }
}

/** Make the piano and play on it. */
export function setUp() {
  bind();
  let width = 0;
  new ResizeObserver(() => {
    if (piano.clientWidth === width) return;
    width = piano.clientWidth;
    build();
  }).observe(piano);
  on("key:range", build);
  on("key", ({ pitch, on: down }) => keys.get(pitch)?.classList.toggle("down", down));
  on("live:heard", ({ pitch, on: down }) => keys.get(pitch)?.classList.toggle("heard", down));
  readLetters();
}
