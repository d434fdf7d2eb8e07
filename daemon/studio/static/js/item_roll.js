/** The item that is shown, in the roll: its notes, what is selected, its edits, and where it is played. */
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { editor } from "./editor.js";
import { paintEditing } from "./editing_paint.js";
import { live } from "./live.js";
import { roll } from "./main_roll.js";
import { playback } from "./playback.js";
import { player } from "./player.js";
import { region } from "./region.js";
import { keyOf } from "./selection.js";
import { stage } from "./stage.js";
import { endOf } from "./timeline.js";

const PAGE_MARGIN_TICKS = 12;

/** @type {{box?: import("./editing_paint.js").Box, edited?: import("./selection.js").Edited}} what the pointer is about to do */
let drag = {};
let fittedId = "";
let seen = false;
let bandPlays = false;

/** Show what the pointer is about to do: the box it draws, the notes as they would be. @param {typeof drag} [now] */
export function showDrag(now = {}) {
  drag = now;
  showNotes();
}

/** Return the edits of the melody that are shown and kept. @param {import("./documents.js").Item} item */
function listEdits(item) {
  return (item.edits ?? []).slice(0, item.edits_shown ?? 0).filter((/** @type {any} */ edit) => edit.kept);
}

/** Return the notes of each role: a melody that was edited is pale, what its edits removed or added is marked. */
function makeLayers(item) {
  const { notes, selected } = drag.edited ?? editor;
  const edits = listEdits(item);
  const isEdited = (item.edits ?? []).length > 0;
  const placesOf = (/** @type {string} */ action) => new Set(edits.filter((e) => e.action === action).map((e) => `${e.tick} ${e.pitch}`));
  const [added, removed] = [placesOf("add"), placesOf("remove")];
  const there = new Set((notes.edits ?? []).map(([tick, pitch]) => `${tick} ${pitch}`));
  const markOf = (/** @type {string} */ role, /** @type {string} */ place) => {
    if (role === "edits") return added.has(place) ? "added" : undefined;
    if (!isEdited || role !== "melody") return undefined;
    return removed.has(place) && !there.has(place) ? "removed" : "pale";
  };
  return Object.entries(notes).map(([role, list]) => ({
    role,
    notes: list.map(([tick, pitch, length, velocity], index) => {
      const key = keyOf(role, index);
      return { tick, pitch, length, velocity, selected: selected.has(key), mark: markOf(role, `${tick} ${pitch}`), tag: { key } };
    }),
  }));
}

function isShown() {
  return stage.what === "item" && documents.item !== null;
}

/** Show the notes as they are now. */
function showNotes() {
  if (isShown()) roll.setLayers(makeLayers(documents.item));
}

/** Show bars, chords, cursor and the bars that are chosen. */
function showSong() {
  const item = documents.item;
  if (!isShown() || !item) return;
  roll.setSong({
    metres: item.metres ?? [[0, "4/4"]], ticks: endOf(item), chords: item.chords, playTick: tickPlayed(),
    cursorTick: editor.cursor.tick, cursorPitch: editor.cursor.pitch,
    region: region.isWhole ? undefined : region.ticks(item),
  });
}

/** Show all of the item: another one, or another revision of it. */
function show() {
  const item = documents.item;
  if (!isShown() || !item) return;
  roll.animate = animate;
  showSong();
  showNotes();
  if (fittedId !== item.id && !(fittedId && playback.playing && isSeen(item))) roll.fit();
  fittedId = item.id;
}

/** Tell whether what is shown of the item before is a part of this one, too, as where two are compared. */
function isSeen(item) {
  const { fromTick, toTick } = roll.view;
  return fromTick < endOf(item) && toTick - fromTick <= endOf(item) + 2 * PAGE_MARGIN_TICKS;
}

function tickPlayed() {
  return playback.playing ? player.positionTick() : null;
}

/** Move the playing line, and the view after it. Returns true while it plays. */
function animate() {
  if (isShown()) roll.setPlayTick(tickPlayed());
  return isShown() && playback.playing;
}

/** Follow what is shown. */
export function setUp() {
  on("item:chosen", (item) => {
    if (!item) stage.show("live");
    else if (!seen && !live.state.playing) stage.show("item"); // after a reload, what was shown before it
    seen ||= Boolean(item);
    show();
  });
  on("live:tempo", ({ playing }) => {
    if (playing && !bandPlays) stage.show("live");
    bandPlays = playing;
  });
  on("editor", () => {
    showSong();
    showNotes();
  });
  for (const event of ["region", "playback"]) on(event, showSong);
  on("stage", (what) => {
    roll.canvas.setAttribute("role", what === "item" ? "application" : "img"); // screen readers leave the keys to the editor
    fittedId = "";
    show();
  });
  roll.onPaint((context) => isShown() && paintEditing(context, roll, drag.box));
  show();
}
