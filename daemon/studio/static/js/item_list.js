/**
 * A list of items of which one is chosen: by pointer, or by arrow keys, Home and End. Each has a small picture, a name
 * and a line of what it is. F2 and Delete act on the one that has the focus.
 */
import { make } from "./dom.js";
import { paintThumbnail } from "./thumbnail.js";

/**
 * @typedef {Object} Row
 * @property {string} id
 * @property {string} key another one where the picture must be painted anew
 * @property {string} name
 * @property {string} facts
 * @property {string} [badge] a letter that marks it: A or B
 */

/** Where the arrow keys lead from the place of a row. */
const STEPS = /** @type {Record<string, (at: number, count: number) => number>} */ ({
  ArrowDown: (at, count) => Math.min(count - 1, at + 1),
  ArrowUp: (at) => Math.max(0, at - 1),
  Home: () => 0,
  End: (_, count) => count - 1,
});

export class ItemList {
  /**
   * @param {string} name what the list holds, for screen readers
   * @param {Object} does
   * @param {(id: string) => void} does.choose
   * @param {(id: string) => Promise<any>} [does.fetch] returns a whole item, for its picture
   * @param {(id: string) => void} [does.rename]
   * @param {(id: string) => void} [does.remove]
   */
  constructor(name, does) {
    this.does = does;
    this.element = make("ul", { class: "items", role: "listbox", "aria-label": name });
    /** @type {Map<string, {element: HTMLElement, key: string}>} */
    this.rows = new Map();
    this.element.addEventListener("click", (event) => {
      const id = idAt(event);
      if (id) does.choose(id);
    });
    this.element.addEventListener("dblclick", (event) => {
      const id = idAt(event);
      if (id) does.rename?.(id);
    });
    this.element.addEventListener("keydown", (event) => this.hearKey(event));
  }

  /** Show rows, of which one is chosen. @param {Row[]} rows @param {string|null} chosenId */
  show(rows, chosenId) {
    const focused = idAt({ target: document.activeElement });
    const hadFocus = this.element.contains(document.activeElement);
    const elements = rows.map((row) => this.makeRow(row, row.id === chosenId));
    this.rows = new Map(rows.map((row, i) => [row.id, { element: elements[i], key: row.key }]));
    this.element.replaceChildren(...elements);
    this.element.hidden = !rows.length;
    if (!rows.some((row) => row.id === chosenId) && elements.length) elements[0].tabIndex = 0;
    if (hadFocus) (this.rows.get(chosenId ?? "") ?? this.rows.get(focused ?? ""))?.element.focus();
  }

  /** @param {Row} row @param {boolean} chosen @returns {HTMLElement} */
  makeRow(row, chosen) {
    const known = this.rows.get(row.id);
    const picture = known?.key === row.key ? known.element.querySelector("canvas") : null;
    const canvas = picture ?? make("canvas", { "aria-hidden": true });
    if (!picture && this.does.fetch) this.paint(row, canvas);
    return make(
      "li",
      { role: "option", "data-id": row.id, "aria-selected": chosen, tabindex: chosen ? 0 : -1 },
      this.does.fetch ? canvas : null,
      make("span", { class: "name", text: row.name }),
      make("span", { class: "facts", text: row.facts }),
      row.badge ? make("span", { class: "badge", text: row.badge, title: `${row.badge} of Compare` }) : null,
    );
  }

  /** @param {Row} row @param {HTMLCanvasElement} canvas */
  async paint(row, canvas) {
    const item = await this.does.fetch?.(row.id).catch(() => null);
    if (item) requestAnimationFrame(() => paintThumbnail(canvas, item));
  }

  /** @param {KeyboardEvent} event */
  hearKey(event) {
    const id = idAt(event);
    if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
    const ids = [...this.rows.keys()];
    const next = STEPS[event.key]?.(ids.indexOf(id), ids.length);
    if (next !== undefined) {
      this.rows.get(ids[next])?.element.focus();
      this.does.choose(ids[next]);
    } else if (event.key === "Enter" || event.key === " ") this.does.choose(id);
    else if (event.key === "F2") this.does.rename?.(id);
    else if (event.key === "Delete") this.does.remove?.(id);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {{target: any}} event @returns {string|undefined} */
function idAt(event) {
  return event.target?.closest?.("[role=option]")?.dataset.id;
}
