/** The AR-CNN's edits of a melody, one by one: stepped through, and each of them kept or undone. */
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId, make, makeButton } from "./dom.js";
import { attempt } from "./messages.js";
import { namePitch, tellPlace } from "./timeline.js";

/** @typedef {{action: "add"|"remove", tick: number, pitch: number, length: number, velocity: number, log_probability: number, kept: boolean}} Edit */

const slider = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Edits shown" });
const count = make("span", { class: "value" });
const last = make("span", { class: "dim", "aria-live": "polite" });
const list = make("ol", { class: "edits", "aria-label": "Edits" });
const step = (/** @type {string} */ sign, /** @type {string} */ name, /** @type {() => number} */ to) =>
  makeButton(sign, () => showEdits(to()), { class: "quiet", "aria-label": name, title: name });
const stepper = make(
  "div",
  { id: "stepper", class: "stepper", role: "group", "aria-label": "Step through the edits", hidden: true },
  make("span", { class: "dim", text: "Edits" }),
  step("«", "No edit", () => 0),
  step("‹", "One edit back", () => wanted - 1),
  slider,
  step("›", "One edit on", () => wanted + 1),
  step("»", "All edits", () => Number(slider.max)),
  count,
  last,
);
const panel = make(
  "section",
  { id: "edits", "aria-label": "Edits one by one", hidden: true },
  make("h3", { text: "Edits: those that are ticked are kept" }),
  list,
);

/** how many edits are to be shown: what the server shows, or will as soon as it is asked */
let wanted = 0;
let shownId = "";

/** Return an edit in words. @param {import("./documents.js").Item} item @param {Edit} edit */
export function tellEdit(item, edit) {
  const share = Math.exp(edit.log_probability) * 100;
  const percent = share >= 1 ? Math.round(share) : Number(share.toPrecision(1));
  return `${edit.action === "add" ? "added" : "removed"} ${namePitch(edit.pitch)} at ${tellPlace(item, edit.tick)}, ${percent} %`;
}

/** Show the first edits only. @param {number} shown how many */
function showEdits(shown) {
  wanted = Math.min(Number(slider.max), Math.max(0, shown));
  markShown();
  send({ shown: wanted });
}

/** Keep the edits that are ticked, as they are here: the server may not have the last ones yet. */
function keep() {
  send({ kept: [...list.querySelectorAll("input")].map((box) => box.checked) });
}

/** Tell the server. @param {object} body */
async function send(body) {
  if (!documents.item) return;
  const { id } = documents.item;
  await attempt(() => documents.save(id, "/edits", body));
  if (documents.item) show(documents.item);
}

function markShown() {
  slider.value = String(wanted);
  const { item } = documents;
  count.textContent = `${wanted} of ${slider.max}`;
  last.textContent = item && wanted ? tellEdit(item, /** @type {Edit} */ (item.edits?.[wanted - 1])) : "the melody as it was";
  [...list.children].forEach((row, i) => {
    row.classList.toggle("later", i >= wanted);
    row.classList.toggle("last", i === wanted - 1);
    if (i === wanted - 1 && !panel.hidden) reveal(/** @type {HTMLElement} */ (row));
  });
}

/** Scroll the list, and nothing around it, to a row. @param {HTMLElement} row */
function reveal(row) {
  const top = row.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + row.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + row.offsetHeight - list.clientHeight;
}

/** @param {import("./documents.js").Item|null} item */
function show(item) {
  const edits = /** @type {Edit[]} */ (item?.edits ?? []);
  panel.hidden = stepper.hidden = !edits.length;
  if (!item || !edits.length || (item.id === shownId && documents.isSaving(item.id, "/edits"))) return;
  wanted = item.edits_shown ?? edits.length;
  slider.max = String(edits.length);
  if (shownId !== item.id || list.children.length !== edits.length) fill(item, edits);
  shownId = item.id;
  [...list.querySelectorAll("input")].forEach((box, i) => (box.checked = edits[i].kept));
  markShown();
}

/** @param {import("./documents.js").Item} item @param {Edit[]} edits */
function fill(item, edits) {
  const rows = edits.map((edit, i) => {
    const box = make("input", { type: "checkbox", checked: edit.kept });
    box.addEventListener("change", keep);
    return make("li", { class: edit.action }, make("label", { class: "check" }, box, `${i + 1}. ${tellEdit(item, edit)}`));
  });
  list.replaceChildren(...rows);
}

/** Put it into the page: the steps above the roll, the list below the results. */
export function setUp() {
  byId("roll-bar").append(stepper);
  byId("results").append(panel);
  slider.addEventListener("input", () => showEdits(Number(slider.value)));
  on("item:chosen", show);
  on("stage", (what) => (stepper.hidden = what === "live" || panel.hidden));
}
