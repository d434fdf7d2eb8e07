/**
 * Saving changed notes on the server, one call after the other, in the order of the changes.
 *
 * What is changed while a call is under way is sent after it, as one change.
 */
import { itemPath } from "./api.js";
import { documents } from "./documents.js";

/** @typedef {import("./selection.js").Notes} Notes */

/** @type {{id: string, notes: Notes, label: string}|null} */
let waiting = null;
let sending = false;

export const noteSaving = {
  /** True while there is something that the server does not have yet. */
  get isBusy() {
    return sending || waiting !== null;
  },

  /**
   * Save the notes of an item.
   *
   * @param {string} id
   * @param {Notes} notes
   * @param {string} label of the step that can be undone
   * @param {(error: unknown) => void} failed
   */
  async save(id, notes, label, failed) {
    if (waiting && waiting.id !== id) await flush(failed);
    waiting = { id, notes, label };
    if (!sending) await flush(failed);
  },
};

/** @param {(error: unknown) => void} failed */
async function flush(failed) {
  sending = true;
  try {
    while (waiting) {
      const { id, notes, label } = waiting;
      waiting = null;
      await documents.change("PUT", itemPath(id, "/notes"), { notes, label });
    }
  } catch (error) {
    waiting = null;
    sending = false; // what is shown again is what the server has
    failed(error);
  } finally {
    sending = false;
  }
}
