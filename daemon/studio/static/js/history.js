/** Undo and redo of the project: the buttons, and Ctrl+Z, Ctrl+Shift+Z and Ctrl+Y. */
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId } from "./dom.js";
import { attempt, say } from "./messages.js";

const undo = /** @type {HTMLButtonElement} */ (byId("undo"));
const redo = /** @type {HTMLButtonElement} */ (byId("redo"));

function show() {
  for (const [button, label, words] of /** @type {[HTMLButtonElement, any, string][]} */ ([
    [undo, documents.project?.undo, "Take back"],
    [redo, documents.project?.redo, "Do again"],
  ])) {
    button.disabled = !label;
    button.title = label ? `${words}: ${label}` : `There is nothing to ${button === undo ? "undo" : "redo"}`;
  }
}

/** @param {"undo"|"redo"} which */
function step(which) {
  return attempt(async () => {
    const label = await documents.step(which);
    if (label) say(which === "undo" ? `Taken back: ${label}.` : `Done again: ${label}.`);
  });
}

/** @param {KeyboardEvent} event */
function hearKey(event) {
  const target = event.target;
  const isText = target instanceof HTMLElement && target.matches("textarea, input:not([type=range], [type=checkbox])");
  if (isText || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key !== "z" && key !== "y") return;
  event.preventDefault();
  step(key === "y" || event.shiftKey ? "redo" : "undo");
}

/** Bind the buttons and keys. */
export function setUp() {
  undo.addEventListener("click", () => step("undo"));
  redo.addEventListener("click", () => step("redo"));
  document.addEventListener("keydown", hearKey);
  on("project:changed", show);
  show();
}
