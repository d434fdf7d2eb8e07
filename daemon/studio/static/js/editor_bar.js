/** The editing tools above the roll, and making bars anew. */
import { itemPath } from "./api.js";
import { on } from "./bus.js";
import { ROLES, ROLE_NAMES } from "./colours.js";
import { documents } from "./documents.js";
import { byId, enable, label, make, makeButton, makeChoice, makeNumber } from "./dom.js";
import { editor } from "./editor.js";
import { Cancelled } from "./jobs.js";
import { say, sayError } from "./messages.js";
import { region } from "./region.js";
import { pick } from "./selection.js";
import { stage } from "./stage.js";
import { placeOf } from "./timeline.js";

const BAND = ["bass", "chords", "pad", "drums"];
/** @type {[number, string][]} ticks and names of the grids */
const GRIDS = [[24, "1/4"], [12, "1/8"], [8, "1/8 triplet"], [6, "1/16"], [4, "1/16 triplet"], [3, "1/32"], [1, "off"]];
const LOUDER = 8;

const words = make("p", { id: "selection", "aria-live": "polite" });
const pencil = makeButton("Pencil", () => setPencil(!editor.pencil), {
  "aria-pressed": false, title: "Click adds a note; without it, a double click does (Enter: at the cursor)",
});
const grid = makeChoice(GRIDS, { id: "grid" });
const role = makeChoice(ROLES.map((each) => [each, ROLE_NAMES[each]]), { id: "note-role" });
const quantise = makeButton("Quantise", () => editor.quantise(), { title: "Move the selected notes, or all, to the grid" });
const softer = makeButton("Softer", () => editor.louder(-LOUDER), { title: "Lower velocity (Alt+Down)" });
const louder = makeButton("Louder", () => editor.louder(LOUDER), { title: "Higher velocity (Alt+Up)" });
const remove = makeButton("Delete", () => editor.remove(), { "aria-label": "Delete notes", title: "Delete the selected notes (Delete)" });
const copy = makeButton("Copy", () => editor.copy(), { title: "Ctrl+C" });
const paste = makeButton("Paste", () => editor.paste(), { title: "Ctrl+V: at the cursor" });

const seed = makeNumber({ id: "regenerate-seed", value: 1 });
const boxes = new Map(BAND.map((each) => [each, make("input", { type: "checkbox", checked: true })]));
const again = makeButton("Play them anew", regenerate, { id: "regenerate", class: "primary" });
const which = make("span", { class: "dim" });
const regenerating = make(
  "details",
  { id: "regenerating", class: "popup" },
  make("summary", { text: "New bars", title: "Have some bars of some roles played anew" }),
  make(
    "div", { class: "fields" },
    which,
    ...BAND.map((each) => label(ROLE_NAMES[each], /** @type {HTMLElement} */ (boxes.get(each)), "check")),
    label("Seed of them", seed),
    again,
  ),
);

/** @param {boolean} now */
function setPencil(now) {
  editor.pencil = now;
  pencil.setAttribute("aria-pressed", String(now));
  document.body.classList.toggle("pencil", now);
}

/** Return the bars to be made anew: those of the selected notes, else those chosen above the roll. */
function findBars() {
  const chosen = pick(editor.notes, editor.selected);
  const item = documents.item;
  if (!chosen.length || !item) return [region.from, region.to];
  const bars = chosen.map(({ note }) => placeOf(item, note[0]).bar);
  return [Math.min(...bars), Math.max(...bars)];
}

async function regenerate() {
  const item = documents.item;
  const roles = BAND.filter((each) => boxes.get(each)?.checked);
  if (!item || !roles.length) return say("Choose at least one role to be played anew.");
  const bars = findBars();
  enable(again, false);
  const told = tellBars(bars);
  say(`${told} will be new in a moment …`);
  try {
    await documents.compute(itemPath(item.id, "/regenerate"), { bars, roles, seed: Number(seed.value) || 0 });
    say(`${told} anew: ${roles.map((each) => ROLE_NAMES[each].toLowerCase()).join(", ")}.`);
    seed.value = String((Number(seed.value) || 0) + 1);
  } catch (error) {
    if (!(error instanceof Cancelled)) sayError(error);
  } finally {
    enable(again, true);
  }
}

function show() {
  const item = documents.item;
  const some = editor.selected.size > 0;
  byId("editor").hidden = !item || stage.what !== "item";
  for (const button of [softer, louder, remove, copy]) enable(button, some);
  enable(paste, editor.hasCopied && !editor.refusal);
  for (const button of [pencil, quantise]) enable(button, !editor.refusal);
  const chosen = pick(editor.notes, editor.selected);
  const roles = new Set(chosen.map((found) => found.role));
  role.value = roles.size === 1 ? [...roles][0] : editor.role;
  grid.value = String(editor.grid);
  regenerating.hidden = item?.kind !== "result" || item.technique === "arcnn";
  which.textContent = tellBars(findBars());
}

/** @param {number[]} bars first and last */
function tellBars([first, last]) {
  return first === last ? `Bar ${first}` : `Bars ${first} to ${last}`;
}

/** Put the tools into the page. */
export function setUp() {
  byId("editor").append(
    make("div", { class: "group", role: "group", "aria-label": "Notes" },
      pencil, label("Grid", grid), label("Role", role), quantise, softer, louder, copy, paste, remove),
  );
  byId("player").append(regenerating);
  byId("roll-frame").append(words);
  grid.addEventListener("change", () => (editor.grid = Number(grid.value)));
  role.addEventListener("change", () => editor.setRole(role.value));
  on("editor:words", (text) => (words.textContent = text));
  let before = "";
  on("item:chosen", (item) => {
    if (item && item.id !== before) seed.value = String((item.seed ?? 0) + 1);
    before = item?.id ?? "";
  });
  for (const event of ["editor", "item:chosen", "region", "stage"]) on(event, show);
  show();
}
