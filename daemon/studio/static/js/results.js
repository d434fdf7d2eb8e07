/** Step 3: the results of the chosen input, the newest first. The one that is chosen is shown and played in loop. */
import { on } from "./bus.js";
import { compare } from "./compare.js";
import { documents } from "./documents.js";
import { byId, enable, make, makeButton } from "./dom.js";
import { makeInput, removeItem, renameItem } from "./item_actions.js";
import { ItemList } from "./item_list.js";
import { attempt } from "./messages.js";
import { playback } from "./playback.js";
import { stage } from "./stage.js";
import { TECHNIQUE_NAMES } from "./techniques.js";
import { tellCount } from "./timeline.js";

const list = new ItemList("Results", {
  choose: showResult,
  fetch: (id) => documents.fetch(id),
  rename: renameItem,
  remove: removeItem,
});
const hint = make("p", { class: "hint", text: "What Make makes is kept here and played; change something, make another, and compare." });
const compareButton = makeButton("Compare", () => compare.toggle(), { id: "compare", "aria-pressed": false });
const mark = makeButton("Set as B", () => compare.setOther(documents.chosenId), {
  class: "quiet",
  title: "Hear the others against the one that is shown",
});
const rename = makeButton("Rename", () => renameItem(documents.chosenId), { class: "quiet" });
const remove = makeButton("Delete", () => removeItem(documents.chosenId), { class: "quiet" });
const onward = makeButton("Use as input", () => makeInput(documents.chosenId), {
  class: "quiet",
  title: "Make an input of it, for the next technique",
});
const tools = make("div", { class: "tools", role: "group", "aria-label": "Chosen result" }, rename, onward, remove);

/** Show a result and play it. @param {string} id */
export async function showResult(id) {
  stage.show("item");
  playback.playWhenShown(id);
  await attempt(() => documents.choose(id));
}

/** Return the results of the chosen input (those whose input is gone, too), the newest first. */
export function listResults() {
  const input = documents.inputId;
  return documents.list("result").filter((item) => item.parent === input || !documents.find(item.parent));
}

/** Return in a few words how a result was made, as far as its name does not tell it. */
function tell(item) {
  const technique = TECHNIQUE_NAMES[item.technique] ?? item.technique;
  const tellsAll = [technique, item.style, String(item.seed)].every((word) => item.name.includes(word));
  const made = tellsAll ? [] : [technique, item.style, `seed ${item.seed}`];
  const isEdited = item.technique === "arcnn";
  const risk = isEdited && item.controls?.creative_risk !== undefined ? [`risk ${item.controls.creative_risk}`] : [];
  const band = tellCount(Object.values(item.counts ?? {}).reduce((a, b) => a + b, 0), "note");
  return [...made, ...risk, isEdited ? tellCount(item.edit_count ?? 0, "edit") : band].join(" · ");
}

function show() {
  const results = listResults();
  const { a, b } = compare.pair();
  const badge = (/** @type {string} */ id) => (a && b && id === a ? "A" : a && b && id === b ? "B" : "");
  const rows = results.map((item) => ({
    id: item.id, key: item.revision, name: item.name, facts: tell(item), badge: badge(item.id),
  }));
  list.show(rows, documents.chosenId);
  hint.hidden = results.length > 0;
  const isResult = documents.find(documents.chosenId)?.kind === "result";
  tools.hidden = !isResult;
  enable(mark, isResult && documents.chosenId !== b);
  compareButton.setAttribute("aria-pressed", String(compare.showsB));
  compareButton.title = b
    ? `Hear ${documents.find(compare.showsB ? a : b)?.name ?? "the other one"} at the same bar (key: \`)`
    : "Make two results first, then hear one against the other";
}

/** Put the list into the page. */
export function setUp() {
  byId("results").append(make("div", { class: "tools" }, compareButton, mark), hint, list.element, tools);
  for (const name of ["project:changed", "item:marked", "compare"]) on(name, show);
  show();
}
