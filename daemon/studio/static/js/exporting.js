/** Exporting the item that is shown: as a MIDI file, as sound, as a picture. */
import { itemPath } from "./api.js";
import { on } from "./bus.js";
import { documents } from "./documents.js";
import { byId } from "./dom.js";
import { attempt, say } from "./messages.js";
import { paintPicture } from "./picture.js";
import { settings } from "./settings.js";

const REVOKE_MS = 60_000;
const LONGEST_NAME = 80;
const WORDS = { midi: "MIDI file", wav: "sound file", png: "picture" };

/** Have the browser keep a file. @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MS);
}

/** Return a name for an item's file, such as melody-1-gan-pop-seed-0.mid. @param {any} item @param {string} ending */
function nameFile(item, ending) {
  const input = documents.find(item.parent ?? null)?.name ?? "";
  const words = `${input} ${item.name}`.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["houseband"];
  return `${words.join("-").slice(0, LONGEST_NAME)}.${ending}`;
}

/** Return the path under which the server has an item or a take. @param {{id: string, kind: string}} item */
function pathOf(item) {
  if (item.kind === "take") return `/api/takes/${encodeURIComponent(item.id.replace(/^take:/, ""))}`;
  return itemPath(item.id);
}

/** Return the mixer as it stands, so that what is exported sounds like what is heard. */
function writeMix() {
  const mix = Object.entries(settings.values).filter(([key]) => /^(level|mute|program)\./.test(key));
  return encodeURIComponent(JSON.stringify(Object.fromEntries(mix)));
}

/** Download a file of an item or a take from the server. @param {any} item @param {"mid"|"wav"} ending */
export async function download(item, ending) {
  let response;
  try {
    response = await fetch(`${pathOf(item)}/export.${ending}?mix=${writeMix()}`, { cache: "no-store" });
  } catch {
    throw new Error("The studio's server does not answer: try again when it is back.");
  }
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    throw new Error(answer.error || `This could not be exported (${response.status}).`);
  }
  save(await response.blob(), nameFile(item, ending));
}

/** @param {"midi"|"wav"|"png"} kind */
async function exportShown(kind) {
  await documents.whenSaved();
  const item = documents.item;
  if (!item) {
    say("There is nothing to export yet: record or import an input, or make a result, and it is exported.");
    return;
  }
  const button = byId(`export-${kind}`);
  button.setAttribute("aria-busy", "true");
  if (kind === "wav") say(`The sound of “${item.name}” is being written …`);
  await attempt(async () => {
    if (kind === "png") save(await paintPicture(item), nameFile(item, "png"));
    else await download(item, kind === "wav" ? "wav" : "mid");
    say(`“${item.name}” is in your downloads as a ${WORDS[kind]}.`);
  });
  button.removeAttribute("aria-busy");
}

/** Bind the buttons, which always can be pressed: where there is nothing to export they say what to do. */
export function setUp() {
  for (const kind of /** @type {const} */ (["midi", "wav", "png"])) {
    const button = /** @type {HTMLButtonElement} */ (byId(`export-${kind}`));
    button.disabled = false;
    button.addEventListener("click", () => exportShown(kind));
    const tell = () => {
      const item = documents.item;
      button.title = item ? `Download “${item.name}” as a ${WORDS[kind]}` : "There is nothing to export yet";
    };
    on("item:chosen", tell);
    tell();
  }
}
