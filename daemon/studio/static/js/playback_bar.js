/** The buttons above the roll that play the item that is shown: Play, Loop, which bars, and where it is. */
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId, enable, label, make, makeButton, makeNumber } from "./dom.js";
import { attempt } from "./messages.js";
import { playback } from "./playback.js";
import { player } from "./player.js";
import { region } from "./region.js";
import { placeOf } from "./timeline.js";

const name = make("strong", { id: "shown-name" });
const play = makeButton("Play", () => attempt(() => playback.toggle()), { id: "play", "aria-pressed": false });
const loop = make("input", { type: "checkbox", id: "loop", checked: true });
const from = makeNumber({ id: "from-bar", min: 1, "aria-label": "First bar" });
const to = makeNumber({ id: "to-bar", min: 1, "aria-label": "Last bar" });
const place = make("span", { id: "place", title: "Bar and beat" });

function showRegion() {
  for (const field of [from, to]) field.max = String(region.bars);
  [from.value, to.value] = [String(region.from), String(region.to)];
}

function showState() {
  byId("player").hidden = !documents.item;
  name.textContent = documents.item?.name ?? "";
  enable(play, Boolean(documents.item));
  play.setAttribute("aria-pressed", String(playback.playing));
  play.title = documents.item ? "Play what is shown (Space on the roll)" : "There is nothing to play yet";
  if (playback.playing) requestAnimationFrame(followPlace);
  else showPlace(playback.fromTick);
}

/** @param {number} tick */
function showPlace(tick) {
  if (!documents.item) return;
  const { bar, beat } = placeOf(documents.item, tick);
  const text = `${bar}.${Math.floor(beat)}`;
  if (place.textContent !== text) place.textContent = text;
}

/** Tell bar and beat while it plays, as often as they change. */
function followPlace() {
  if (!documents.item) return;
  showPlace(player.positionTick() ?? 0);
  if (playback.playing) requestAnimationFrame(followPlace);
}

/** Put the buttons into the page. */
export function setUp() {
  const bars = make("span", { class: "bars" }, make("span", { class: "dim", text: "Bars" }), from, "–", to);
  byId("player").append(name, play, label("Loop", loop, "check"), bars, place);
  loop.addEventListener("change", () => playback.setLoop(loop.checked));
  for (const field of [from, to]) field.addEventListener("change", () => region.set(Number(from.value), Number(to.value)));
  on("region", showRegion);
  on("item:chosen", showState);
  on("playback", showState);
  on("stop", () => playback.stop());
  showState();
}
