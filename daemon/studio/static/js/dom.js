/** Making elements of the page. */

/**
 * Return a new element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [members] attributes; `class`, `text` and functions as `onclick` are understood, too
 * @param {...(Node|string|null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, members = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(members)) {
    const isState = name.startsWith("aria-"); // there "false" says something, too
    if (value === undefined || value === null || (value === false && !isState)) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !isState ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Return a new button.
 *
 * @param {string} text
 * @param {(event: MouseEvent) => void} run
 * @param {Record<string, any>} [members] attributes
 */
export function makeButton(text, run, members = {}) {
  return make("button", { type: "button", text, onclick: run, ...members });
}

/**
 * Return a label with its field, and the field.
 *
 * @template {HTMLElement} Field
 * @param {string} text
 * @param {Field} field
 * @param {string} [kind] the label's class
 * @returns {HTMLLabelElement}
 */
export function label(text, field, kind = "field") {
  return kind === "check" ? make("label", { class: kind }, field, text) : make("label", { class: kind }, make("span", { text }), field);
}

/** Return a field for a whole number. @param {Record<string, any>} [members] */
export function makeNumber(members = {}) {
  return make("input", { type: "number", step: 1, ...members });
}

/** Return a field in which one of some values is chosen. @param {[string|number, string][]} options value and text */
export function makeChoice(options, members = {}) {
  return make("select", members, ...options.map(([value, text]) => make("option", { value, text })));
}

/** Return the element with an id, which the page has. @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Enable or disable something that can be operated. @param {HTMLButtonElement} button @param {boolean} enabled */
export function enable(button, enabled) {
  if (!enabled && document.activeElement === button) button.blur();
  button.disabled = !enabled;
}
