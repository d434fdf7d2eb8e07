/** The worker behind ticker.js: sends a message every 20 ms while it is asked to. */

const EVERY_MS = 20;
let timer = 0;

self.addEventListener("message", ({ data }) => {
  clearInterval(timer);
  timer = data ? self.setInterval(() => self.postMessage(0), EVERY_MS) : 0;
});
