/** Sentences for the person at the page, in the region #messages, one at a time. */

const SHOWN_MS = 6000;
const region = /** @type {HTMLElement} */ (document.getElementById("messages"));
let timer = 0;

/**
 * Show a sentence for some seconds, longer where something can be done about it; screen readers say it.
 * @param {string} text
 * @param {{error?: boolean, ms?: number, action?: {label: string, run: () => void}}} [options] action: a button
 */
export function say(text, { error = false, action, ms = action ? 3 * SHOWN_MS : SHOWN_MS } = {}) {
  region.textContent = text;
  if (action) region.append(" ", makeButton(action));
  region.classList.toggle("error", error);
  clearTimeout(timer);
  timer = window.setTimeout(() => (region.textContent = ""), ms);
}

/** @param {{label: string, run: () => void}} action */
function makeButton({ label, run }) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", run);
  return button;
}

/**
 * Run something, and show what goes wrong.
 * @template T
 * @param {() => T | Promise<T>} work
 * @returns {Promise<T | undefined>}
 */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    sayError(error);
    return undefined;
  }
}

/**
 * Show what went wrong.
 * @param {unknown} error
 */
export function sayError(error) {
  say(error instanceof Error ? error.message : String(error), { error: true });
}

region.addEventListener("click", () => (region.textContent = ""));
