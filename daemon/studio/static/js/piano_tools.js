/** What is above the piano: octave, velocity, MIDI keyboards. */

import { on } from "./bus.js";
import { make, makeButton } from "./dom.js";
import { midiIn } from "./midi_in.js";
import { noteInput } from "./note_input.js";

const tools = /** @type {HTMLElement} */ (document.getElementById("piano-tools"));

function makeOctave() {
  const shown = make("span", { class: "value" });
  const show = () => (shown.textContent = `C${noteInput.basePitch / 12 - 1}`);
  on("key:range", show);
  show();
  return make(
    "div",
    { class: "group", role: "group", "aria-label": "Octave" },
    make("span", { text: "Octave", "aria-hidden": "true" }),
    makeButton("−", () => noteInput.shift(-1), { "aria-label": "Octave down", title: "An octave lower (key -)" }),
    shown,
    makeButton("+", () => noteInput.shift(1), { "aria-label": "Octave up", title: "An octave higher (key =)" }),
  );
}

function makeVelocity() {
  const slider = make("input", { type: "range", min: 1, max: 127, value: noteInput.velocity, id: "velocity" });
  const shown = make("span", { class: "value", "aria-hidden": "true", text: String(noteInput.velocity) });
  slider.addEventListener("input", () => {
    noteInput.velocity = Number(slider.value);
    shown.textContent = slider.value;
  });
  return make("label", { class: "velocity", for: "velocity" }, make("span", { text: "Velocity" }), slider, shown);
}

function makeMidi() {
  const told = make("span", { class: "hint" });
  const button = makeButton("Connect MIDI", () => midiIn.connect(), {
    title: "Play on the MIDI keyboards that are plugged into this computer: the browser asks you first",
  });
  const show = () => {
    told.textContent = midiIn.describe();
    button.hidden = midiIn.state === "connected" || midiIn.state === "unsupported";
  };
  on("midi", show);
  show();
  return make("div", { class: "group midi" }, button, told);
}

/** Make the tools. */
export function setUp() {
  tools.append(
    makeOctave(),
    makeVelocity(),
    make("span", { class: "hint keys-hint", text: "Computer keys Z to M and Q to P play" }),
    makeMidi(),
  );
  midiIn.connectAgain();
}
