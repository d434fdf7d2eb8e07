/** The menu of a control, by right click, by the menu key or by Shift+F10: learn a knob of a MIDI device, forget it. */

import { on } from "./bus.js";
import { labelOf } from "./control_words.js";
import { byId, make, makeButton } from "./dom.js";
import { live } from "./live.js";
import { say, sayError } from "./messages.js";
import { midiIn } from "./midi_in.js";
import { pageKnobs } from "./page_knobs.js";
import { settings } from "./settings.js";

const LEARN_WITHIN_MS = 60_000;
const menu = make("div", { class: "menu", role: "menu", popover: "auto" });
/** @type {HTMLElement | null} the field that the menu is about */
let owner = null;

/** Return the gestures that turn a control. @param {string} key */
function listGestures(key) {
  return Object.entries(live.state.gestures ?? {})
    .filter(([, target]) => target === key || String(target).startsWith(`${key}=`))
    .map(([gesture]) => gesture);
}

async function readGestures() {
  try {
    live.state.gestures = (await live.request("get", { key: "gestures" })).value;
  } catch {
    // an older list is shown
  }
}

/**
 * Wait for the next knob, of the band's ports or of a device that the browser hears; whichever comes first.
 * @param {string} key
 */
async function learn(key) {
  const name = labelOf(key);
  say(`Turn the knob or strike the pad that is to turn ${name}.`, { ms: LEARN_WITHIN_MS });
  const ways = [];
  if (live.hasBand) ways.push(live.request("learn", { key }, LEARN_WITHIN_MS).then(({ gesture }) => gesture));
  if (midiIn.state === "connected") ways.push(pageKnobs.learn(key));
  try {
    const gesture = await Promise.any(ways);
    say(`${name} is turned by ${gesture} from now on.`);
    await readGestures();
  } catch (error) {
    sayError(error instanceof AggregateError ? error.errors[0] : error);
  } finally {
    pageKnobs.cancel();
  }
}

/** @param {string} key */
async function forget(key) {
  const isOfPage = pageKnobs.of(key).length > 0;
  pageKnobs.forget(key);
  try {
    if (live.hasBand && listGestures(key).length) await live.request("forget", { key });
    say(`${labelOf(key)} has forgotten what it had learnt.`);
    await readGestures();
  } catch (error) {
    if (!isOfPage) sayError(error);
  }
}

/** @param {string} text @param {function(): void} run */
function addItem(text, run) {
  const item = makeButton(text, () => {
    menu.hidePopover();
    run();
  }, { role: "menuitem" });
  menu.append(item);
}

/**
 * Show the menu of a control.
 * @param {HTMLElement} field
 * @param {number} x
 * @param {number} y
 */
function show(field, x, y) {
  const key = /** @type {string} */ (field.dataset.control);
  const gestures = [...listGestures(key), ...pageKnobs.of(key)];
  const initial = (live.hello?.controls ?? []).find((/** @type {any} */ spec) => spec.name === key);
  owner = field;
  menu.replaceChildren();
  menu.setAttribute("aria-label", `${labelOf(key)}: MIDI`);
  if (live.hasBand || midiIn.state === "connected") addItem("Learn a MIDI control", () => learn(key));
  if (gestures.length) addItem(`Forget what it learnt (${gestures.join(", ")})`, () => forget(key));
  if (initial && initial.kind !== "trigger" && initial.default !== null) {
    addItem("Back to its first value", () => settings.set(key, initial.default).catch(sayError));
  }
  if (!menu.childElementCount) addItem("Close", () => {});
  menu.showPopover();
  const { offsetWidth, offsetHeight } = menu;
  menu.style.left = `${Math.max(4, Math.min(x, window.innerWidth - offsetWidth - 4))}px`;
  menu.style.top = `${Math.max(4, Math.min(y, window.innerHeight - offsetHeight - 4))}px`;
  /** @type {HTMLElement} */ (menu.firstElementChild).focus();
}

/** @param {KeyboardEvent} event */
function moveInMenu(event) {
  const items = /** @type {HTMLElement[]} */ ([...menu.children]);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  items[(at + step + items.length) % items.length].focus();
}

/** Listen for what opens the menu. */
export function setUp() {
  byId("controls").append(menu);
  menu.addEventListener("keydown", moveInMenu);
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed" && menu.contains(document.activeElement)) owner?.focus();
  });
  document.addEventListener("contextmenu", (event) => {
    const target = /** @type {Element} */ (event.target);
    const field = target.closest("[data-control]") ?? target.closest("label")?.querySelector("[data-control]");
    if (!(field instanceof HTMLElement)) return;
    event.preventDefault();
    const byKey = event.button !== 2 || (event.clientX === 0 && event.clientY === 0);
    const box = field.getBoundingClientRect();
    show(field, byKey ? box.left : event.clientX, byKey ? box.bottom : event.clientY);
  });
  on("live:closed", () => menu.matches(":popover-open") && menu.hidePopover());
}
