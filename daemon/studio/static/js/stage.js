/** Which of the two things the roll shows: the live performance, or the chosen item. Emits `stage` ("live"|"item"). */
import { emit } from "./bus.js";

export const stage = {
  /** @type {"live"|"item"} */
  what: "live",

  /** Show the live performance, or the chosen item. @param {"live"|"item"} what */
  show(what) {
    if (what === this.what) return;
    this.what = what;
    emit("stage", what);
  },
};
