/** The binding of fields and buttons to the controls that they turn: both ways, and back where the band refuses. */

import { on } from "./bus.js";
import { live } from "./live.js";
import { sayError } from "./messages.js";
import { settings } from "./settings.js";

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLButtonElement} Field */

/** @type {Map<string, Set<Field>>} */
const bound = new Map();

/** @param {Field} field @param {any} value */
function write(field, value) {
  if (value === undefined || field instanceof HTMLButtonElement) return;
  if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = Boolean(value);
  else if (field instanceof HTMLSelectElement) writeChoice(field, String(value));
  else if (field !== document.activeElement || !field.dataset.edited) field.value = String(value);
  if (field instanceof HTMLInputElement && field.type === "range") showNumber(field, Number(value));
}

/**
 * Choose a value of a list, which gains it where it was not known.
 * @param {HTMLSelectElement} field
 * @param {string} value
 */
function writeChoice(field, value) {
  if (![...field.options].some((option) => option.value === value)) field.add(new Option(value, value));
  field.value = value;
}

/** @param {HTMLInputElement} slider @param {number} value */
function showNumber(slider, value) {
  const shown = slider.parentElement?.querySelector(".value");
  if (shown) shown.textContent = String(Math.round(value * 100) / 100);
}

/** @param {Field} field */
function read(field) {
  if (field instanceof HTMLInputElement) {
    if (field.type === "checkbox") return field.checked;
    if (field.type === "range" || field.type === "number") return field.value === "" ? undefined : Number(field.value);
  }
  return field.value.trim();
}

/** @param {Field} field */
async function send(field) {
  const key = /** @type {string} */ (field.dataset.control);
  const value = read(field);
  delete field.dataset.edited;
  if (value === undefined) return write(field, settings.get(key));
  try {
    await settings.set(key, value);
  } catch (error) {
    sayError(error);
    write(field, settings.get(key));
  }
}

/** @param {string} key */
async function trigger(key) {
  try {
    await live.set(key, true);
  } catch (error) {
    sayError(error);
  }
}

/**
 * Bind a field or button to the control that its attribute `data-control` names.
 * @param {Field} field
 */
export function bind(field) {
  const key = /** @type {string} */ (field.dataset.control);
  let those = bound.get(key);
  if (!those) bound.set(key, (those = new Set()));
  if (those.has(field)) return;
  those.add(field);
  if (field instanceof HTMLButtonElement) field.addEventListener("click", () => trigger(key));
  else {
    const slides = field instanceof HTMLInputElement && field.type === "range";
    field.addEventListener(slides ? "input" : "change", () => send(field));
    field.addEventListener("input", () => {
      if (slides) showNumber(field, Number(field.value));
      else field.dataset.edited = "true";
    });
    field.addEventListener("blur", () => {
      delete field.dataset.edited;
      write(field, settings.get(key));
    });
    bindEnter(field);
  }
  write(field, settings.get(key));
}

/**
 * Let Enter take what was typed, and Escape what stood there before.
 * @param {HTMLInputElement | HTMLSelectElement} field
 */
function bindEnter(field) {
  field.addEventListener("keydown", (event) => {
    const { key } = /** @type {KeyboardEvent} */ (event);
    if (key !== "Escape" || !field.dataset.edited) return;
    delete field.dataset.edited;
    write(field, settings.get(/** @type {string} */ (field.dataset.control)));
  });
}

/** Bind all that stands on the page, whatever is added to it later, and follow the band. */
export function setUp() {
  const bindAll = (/** @type {ParentNode} */ root) => root.querySelectorAll("[data-control]").forEach((each) => bind(/** @type {Field} */ (each)));
  bindAll(document);
  new MutationObserver((records) => {
    for (const { addedNodes } of records) {
      for (const node of addedNodes) {
        if (!(node instanceof HTMLElement)) continue;
        if (node.dataset.control) bind(/** @type {Field} */ (/** @type {unknown} */ (node)));
        bindAll(node);
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
  on("settings:changed", ({ key, value }) => bound.get(key)?.forEach((field) => write(field, value)));
}
