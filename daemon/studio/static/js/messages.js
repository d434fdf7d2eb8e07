/** Sentences for the person at the page, in the region #messages, one at a time. */

const SHOWN_MS = 6000;
const region = /** @type {HTMLElement} */ (document.getElementById("messages"));
let timer = 0;

/**
 * Show a sentence for some seconds; screen readers say it.
 * @param {string} text
 * @param {{error?: boolean, ms?: number}} [options]
 */
export function say(text, { error = false, ms = SHOWN_MS } = {}) {
  region.textContent = text;
  region.classList.toggle("error", error);
  clearTimeout(timer);
  timer = window.setTimeout(() => (region.textContent = ""), ms);
}

/**
 * Show what went wrong.
 * @param {unknown} error
 */
export function sayError(error) {
  say(error instanceof Error ? error.message : String(error), { error: true });
}

region.addEventListener("click", () => (region.textContent = ""));
