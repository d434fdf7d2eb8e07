/** Where bars and beats are: from metres at ticks, or from bars that were told one by one, and on from the last one. */

const TICKS_PER_WHOLE = 96;

/**
 * A bar whose place is known; the following ones are as long as it, until another is known.
 * @typedef {{tick: number, bar: number, ticks: number, beat: number, metre: string}} KnownBar
 */

/**
 * Return the ticks of a bar and of a beat in a metre such as "6/8"; what cannot be read is taken for 4/4.
 * @param {string} metre
 */
export function measureMetre(metre) {
  const [above, below] = metre.split("/").map(Number);
  if (!(above > 0 && below > 0)) return { ticks: TICKS_PER_WHOLE, beat: TICKS_PER_WHOLE / 4 };
  const unit = TICKS_PER_WHOLE / below;
  const compound = below >= 8 && above % 3 === 0;
  return { ticks: above * unit, beat: compound ? 3 * unit : unit };
}

export class BarLines {
  constructor() {
    /** @type {KnownBar[]} in order; never empty */
    this.known = [];
    this.clear();
  }

  clear() {
    this.known.length = 0;
    this.known.push({ tick: 0, bar: 1, metre: "4/4", ...measureMetre("4/4") });
  }

  /**
   * Return those of metres that each hold from a tick on.
   * @param {[number, string][]} metres
   */
  static from(metres) {
    const lines = new BarLines();
    if (!metres?.length) return lines;
    lines.known.length = 0;
    let bar = 1;
    let before = null;
    for (const [tick, metre] of metres) {
      if (before) bar += Math.max(1, Math.round((tick - before.tick) / before.ticks));
      before = { tick, bar, metre, ...measureMetre(metre) };
      lines.known.push(before);
    }
    return lines;
  }

  /**
   * Take a bar that has begun.
   * @param {number} bar its number
   * @param {number} tick
   * @param {number} end
   * @param {string} metre
   */
  tell(bar, tick, end, metre) {
    while (this.known.length && this.known[this.known.length - 1].tick >= tick) this.known.pop();
    const before = this.known[this.known.length - 1];
    const ticks = end - tick;
    if (before && before.ticks === ticks && before.metre === metre) {
      const count = (tick - before.tick) / ticks;
      if (Number.isInteger(count) && before.bar + count === bar) return;
    }
    this.known.push({ tick, bar, ticks, metre, beat: measureMetre(metre).beat });
  }

  /**
   * Return the known bar that leads to a tick.
   * @param {number} tick
   */
  #indexAt(tick) {
    let index = this.known.length - 1;
    while (index > 0 && this.known[index].tick > tick) index -= 1;
    return index;
  }

  /**
   * Return the bar that a tick lies in: its number, beginning, end, and length of a beat.
   * @param {number} tick
   */
  at(tick) {
    const known = this.known[this.#indexAt(tick)];
    const count = Math.floor((tick - known.tick) / known.ticks);
    const begin = known.tick + count * known.ticks;
    return { bar: known.bar + count, tick: begin, end: begin + known.ticks, beat: known.beat, metre: known.metre };
  }

  /**
   * Return the tick at which a bar begins.
   * @param {number} bar
   */
  tickOf(bar) {
    let known = this.known[0];
    for (const other of this.known) if (other.bar <= bar) known = other;
    return known.tick + (bar - known.bar) * known.ticks;
  }

  /**
   * Call a function for every bar line in a range of ticks.
   * @param {number} from
   * @param {number} to
   * @param {function(number, number, number, number): void} visit tick, number, ticks of a beat, end
   */
  each(from, to, visit) {
    let index = this.#indexAt(from);
    let known = this.known[index];
    let count = Math.floor((from - known.tick) / known.ticks);
    for (;;) {
      const tick = known.tick + count * known.ticks;
      const next = this.known[index + 1];
      if (next && tick >= next.tick) {
        index += 1;
        known = next;
        count = 0;
        continue;
      }
      if (tick > to) return;
      visit(tick, known.bar + count, known.beat, Math.min(tick + known.ticks, next ? next.tick : Infinity));
      count += 1;
    }
  }
}
