/** The takes: performances that the band has kept. They are shown and played, named, deleted, downloaded, and taken as inputs. */
import { call } from "./api.js";
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId, make, makeButton } from "./dom.js";
import { download } from "./exporting.js";
import { ItemList } from "./item_list.js";
import { attempt, say } from "./messages.js";
import { askName } from "./naming.js";
import { playback } from "./playback.js";
import { stage } from "./stage.js";

/** @typedef {{name: string, recording: boolean, modified: number|string, bytes: number}} Take modified: in seconds, or as ISO writes it */

/** A take begins and ends with the band's playing; nobody tells when its file is written. */
const WRITTEN_AFTER_MS = [1000, 4000];

let bandPlays = false;
let loadNumber = 0;
/** @type {Take[]} */
let takes = [];
/** @type {string|null} */
let chosen = null;

const list = new ItemList("Takes", { choose, rename, remove });
const hint = make("p", { class: "hint", text: "What the band plays live is kept here by itself." });
const tools = make(
  "div",
  { class: "tools", role: "group", "aria-label": "Chosen take" },
  makeButton("Play", play, { class: "quiet", "aria-label": "Play take" }),
  makeButton("Rename", () => chosen && rename(chosen), { class: "quiet", "aria-label": "Rename take" }),
  makeButton("Use as input", use, { class: "quiet", "aria-label": "Use take as input" }),
  makeButton("MIDI", () => save("mid"), { class: "quiet", "aria-label": "Download take as MIDI" }),
  makeButton("WAV", () => save("wav"), { class: "quiet", "aria-label": "Download take as WAV" }),
  makeButton("Delete", () => chosen && remove(chosen), { class: "quiet", "aria-label": "Delete take" }),
);

/** @param {string} name @param {string} [rest] */
const takePath = (name, rest = "") => `/api/takes/${encodeURIComponent(name)}${rest}`;

/** Return when a take was played, in words. @param {Take} take */
function tell({ recording, modified }) {
  if (recording) return "is being played now";
  const when = new Date(typeof modified === "number" ? modified * 1000 : modified);
  return when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** @param {string} name */
const isRecording = (name) => takes.some((take) => take.name === name && take.recording);

function show() {
  const shown = documents.item?.kind === "take" ? documents.item.id.replace(/^take:/, "") : null;
  if (!takes.some((take) => take.name === chosen)) chosen = null;
  const rows = takes.map((take) => ({ id: take.name, key: take.name, name: take.name, facts: tell(take) }));
  list.show(rows, shown ?? chosen);
  tools.hidden = !chosen || isRecording(chosen);
  hint.hidden = takes.length > 0;
}

/** Show a take. @param {string} name */
async function choose(name) {
  chosen = name;
  show();
  if (isRecording(name)) return say("This take goes on still: press Stop, and it can be played in a moment.");
  await attempt(async () => {
    const item = await call("GET", takePath(name));
    if (chosen !== name) return;
    stage.show("item");
    documents.show({ ...item, id: `take:${name}`, kind: "take" });
  });
}

async function play() {
  if (!chosen) return;
  if (documents.item?.id === `take:${chosen}` && playback.playing) return playback.stop();
  playback.wanted = `take:${chosen}`;
  await choose(chosen);
}

/** @param {string} name */
async function rename(name) {
  const wanted = await askName("Rename", name);
  if (!wanted || wanted === name) return;
  const wasChosen = chosen === name;
  await attempt(async () => {
    await call("PATCH", takePath(name), { name: wanted });
    if (wasChosen) chosen = wanted;
    await load();
    const { item } = documents;
    if (item?.id === `take:${name}`) documents.show({ ...item, id: `take:${wanted}`, name: wanted });
  });
}

/** @param {string} name */
async function remove(name) {
  await attempt(async () => {
    await call("DELETE", takePath(name));
    await load();
    const putBack = () => attempt(() => call("POST", takePath(name, "/restore"), {}).then(load));
    say(`The take “${name}” is in the bin.`, { action: { label: "Put back", run: putBack } });
  });
}

async function use() {
  if (!chosen) return;
  await attempt(() => documents.add("/api/project/inputs", { take: chosen }));
  stage.show("item");
}

/** @param {"mid"|"wav"} ending */
function save(ending) {
  const take = takes.find(({ name }) => name === chosen);
  if (take) return attempt(() => download({ id: take.name, kind: "take", name: take.name }, ending));
}

async function load() {
  const number = ++loadNumber;
  const answer = await call("GET", "/api/takes").catch(() => null);
  if (!answer || number !== loadNumber) return; // a newer list is on its way
  takes = Array.isArray(answer) ? answer : answer.takes ?? [];
  show();
}

/** Put the list into the page. */
export function setUp() {
  const heading = make("summary", {}, make("h2", { text: "Takes" }));
  byId("takes").append(make("details", {}, heading, hint, list.element, tools));
  on("live:takes", load);
  on("live:tempo", ({ playing }) => {
    if (playing === bandPlays) return;
    bandPlays = playing;
    for (const ms of WRITTEN_AFTER_MS) setTimeout(load, ms);
  });
  on("live:open", load);
  on("item:chosen", show);
  return load();
}
