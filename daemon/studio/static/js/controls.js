/** The groups of controls, made from the table that the server sends, and the lists of techniques and styles. */

import { emit, on } from "./bus.js";
import { capitalise, labelOf, wordOf } from "./control_words.js";
import { byId, make } from "./dom.js";
import { live } from "./live.js";
import { sayError } from "./messages.js";
import { settings } from "./settings.js";

/**
 * The groups: which are open at first, their sliders and fields, and the buttons below.
 * @type {{id: string, title: string, open?: boolean, hint?: string, keys: string[], buttons?: string[]}[]}
 */
const GROUPS = [
  {
    id: "play",
    title: "Playing",
    open: true,
    keys: ["intensity", "density", "temperature", "swing", "humanise", "recall"],
    buttons: ["intro", "fill", "variation", "ending"],
  },
  {
    id: "harmony",
    title: "Chords and key",
    keys: ["harmony", "key", "chart", "vamp", "harmony_hold", "split", "chord_channel", "transpose"],
  },
  {
    id: "songs",
    title: "Songs and presets",
    keys: ["preset", "song", "setlist", "song_change"],
    buttons: ["previous_song", "next_song"],
  },
  {
    id: "form",
    title: "Beginning and end",
    keys: ["start_with", "intro_bars", "pickup", "final_chord", "ritardando", "pause_bars"],
  },
  {
    id: "players",
    title: "Who plays what",
    hint: "Each role can be played by another technique than the rest.",
    keys: ["player.bass", "player.chords", "player.pad", "player.drums", "player.edits"],
  },
  {
    id: "edits",
    title: "AR-CNN edits",
    keys: [
      "remove_max",
      "add_max",
      "lock_bars",
      "lock_pitches",
      "register_low",
      "register_high",
      "loop_bars",
      "edits_per_second",
      "overdub",
      "edit_sysex",
    ],
    buttons: ["undo"],
  },
  {
    id: "octaves",
    title: "Octaves and timing",
    keys: ["melody", "hand", "bass", "chords", "pad", "edits"]
      .map((role) => `octave.${role}`)
      .concat(["bass", "chords", "pad", "drums", "edits"].map((role) => `offset_ms.${role}`)),
  },
];
const LIMITLESS_INTEGER = 12; // up to so many values are a slider's, more are a field's
const SLIDER_MOST = { edits_per_second: 20, add_max: 400 };

/** @type {Map<string, any>} the server's table by name */
const table = new Map();

/** @param {any} spec */
function makeSlider(spec) {
  const high = SLIDER_MOST[/** @type {keyof typeof SLIDER_MOST} */ (spec.name)] ?? spec.high;
  const step = spec.kind === "integer" ? 1 : high - spec.low > 10 ? 1 : 0.05;
  const field = make("input", {
    type: "range", id: `control-${spec.name}`, "data-control": spec.name, min: spec.low, max: high, step, title: capitalise(spec.help),
  });
  return make("label", { class: "slider", for: field.id }, make("span", { text: labelOf(spec.name) }), field, make("span", { class: "value", "aria-hidden": "true" }));
}

/** @param {any} spec @param {HTMLElement} field */
function makeRow(spec, field) {
  field.id = `control-${spec.name}`;
  field.dataset.control = spec.name;
  field.title = capitalise(spec.help);
  return make("label", { class: "field row", for: field.id }, make("span", { text: labelOf(spec.name) }), field);
}

/** @param {any} spec */
function makeSwitch(spec) {
  const field = make("input", { type: "checkbox", id: `control-${spec.name}`, "data-control": spec.name, title: capitalise(spec.help) });
  return make("label", { class: "check", for: field.id }, field, labelOf(spec.name));
}

/**
 * Return a control's field with its label.
 * @param {any} spec
 */
function makeControl(spec) {
  if (spec.kind === "switch") return makeSwitch(spec);
  if (spec.kind === "name" || spec.kind === "choice") return makeRow(spec, make("select", {}, ...listChoices(spec)));
  if (spec.kind === "integer" && spec.high - spec.low > LIMITLESS_INTEGER && !(spec.name in SLIDER_MOST)) {
    return makeRow(spec, make("input", { type: "number", min: spec.low, max: spec.high, step: 1 }));
  }
  if (spec.name.startsWith("offset_ms") || spec.name === "pickup") {
    return makeRow(spec, make("input", { type: "number", min: spec.low, max: spec.high, step: spec.name === "pickup" ? 0.5 : 1 }));
  }
  if (spec.kind === "number" || spec.kind === "integer") return makeSlider(spec);
  return makeRow(spec, make("input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: PLACEHOLDERS[spec.name] ?? "" }));
}

/** @type {Record<string, string>} */
const PLACEHOLDERS = { lock_bars: "such as 1-2, 5", lock_pitches: "such as 60-72", chart: "none: drop a chart here", key: "auto, or C minor" };

/** @param {any} spec */
function listChoices(spec) {
  const all = spec.choices ?? { technique: live.state.techniques, preset: live.state.presets, song: live.state.songs, setlist: live.state.setlists }[
    /** @type {string} */ (spec.domain)
  ] ?? [];
  const none = spec.domain === "technique" ? "Same as the rest" : "None";
  const options = all.map((/** @type {any} */ choice) => {
    const value = typeof choice === "string" ? choice : choice.name;
    return make("option", { value, text: typeof choice === "string" ? wordOf(choice) : choice.title || choice.name });
  });
  if (spec.domain || spec.default === "") options.unshift(make("option", { value: "", text: none }));
  return options;
}

/** @param {{id: string, title: string, open?: boolean, hint?: string, keys: string[], buttons?: string[]}} group */
function makeGroup({ id, title, open, hint, keys, buttons = [] }) {
  const rows = keys.filter((key) => table.has(key)).map((key) => makeControl(table.get(key)));
  const those = buttons
    .filter((key) => table.has(key))
    .map((key) => make("button", { type: "button", "data-control": key, text: labelOf(key), title: capitalise(table.get(key).help) }));
  return make(
    "details",
    { id: `group-${id}`, open: open ?? false },
    make("summary", { text: title }),
    make(
      "div",
      { class: "rows" },
      hint ? make("p", { class: "hint", text: hint }) : null,
      ...rows,
      those.length ? make("div", { class: "group buttons" }, ...those) : null,
    ),
  );
}

/** Make the groups, once the server has told which controls there are. */
function build() {
  const groups = byId("groups");
  if (groups.childElementCount) return;
  groups.append(...GROUPS.map(makeGroup));
  for (const [key, spec] of table) {
    const field = document.querySelector(`#bar [data-control="${CSS.escape(key)}"], #choices [data-control="${CSS.escape(key)}"]`);
    if (field instanceof HTMLElement && !field.title) field.title = capitalise(spec.help);
  }
}

/** Bring the lists up to date whose choices the band tells. */
function fillLists() {
  for (const spec of table.values()) {
    const field = document.getElementById(`control-${spec.name}`);
    if (!(field instanceof HTMLSelectElement) || !spec.domain) continue;
    field.replaceChildren(...listChoices(spec));
    field.value = settings.get(spec.name) ?? "";
  }
  const hasSongs = (live.state.songs ?? []).length > 0;
  const hasPresets = (live.state.presets ?? []).length > 0;
  byId("group-songs").hidden = !hasSongs && !hasPresets;
  fillTechniques();
}

/** @param {HTMLSelectElement} field @param {string[]} names @param {string} chosen */
function fill(field, names, chosen) {
  const all = names.includes(chosen) || !chosen ? names : [...names, chosen];
  if ([...field.options].map(({ value }) => value).join() !== all.join()) {
    field.replaceChildren(...all.map((value) => make("option", { value, text: wordOf(value) })));
  }
  if (chosen) field.value = chosen;
}

function fillTechniques() {
  const styles = live.hello?.technique_styles ?? live.state.technique_styles ?? {};
  const technique = settings.get("technique") ?? Object.keys(styles)[0];
  fill(/** @type {HTMLSelectElement} */ (byId("technique-select")), Object.keys(styles), technique);
  fill(/** @type {HTMLSelectElement} */ (byId("style-select")), styles[technique] ?? [], settings.get("style"));
}

/** Choose a style that the technique has, where there is no band that does. @param {string} technique */
function keepStyle(technique) {
  const styles = live.hello?.technique_styles?.[technique] ?? [];
  if (!live.hasBand && styles.length && !styles.includes(settings.get("style"))) settings.set("style", styles[0]);
}

/** Seeds that were chosen before the one that stands, to go back to. @type {number[]} */
const seeds = [];

function bindSeeds() {
  const back = /** @type {HTMLButtonElement} */ (byId("seed-back"));
  const show = () => (back.disabled = !seeds.length);
  byId("another").addEventListener("click", async () => {
    const before = Number(settings.get("seed") ?? 0);
    seeds.push(before);
    show();
    await settings.set("seed", before + 1).catch(sayError);
    emit("another", { seed: settings.get("seed") });
  });
  back.addEventListener("click", () => {
    const seed = seeds.pop();
    show();
    if (seed !== undefined) settings.set("seed", seed).catch(sayError);
  });
}

/** Make the controls and keep them up to date. */
export function setUp() {
  bindSeeds();
  on("live:hello", ({ controls }) => {
    for (const spec of controls ?? []) table.set(spec.name, spec);
    build();
    fillLists();
  });
  on("live:band", () => table.size && fillLists());
  on("live:song", () => table.size && fillLists());
  on("settings:changed", ({ key, value }) => {
    if (key === "technique") keepStyle(value);
    if (key === "technique" || key === "style") fillTechniques();
  });
}
