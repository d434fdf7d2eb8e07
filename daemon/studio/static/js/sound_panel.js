/** What concerns sound as a whole: where it comes from, how loud it is, its latency, and the metronome. */

import { on } from "./bus.js";
import { live } from "./live.js";
import { liveSound } from "./live_sound.js";
import { say } from "./messages.js";
import { metronome } from "./metronome.js";
import { player } from "./player.js";
import { synth } from "./synth.js";

const LATENCY_KEY = "houseband.extra_latency_ms";
const SHOW_EVERY_MS = 1000;

/** Build the panel in #sound. */
export function setUp() {
  const panel = document.getElementById("sound");
  if (!panel) return;
  const place = makePlace();
  const volume = makeVolume();
  const click = makeClick();
  const { field, text } = makeLatency();
  panel.append(place.label, volume, click, field, text);
  const follow = () => (place.select.value = liveSound.place);
  follow();
  for (const name of ["live:open", "live:band", "sound:place"]) on(name, follow);
  window.setInterval(() => show(text), SHOW_EVERY_MS);
  on("synth:problem", (problem) => say(`${problem}: the page plays sounds of its own.`, { error: true }));
  on("synth:state", () => show(text));
}

function makePlace() {
  const select = document.createElement("select");
  select.id = "sound-place";
  select.append(new Option("This page", "page"), new Option("The band's ports and audio", "band"), new Option("Both", "both"));
  select.addEventListener("change", () => liveSound.choose(/** @type {"page" | "band" | "both"} */ (select.value)));
  return { select, label: makeField("Sound from", select) };
}

function makeVolume() {
  const volume = document.createElement("input");
  Object.assign(volume, { id: "volume", type: "range", min: "0", max: "1.5", step: "0.05", value: "1" });
  volume.addEventListener("input", () => synth.setVolume(Number(volume.value)));
  const field = makeField("Volume", volume);
  field.className = "slider";
  return field;
}

function makeClick() {
  const box = document.createElement("input");
  Object.assign(box, { id: "metronome", type: "checkbox" });
  box.addEventListener("change", () => {
    metronome.turn(box.checked);
    player.click = box.checked;
  });
  const label = document.createElement("label");
  label.className = "check";
  label.append(box, "Metronome");
  return label;
}

function makeLatency() {
  const extra = document.createElement("input");
  Object.assign(extra, { id: "extra-latency", type: "number", min: "0", max: "500", step: "5", value: String(readExtra()) });
  extra.title = "Milliseconds that the browser does not know of: wireless headphones have 100 to 300";
  const apply = () => {
    synth.extraLatencyMs = Math.max(0, Math.min(500, Number(extra.value) || 0));
    try {
      localStorage.setItem(LATENCY_KEY, String(synth.extraLatencyMs));
    } catch {
      // a browser that keeps nothing: it is asked again next time
    }
  };
  synth.extraLatencyMs = readExtra();
  extra.addEventListener("change", apply);
  const text = document.createElement("p");
  text.id = "latency";
  text.className = "hint";
  text.textContent = describe();
  return { field: makeField("Extra latency (ms)", extra), text };
}

/** @returns {number} */
function readExtra() {
  try {
    return Number(localStorage.getItem(LATENCY_KEY)) || 0;
  } catch {
    return 0;
  }
}

/** @param {HTMLElement} text */
function show(text) {
  text.textContent = describe();
  text.title = synth.soundfont && `Instruments: ${synth.soundfont}`;
}

function describe() {
  if (synth.state === "failed") return "No sound: the soundfont cannot be loaded.";
  if (synth.state !== "ready") return "The sound is being loaded.";
  if (!synth.isReady) return "The sound begins with your first click or key.";
  if (!liveSound.soundsHere) return "Band and keys sound through the band's ports and audio; what is played back, here.";
  const keys = `Keys sound after ${Math.round(synth.latencyMs)} ms`;
  if (!live.hasBand || !liveSound.noteCount) return `${keys}.`;
  return `${keys}, the band ${Math.round(liveSound.delayMs + synth.latencyMs)} ms after it is due.`;
}

/**
 * @param {string} name
 * @param {HTMLElement} input
 */
function makeField(name, input) {
  const label = document.createElement("label");
  label.className = "field";
  label.htmlFor = input.id;
  const text = document.createElement("span");
  text.textContent = name;
  label.append(text, input);
  return label;
}
