/**
 * Calls that are made one after the other, in the order in which they were asked for.
 *
 * Of calls with the same key that wait next to each other, one is made for all: its body has the members of them all,
 * the newest of each.
 */

/**
 * @typedef {Object} Waiting
 * @property {string} key "" for a call that is made by itself
 * @property {object|undefined} body
 * @property {(body: any) => Promise<any>} work
 * @property {Promise<any>} done
 * @property {boolean} isOpen false as soon as the server has answered it, or refused
 */

export class CallQueue {
  constructor() {
    /** @type {Waiting[]} those that have not ended, the one that is under way first */
    this.entries = [];
    /** @type {Promise<any>} the end of the last one */
    this.end = Promise.resolve();
  }

  /**
   * Have a call made after those that were asked for before, and return what it returns.
   *
   * @template T
   * @param {(body: any, answered: () => void) => Promise<T>} work makes the call; tells by `answered` that the server
   *   has the body, where it goes on after that
   * @param {string} [key]
   * @param {object} [body]
   * @returns {Promise<T>}
   */
  add(work, key = "", body = undefined) {
    const last = this.entries.at(-1);
    if (key && last?.key === key && this.entries.length > 1) {
      last.body = { ...last.body, ...body };
      return last.done;
    }
    const entry = { key, body, done: Promise.resolve(), isOpen: true };
    const close = () => (entry.isOpen = false);
    entry.done = this.end
      .then(() => work(entry.body, close))
      .finally(() => {
        close();
        this.entries.shift();
      });
    this.end = entry.done.catch(() => {});
    this.entries.push(entry);
    return entry.done;
  }

  /** Tell whether there is something of a key that the server does not have yet. @param {string} key */
  has(key) {
    return this.entries.some((entry) => entry.key === key && entry.isOpen);
  }
}
