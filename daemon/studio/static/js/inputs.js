/** Step 1: the inputs that results are made of: recorded, from a file, or an example. */
import { call } from "./api.js";
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId, enable, make, makeButton } from "./dom.js";
import { removeItem, renameItem, trimItem } from "./item_actions.js";
import { ItemList } from "./item_list.js";
import { attempt, say } from "./messages.js";
import { region } from "./region.js";
import { stage } from "./stage.js";
import { tellCount } from "./timeline.js";

const list = new ItemList("Inputs", {
  choose: (id) => {
    stage.show("item");
    attempt(() => documents.choose(id));
  },
  fetch: (id) => documents.fetch(id),
  rename: renameItem,
  remove: removeItem,
});
const hint = make("p", { class: "hint", text: "Press Record and play a melody, drop a MIDI file or a chord chart here, or take an example." });
const examples = make("select", { id: "examples", "aria-label": "Example" });
const rename = makeButton("Rename", () => renameItem(documents.inputId), { class: "quiet" });
const remove = makeButton("Delete", () => removeItem(documents.inputId), { class: "quiet" });
const trim = makeButton("Trim", () => trimItem(documents.inputId, [region.from, region.to]), { class: "quiet" });
const retake = makeButton("Re-take", playAgain, { class: "quiet", title: "Delete it, and play it again" });
const tools = make("div", { class: "tools", role: "group", "aria-label": "Chosen input" }, rename, trim, retake, remove);

function show() {
  const inputs = documents.list("input");
  const results = documents.list("result");
  const facts = (/** @type {any} */ item) => {
    const made = results.filter((result) => result.parent === item.id).length;
    return tellCount(item.bars, "bar") + (made ? ` · ${tellCount(made, "result")}` : ` · ${countNotes(item)}`);
  };
  const rows = inputs.map((item) => ({ id: item.id, key: item.revision, name: item.name, facts: facts(item) }));
  list.show(rows, documents.inputId);
  hint.hidden = inputs.length > 0;
  tools.hidden = !documents.inputId;
  showTrim();
}

/** @param {any} item */
function countNotes(item) {
  return tellCount(Object.values(item.counts ?? {}).reduce((a, b) => a + b, 0), "note");
}

function showTrim() {
  const isShown = documents.chosenId === documents.inputId;
  enable(trim, isShown && !region.isWhole);
  trim.title = trim.disabled
    ? "Choose the bars to keep above the roll first"
    : `Keep bars ${region.from} to ${region.to} only`;
}

/** Delete the chosen input and record another. */
async function playAgain() {
  await removeItem(documents.inputId);
  byId("record").click();
}

/** Keep what has been recorded as an input. */
async function keepRecorded({ notes, bpm, metres, bars, name }) {
  const parts = Array.isArray(notes) ? { melody: notes } : notes;
  if (!Object.values(parts).some((part) => part.length)) {
    say("Nothing was played, so there is nothing to keep: press Record and play.");
    return;
  }
  const number = documents.list("input").length + 1;
  const body = { name: name ?? `Melody ${number}`, bpm, metres, notes: parts, bars };
  await attempt(async () => {
    await documents.add("/api/project/inputs", body);
    stage.show("item");
    say("Your melody is kept: press Make to hear it with the band.");
  });
}

async function takeExample() {
  const example = examples.value;
  examples.selectedIndex = 0;
  if (!example) return;
  await attempt(() => documents.add("/api/project/inputs", { example }));
  stage.show("item");
}

async function listExamples() {
  const answer = await call("GET", "/api/examples").catch(() => []);
  const found = Array.isArray(answer) ? answer : answer.examples ?? [];
  const options = found.map((/** @type {any} */ example) => {
    const name = typeof example === "string" ? example : example.name;
    return make("option", { value: name, text: example.title ?? name });
  });
  examples.replaceChildren(make("option", { value: "", text: "Example …" }), ...options);
  examples.hidden = !found.length;
}

/** Put the list into the page. */
export function setUp() {
  byId("input").append(hint, list.element, tools, make("div", { class: "tools" }, examples));
  examples.addEventListener("change", takeExample);
  on("project:changed", show);
  on("item:marked", show);
  on("region", showTrim);
  on("recorded", keepRecorded);
  on("live:open", listExamples);
  show();
  return listExamples();
}
