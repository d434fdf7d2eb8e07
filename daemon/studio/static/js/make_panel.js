/** Step 2: Make. What the chosen technique does, what it alone knows, and the button that has a result made. */
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId, enable, label, make, makeButton, makeChoice, makeNumber } from "./dom.js";
import { Cancelled, cancelJob } from "./jobs.js";
import { live } from "./live.js";
import { attempt, say, sayError } from "./messages.js";
import { showResult } from "./results.js";
import { settings } from "./settings.js";
import { stage } from "./stage.js";
import { TECHNIQUE_CONTROLS, TECHNIQUE_HELP } from "./techniques.js";

const ITERATIONS = 100;
const EXTENDED_BARS = 8;

const help = make("p", { class: "hint" });
const way = makeChoice([["accompany", "accompany"], ["extend", "go on with it"]], { id: "way" });
const more = makeNumber({ id: "extend-bars", min: 1, max: 64, value: EXTENDED_BARS });
const iterations = makeNumber({ id: "iterations", min: 1, max: 10000, value: ITERATIONS });
const progress = make("progress", { max: 1, value: 0, "aria-label": "Progress" });
const cancel = makeButton("Cancel", () => job && attempt(() => cancelJob(/** @type {string} */ (job))));
const go = makeButton("Make", () => makeResult(), { id: "make-button", class: "primary" });

const transformerFields = make("div", { class: "fields" }, label("It should", way), label("Bars to add", more));
const editFields = make(
  "details",
  {},
  make("summary", { text: "What it may edit" }),
  make(
    "div",
    { class: "fields" },
    label("Most removed, %", bound("remove_max", makeNumber({ min: 0, max: 100, value: 50 }))),
    label("Most added, notes", bound("add_max", makeNumber({ min: 0, max: 100000, value: 200 }))),
    label("Iterations", iterations),
    label("Bars to leave alone", bound("lock_bars", make("input", { type: "text", placeholder: "1-2, 5" }))),
    label("Pitches to leave alone", bound("lock_pitches", make("input", { type: "text", placeholder: "60-64" }))),
    label("Lowest pitch", bound("register_low", makeNumber({ min: 0, max: 127, value: 0 }))),
    label("Highest pitch", bound("register_high", makeNumber({ min: 0, max: 127, value: 127 }))),
  ),
);

/** @type {string|null} the job that is under way */
let job = null;
let busy = false;

/** Return a field bound to a control by controls.js. @template {HTMLElement} F @param {string} key @param {F} field */
function bound(key, field) {
  field.dataset.control = key;
  field.id = `make-${key}`;
  return field;
}

/** Offer what the technique knows, and nothing else. */
function showTechnique() {
  const technique = settings.get("technique") ?? "gan";
  help.textContent = TECHNIQUE_HELP[technique] ?? "";
  transformerFields.hidden = technique !== "transformer";
  editFields.hidden = technique !== "arcnn";
  more.disabled = way.value !== "extend";
  byId("creative_risk").closest("label")?.classList.toggle("idle", technique !== "arcnn");
}

function showState() {
  const none = !documents.item;
  enable(go, !none && !busy);
  go.title = none ? "Record, Import or an example first: there is no input yet" : "Have a result made of the chosen input, and hear it";
  progress.hidden = cancel.hidden = !busy;
}

/** Return the controls of a technique that are not as they are by default; those of edits always. */
function collectControls(technique) {
  const defaults = new Map((live.hello?.controls ?? []).map((/** @type {any} */ c) => [c.name, c.default]));
  const isTold = (/** @type {string} */ key) =>
    settings.get(key) !== undefined && (technique === "arcnn" || settings.get(key) !== defaults.get(key));
  const names = (TECHNIQUE_CONTROLS[technique] ?? TECHNIQUE_CONTROLS.gan).filter(isTold);
  const controls = Object.fromEntries(names.map((key) => [key, settings.get(key)]));
  return technique === "arcnn" ? { ...controls, iterations: Number(iterations.value) || ITERATIONS } : controls;
}

/** Return a style that the technique has learned: the one chosen, else its first. */
function pickStyle(technique) {
  const styles = live.hello?.technique_styles?.[technique] ?? [];
  const style = settings.get("style") ?? "pop";
  return !styles.length || styles.includes(style) ? style : styles[0];
}

/** Return the input to make a result of; a take that is shown becomes one first. */
async function findInput() {
  if (documents.item?.kind !== "take") return documents.inputId ?? documents.chosenId;
  const take = documents.item.id.replace(/^take:/, "");
  return (await documents.add("/api/project/inputs", { take })).id;
}

/**
 * Have a result made, show it and play it.
 *
 * @param {number} [seed] the one chosen, where no other is given
 */
export async function makeResult(seed = Number(settings.get("seed") ?? 0)) {
  if (busy) {
    say("The last one is still being made: wait, or press Cancel.");
    return;
  }
  if (!documents.item) {
    say("There is no input yet: press Record and play, import a file, or take an example.");
    return;
  }
  setBusy(true);
  try {
    const technique = settings.get("technique") ?? "gan";
    const extend = technique === "transformer" && way.value === "extend" ? { extend: Number(more.value) || EXTENDED_BARS } : {};
    const input = await findInput();
    const body = { input, technique, style: pickStyle(technique), seed, controls: collectControls(technique), ...extend };
    const id = await documents.compute("/api/project/make", body, (started) => (job = started));
    if (id) await showResult(id);
  } catch (error) {
    if (error instanceof Cancelled) say("Cancelled: nothing was made.");
    else sayError(error);
  } finally {
    setBusy(false);
  }
}

/** @param {boolean} now */
function setBusy(now) {
  busy = now;
  if (!now) job = null;
  progress.removeAttribute("value");
  showState();
}

/** Put it into the page. */
export function setUp() {
  const row = make("div", { class: "make-row" }, go, progress, cancel);
  byId("make").append(help, transformerFields, editFields, row);
  way.addEventListener("change", showTechnique);
  on("settings:changed", ({ key }) => key === "technique" && showTechnique());
  on("item:chosen", showState);
  on("job", (told) => {
    if (told.id === job && told.share > 0) progress.value = told.share;
  });
  on("another", ({ seed }) => stage.what === "item" && documents.item && makeResult(seed));
  showTechnique();
  showState();
}
