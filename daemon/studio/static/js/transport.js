/** The buttons Start, Stop, Record and Panic. */

import { emit, on } from "./bus.js";
import { byId } from "./dom.js";
import { live } from "./live.js";
import { isPlaying } from "./live_clock.js";
import { say, sayError } from "./messages.js";
import { settings } from "./settings.js";
import { stage } from "./stage.js";

const NO_BAND = "There is no band to start. Record or import a melody and press Make: that works without one.";
const PATIENCE_MS = 15_000;
const LOOK_EVERY_MS = 50;
const start = /** @type {HTMLButtonElement} */ (byId("start"));
const record = /** @type {HTMLButtonElement} */ (byId("record"));

/** True while what is played is recorded. */
export const isRecording = () => record.getAttribute("aria-pressed") === "true";

/** @param {boolean} pressed */
function showRecording(pressed) {
  record.setAttribute("aria-pressed", String(pressed));
}

/** Wait for a band that is being started, or for the studio that is being connected; true once it is there. */
async function waitForBand() {
  const mayCome = () => !live.hasBand && (!live.open || live.band.status === "starting");
  if (mayCome()) say("The band gets ready …");
  for (const end = performance.now() + PATIENCE_MS; mayCome() && performance.now() < end; ) {
    await new Promise((resolve) => window.setTimeout(resolve, LOOK_EVERY_MS));
  }
  return live.hasBand;
}

async function startBand() {
  if (!(await waitForBand())) return say(NO_BAND, { error: true });
  emit("stop");
  if (isRecording()) await endRecording();
  stage.show("live");
  await live.set("start", true);
  const [first] = live.state.waiting_for ?? [];
  if (!isPlaying() && (first === "note" || first === "start")) say("Play: the band begins with your first note.");
}

async function stopAll() {
  emit("stop");
  if (isRecording()) await endRecording();
  if (live.hasBand) await live.set("stop", true);
}

async function panic() {
  emit("panic");
  if (live.open) await live.request("panic");
}

async function beginRecording() {
  emit("stop");
  // one that waits for a first note would take it from a keyboard at its own ports
  if (live.hasBand && (isPlaying() || live.band.ports)) await live.set("stop", true);
  showRecording(true);
  live.passesKeys = false; // what is recorded does not start the band
  const metre = settings.get("metre");
  const { recorder } = await import("./recorder.js");
  await recorder.start({
    bpm: settings.get("bpm") ?? 120,
    metre: metre && metre !== "auto" ? metre : "4/4",
    countIn: settings.get("count_in") || 1,
    click: true,
  });
}

async function endRecording() {
  showRecording(false);
  live.passesKeys = true;
  const { recorder } = await import("./recorder.js");
  const recorded = await recorder.stop();
  if (recorded && Object.values(recorded.notes).some((notes) => notes.length)) emit("recorded", recorded);
  else say("Nothing was recorded: press Record, wait for the count-in, and play.");
}

/** @param {function(): any} action */
const told = (action) => () => Promise.resolve(action()).catch(sayError);

/** Bind the buttons. */
export function setUp() {
  start.addEventListener("click", told(startBand));
  byId("stop").addEventListener("click", told(stopAll));
  byId("panic").addEventListener("click", told(panic));
  record.addEventListener("click", told(() => (isRecording() ? endRecording() : beginRecording())));
  on("live:tempo", () => start.classList.toggle("on", isPlaying()));
}
