/**
 * Two results against each other, A and B: `toggle` shows and plays the other one at the same bar.
 *
 * A is the result that was chosen, B the one chosen before it, unless another is set. Emits `compare`.
 */
import { emit, on } from "./bus.js";
import { documents } from "./documents.js";
import { attempt, say } from "./messages.js";
import { playback } from "./playback.js";
import { stage } from "./stage.js";

/** @type {string|null} */
let a = null;
/** @type {string|null} */
let b = null;
/** the item that `toggle` chooses, which is no other A therefore */
let turningTo = "";

export const compare = {
  showsB: false,

  /** Return A and B, as far as there are two. */
  pair() {
    return { a: documents.find(a) ? a : null, b: findOther() };
  },

  /** Show and play the other one of the two. */
  async toggle() {
    const other = findOther();
    if (!documents.find(a) || !other) {
      say("There is nothing to compare yet: make two results, then press Compare.");
      return;
    }
    const id = this.showsB ? a : other;
    b = other;
    turningTo = id ?? "";
    this.showsB = !this.showsB;
    stage.show("item");
    if (!playback.playing) playback.playWhenShown(turningTo);
    await attempt(() => documents.choose(id));
    if (turningTo === id) turningTo = "";
    if (!turningTo) this.showsB = documents.chosenId === findOther();
    emit("compare");
  },

  /** Have an item for B. @param {string|null} id */
  setOther(id) {
    if (id === a) a = b ?? newestBut(id);
    b = id;
    this.showsB = documents.chosenId === b;
    emit("compare");
  },
};

/** Return B: the one that was set or chosen before, else the newest result that is not A, else the input of A. */
function findOther() {
  if (b !== a && documents.find(b)) return b;
  return newestBut(a);
}

/** @param {string|null} id */
function newestBut(id) {
  const item = documents.find(id);
  if (!item) return null;
  const others = documents.list("result").filter((other) => other.id !== id && other.parent === item.parent);
  return others[0]?.id ?? documents.find(item.parent)?.id ?? null;
}

/** Follow which results are chosen. */
export function setUp() {
  on("item:marked", (id) => {
    const item = documents.find(id);
    if (id === turningTo || item?.kind !== "result") return;
    if (id !== a) b = a !== null && documents.find(a)?.parent === item.parent ? a : null;
    a = id;
    compare.showsB = false;
    emit("compare");
  });
  document.addEventListener("keydown", (event) => {
    const isField = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
    if (event.code !== "Backquote" || isField || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    event.preventDefault();
    compare.toggle();
  });
}
