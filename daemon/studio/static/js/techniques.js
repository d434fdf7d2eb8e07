/** The techniques in words, and which controls each of them knows. */

/** @type {Record<string, string>} */
export const TECHNIQUE_NAMES = { gan: "GAN", arcnn: "AR-CNN", transformer: "Transformer" };

/** @type {Record<string, string>} what a technique does, for a musician */
export const TECHNIQUE_HELP = {
  gan: "Adds bass, chords, pad and drums to your melody, all at once.",
  arcnn: "Edits your melody itself, adding and removing single notes: more risk, more surprises.",
  transformer: "Accompanies you note by note, as it hears you, or goes on where your melody ends.",
};

/** Controls that concern making a result with any technique. */
const COMMON = ["harmony", "key", "chart", "transpose", "metre"];
const BAND = [
  "temperature", "density", "intensity", "recall", "swing", "humanise",
  ...["bass", "chords", "pad", "drums"].flatMap((role) => [`player.${role}`, `level.${role}`, `mute.${role}`, `program.${role}`]),
];
const EDITING = ["creative_risk", "remove_max", "add_max", "lock_bars", "lock_pitches", "register_low", "register_high"];

/** @type {Record<string, string[]>} technique -> the controls that a result made by it depends on */
export const TECHNIQUE_CONTROLS = {
  gan: [...COMMON, ...BAND],
  arcnn: EDITING,
  transformer: [...COMMON, ...BAND],
};
