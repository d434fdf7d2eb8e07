/** The roles: their order, names and colours, which are those of css/tokens.css. */

/** @type {readonly string[]} */
export const ROLES = ["melody", "hand", "bass", "chords", "pad", "drums", "edits"];

/** @type {Record<string, string>} what a role is called on the page */
export const ROLE_NAMES = {
  melody: "Melody",
  hand: "Left hand",
  bass: "Bass",
  chords: "Chords",
  pad: "Pad",
  drums: "Drums",
  edits: "Edits",
};

const styles = getComputedStyle(document.documentElement);

/** @type {Record<string, string>} */
export const COLOURS = Object.fromEntries(ROLES.map((role) => [role, styles.getPropertyValue(`--${role}`).trim()]));

/**
 * Return a colour of css/tokens.css by its name, such as "dim".
 * @param {string} name
 * @returns {string}
 */
export function colour(name) {
  return styles.getPropertyValue(`--${name}`).trim();
}
