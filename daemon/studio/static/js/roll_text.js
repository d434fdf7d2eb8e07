/** The roll in words: how many notes of each role it shows, kept up to date for those who do not see it. */

import { ROLES, ROLE_NAMES } from "./colours.js";
import { roll } from "./main_roll.js";
import { stage } from "./stage.js";

const UPDATED_EVERY_MS = 1000;
const text = /** @type {HTMLElement} */ (document.getElementById("roll-text"));

/** @param {string} look */
function count(look) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const layer of roll.layers) {
    if (layer.look !== look) continue;
    for (const [role, number] of Object.entries(layer.notes.counts)) counts[role] = (counts[role] ?? 0) + number;
  }
  return ROLES.filter((role) => counts[role]).map((role) => `${ROLE_NAMES[role].toLowerCase()} ${counts[role]}`);
}

/** Return what the roll shows, in a sentence or two. */
function describe() {
  const notes = count("sounded");
  const planned = count("planned");
  const what = stage.what === "live" ? "Live performance" : "Chosen piece";
  const all = notes.length ? `notes: ${notes.join(", ")}` : "no notes yet";
  return `${what}, ${all}.${planned.length ? ` Planned: ${planned.join(", ")}.` : ""}`;
}

/** Keep the text up to date, at most once a second, and only where it changes. */
export function setUp() {
  const update = () => {
    const now = describe();
    if (text.textContent !== now) text.textContent = now;
  };
  window.setInterval(update, UPDATED_EVERY_MS);
  update();
}
