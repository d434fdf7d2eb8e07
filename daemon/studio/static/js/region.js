/**
 * The bars that are played in loop, trimmed to, or made anew: from one bar to another of the item that is shown.
 *
 * Emits `region` ({from, to, whole}) when they change.
 */
import { emit, on } from "./bus.js";
import { countBars, tickOfBar } from "./timeline.js";

export const region = {
  /** first bar, from 1 */
  from: 1,
  /** last bar, which belongs to it */
  to: 1,
  /** how many bars the item has */
  bars: 1,
  /** @type {string|null} */
  itemId: null,

  /** True where it is all of the item. */
  get isWhole() {
    return this.from === 1 && this.to === this.bars;
  },

  /** Choose bars; what is not in the item is moved to its nearest bar. @param {number} from @param {number} to */
  set(from, to) {
    const within = (/** @type {number} */ bar) => Math.min(this.bars, Math.max(1, Math.round(bar) || 1));
    [this.from, this.to] = [within(Math.min(from, to)), within(Math.max(from, to))];
    emit("region", this);
  },

  /** Return its first tick, and the one after its last. @param {import("./timeline.js").Song} item @returns {[number, number]} */
  ticks(item) {
    return [tickOfBar(item, this.from), tickOfBar(item, this.to + 1)];
  },
};

/** Follow the item that is shown: one of as many bars keeps the bars chosen (to compare), another is taken whole. */
export function setUp() {
  on("item:chosen", (item) => {
    const bars = item ? countBars(item) : 1;
    if (bars === region.bars && region.itemId) region.itemId = item?.id ?? null;
    else Object.assign(region, { bars, itemId: item?.id ?? null, from: 1, to: bars });
    emit("region", region);
  });
}
