/** The page's one piano roll. */

import { Roll } from "./roll.js";

export const roll = new Roll(/** @type {HTMLCanvasElement} */ (document.getElementById("roll")));

/** What tests and the console may look at. */
export const shown = { roll, frames: roll.frames };
