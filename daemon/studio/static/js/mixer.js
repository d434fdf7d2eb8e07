/**
 * The mixer: instrument, level, mute and solo of each role, and its meter. All but solo are the band's controls
 * (`program.ROLE`, `level.ROLE`, `mute.ROLE`), where there is a band; solo concerns this page alone.
 */

import { on } from "./bus.js";
import { ROLES, ROLE_NAMES } from "./colours.js";
import { FAMILIES, KITS, nameProgram } from "./gm_names.js";
import { attempt } from "./messages.js";
import { settings } from "./settings.js";
import { USUAL_PROGRAMS, synth } from "./synth.js";

/** share of a meter that is left after each frame */
const FALL = 0.93;

/** @type {Map<string, {instrument: HTMLSelectElement, level: HTMLInputElement, mute: HTMLButtonElement, solo: HTMLButtonElement, meter: HTMLElement, shown: number}>} */
const strips = new Map();

/** Build the mixer in #mixer. */
export function setUp() {
  const mixer = document.getElementById("mixer");
  if (!mixer) return;
  const heading = document.createElement("h2");
  heading.textContent = "Mixer";
  const list = document.createElement("ul");
  list.append(...ROLES.map(makeStrip));
  mixer.append(heading, list);
  for (const role of ROLES) for (const name of ["level", "mute", "program"]) take(`${name}.${role}`, settings.get(`${name}.${role}`));
  on("settings:changed", ({ key, value }) => take(key, value));
  requestAnimationFrame(paint);
}

/** @param {string} role */
function makeStrip(role) {
  const name = ROLE_NAMES[role];
  const strip = document.createElement("li");
  strip.className = "strip";
  strip.dataset.role = role;
  const title = document.createElement("span");
  title.className = "strip-name";
  title.textContent = name;
  const instrument = makeInstruments(role);
  instrument.addEventListener("change", () => choose(`program.${role}`, Number(instrument.value)));
  const level = document.createElement("input");
  Object.assign(level, { type: "range", min: "0", max: "1.5", step: "0.05", value: "1" });
  level.setAttribute("aria-label", `${name} level`);
  level.addEventListener("input", () => choose(`level.${role}`, Number(level.value)));
  level.addEventListener("dblclick", () => choose(`level.${role}`, 1));
  const mute = makeSwitch("M", `Mute ${name.toLowerCase()}`, (isOn) => choose(`mute.${role}`, isOn));
  const solo = makeSwitch("S", `Solo ${name.toLowerCase()}`, (isOn) => {
    show(solo, isOn);
    synth.setMix(role, { solo: isOn });
  });
  const meter = document.createElement("span");
  meter.className = "meter";
  meter.setAttribute("aria-hidden", "true");
  const bar = document.createElement("span");
  meter.append(bar);
  strip.append(title, instrument, level, mute, solo, meter);
  strips.set(role, { instrument, level, mute, solo, meter: bar, shown: 0 });
  return strip;
}

/**
 * @param {string} letter
 * @param {string} name
 * @param {function(boolean): void} turn
 */
function makeSwitch(letter, name, turn) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "switch";
  button.textContent = letter;
  button.title = name;
  button.setAttribute("aria-label", name);
  show(button, false);
  button.addEventListener("click", () => turn(button.getAttribute("aria-pressed") !== "true"));
  return button;
}

/**
 * @param {HTMLButtonElement} button
 * @param {boolean} isOn
 */
function show(button, isOn) {
  button.setAttribute("aria-pressed", String(isOn));
}

/** @param {string} role */
function makeInstruments(role) {
  const select = document.createElement("select");
  select.setAttribute("aria-label", `${ROLE_NAMES[role]} instrument`);
  const usual = /** @type {Record<string, number>} */ (USUAL_PROGRAMS)[role];
  const usualName = role === "drums" ? "Usual kit" : nameProgram(usual);
  select.append(new Option(usualName, "0"));
  if (role === "drums") {
    select.append(...KITS.slice(1).map(([program, name]) => new Option(name, String(program))));
    return select;
  }
  for (const [index, [family, names]] of FAMILIES.entries()) {
    const group = document.createElement("optgroup");
    group.label = family;
    group.append(...names.map((name, at) => new Option(name, String(index * 8 + at + 1))));
    select.append(group);
  }
  return select;
}

/**
 * @param {string} key
 * @param {any} value
 */
function choose(key, value) {
  attempt(() => settings.set(key, value));
}

/**
 * Show a control of a role, and let it sound so.
 * @param {string} key
 * @param {any} value
 */
function take(key, value) {
  const [name, role] = key.split(".");
  const strip = strips.get(role);
  if (!strip || value === undefined) return;
  if (name === "level") {
    strip.level.value = String(value);
    strip.level.setAttribute("aria-valuetext", `${Math.round(value * 100)} percent`);
    synth.setMix(role, { level: Number(value) });
  } else if (name === "mute") {
    show(strip.mute, Boolean(value));
    synth.setMix(role, { mute: Boolean(value) });
  } else if (name === "program") {
    strip.instrument.value = String(value);
    if (strip.instrument.selectedIndex < 0) strip.instrument.add(new Option(`Program ${value}`, String(value)));
    strip.instrument.value = String(value);
    synth.setMix(role, { program: Number(value) });
  }
}

function paint() {
  if (synth.isReady) {
    for (const [role, strip] of strips) {
      const peak = synth.peak(role);
      const shown = Math.max(peak, strip.shown * FALL);
      const share = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(shown, 1e-4)) / 2.2)); // 44 dB from end to end
      if (Math.abs(shown - strip.shown) > 1e-5) strip.meter.style.transform = `scaleX(${share.toFixed(3)})`;
      strip.shown = shown;
    }
  }
  requestAnimationFrame(paint);
}
