/**
 * The computer's keyboard as a piano: two rows, by where keys are, not by what is printed on them. The lower row begins
 * at Z, the upper one, an octave higher, at Q; - and = move both by an octave.
 */

import { on } from "./bus.js";
import { noteInput } from "./note_input.js";

const LOWER = "KeyZ KeyS KeyX KeyD KeyC KeyV KeyG KeyB KeyH KeyN KeyJ KeyM Comma KeyL Period Semicolon Slash";
const UPPER =
  "KeyQ Digit2 KeyW Digit3 KeyE KeyR Digit5 KeyT Digit6 KeyY Digit7 KeyU KeyI Digit9 KeyO Digit0 KeyP BracketLeft";

/** @type {Map<string, number>} event.code -> semitones above the lowest C */
export const SEMITONES = new Map([
  ...LOWER.split(" ").map((code, index) => /** @type {[string, number]} */ ([code, index])),
  ...UPPER.split(" ").map((code, index) => /** @type {[string, number]} */ ([code, index + 12])),
]);

/** @type {Map<string, number>} keys that are down, and the pitch that each began, whatever the octave is now */
const down = new Map();

/**
 * Return true where keys are text: in fields and lists.
 * @param {EventTarget | null} target
 */
export function takesText(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["range", "checkbox", "radio", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

/** @param {KeyboardEvent} event */
function press(event) {
  if (event.defaultPrevented || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (takesText(event.target) || document.querySelector("dialog[open]")) return;
  if (event.code === "Minus" || event.code === "Equal") {
    noteInput.shift(event.code === "Minus" ? -1 : 1);
    event.preventDefault();
    return;
  }
  const semitones = SEMITONES.get(event.code);
  if (semitones === undefined) return;
  event.preventDefault(); // some browsers search for what is typed: ' and /
  if (down.has(event.code)) return;
  const pitch = noteInput.basePitch + semitones;
  down.set(event.code, pitch);
  noteInput.press(pitch, event.code, noteInput.velocity, event.timeStamp);
}

/** @param {KeyboardEvent} event */
function release(event) {
  if (event.key === "Meta") return releaseAll(); // while it is down, some systems tell of no key that goes up
  const pitch = down.get(event.code);
  if (pitch === undefined) return;
  down.delete(event.code);
  noteInput.release(pitch, event.code, event.timeStamp);
}

/** End every note that a key holds: the page hears of its keys no more, or must be silent. */
function releaseAll() {
  for (const [code, pitch] of down) noteInput.release(pitch, code);
  down.clear();
}

/** Listen to the keyboard. */
export function setUp() {
  document.addEventListener("keydown", press);
  document.addEventListener("keyup", release);
  window.addEventListener("blur", releaseAll);
  window.addEventListener("pagehide", releaseAll);
  document.addEventListener("visibilitychange", () => document.hidden && releaseAll());
  on("panic", releaseAll);
}
