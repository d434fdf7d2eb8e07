/**
 * A steady tick for what is scheduled ahead on the audio clock. It comes from a worker, because browsers slow the timers
 * of a page down to one a second while its tab is hidden, and a worker's not.
 */

/** @type {Set<function(): void>} */
const listeners = new Set();
/** @type {Worker | null} */
let worker = null;

/**
 * Call a function every 20 ms or so.
 * @param {function(): void} listener
 * @returns {function(): void} ends it
 */
export function everyTick(listener) {
  if (!worker) {
    worker = new Worker(new URL("./ticker_worker.js", import.meta.url));
    worker.addEventListener("message", tick);
  }
  listeners.add(listener);
  worker.postMessage(true);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) worker?.postMessage(false);
  };
}

function tick() {
  for (const listener of [...listeners]) {
    try {
      listener();
    } catch (error) {
      console.error(error);
    }
  }
}
