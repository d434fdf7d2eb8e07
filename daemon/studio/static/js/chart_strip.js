/** The chart that the band plays from, as a strip of bars above the roll; the one that is played is lit. */

import { on } from "./bus.js";
import { nameChord } from "./chord_names.js";
import { byId, make } from "./dom.js";
import { live } from "./live.js";
import { isPlaying } from "./live_clock.js";
import { performed } from "./live_roll.js";
import { say } from "./messages.js";
import { stage } from "./stage.js";

/** @typedef {{beat: number, root: string, quality: string, bass: string | null}} PlacedChord */

const MOST_BARS = 2000;
const strip = byId("chart");
/** @type {HTMLElement[]} the bars in the order in which they are played */
let bars = [];
/** @type {HTMLElement | null} */
let lit = null;
let shownChart = "";

/** Read the chart that is chosen, where it is another than the one that is shown. */
async function load() {
  const chosen = live.state.controls?.chart ?? "";
  if (chosen === shownChart) return showVisible();
  shownChart = chosen;
  bars = [];
  lit = null;
  strip.replaceChildren();
  if (chosen) {
    const answer = await fetch("/chart");
    const chart = await answer.json();
    if (chosen !== shownChart) return;
    if (answer.ok) build(chart);
    else say(chart.error, { error: true });
  }
  showVisible();
}

/** @param {{bars: PlacedChord[][], order: number[], sections: Record<string, string>}} chart as the server tells it */
function build(chart) {
  const order = chart.order.length ? chart.order : chart.bars.map((_, index) => index);
  bars = order.slice(0, MOST_BARS).map((index) => {
    const section = chart.sections[index];
    const chords = chart.bars[index].map((chord) => make("span", { text: nameChord(labelOf(chord)) }));
    return make("li", {}, section ? make("small", { text: section }) : null, ...chords);
  });
  strip.append(...bars);
}

/** @param {PlacedChord} chord */
function labelOf({ root, quality, bass }) {
  return root && root !== "N" ? `${root}:${quality ?? "maj"}${bass ? `/${bass}` : ""}` : "N";
}

function showVisible() {
  strip.hidden = !bars.length || stage.what !== "live";
  light();
}

/** Light the bar that is played. */
function light() {
  const bar = isPlaying() && bars.length ? performed.bars.at(performed.lastTick).bar : 0;
  const now = bar > 0 ? bars[(bar - 1) % bars.length] : null;
  if (now === lit) return;
  lit?.removeAttribute("aria-current");
  now?.setAttribute("aria-current", "true");
  lit = now;
  if (now) strip.scrollTo({ left: now.offsetLeft - strip.clientWidth / 3 });
}

/** Follow the band's chart. */
export function setUp() {
  const reload = () => load().catch(() => (shownChart = ""));
  for (const name of ["live:open", "live:controls", "live:band"]) on(name, reload);
  on("live:bar", light);
  on("live:tempo", light);
  on("stage", showVisible);
}
