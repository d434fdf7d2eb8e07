/** Importing MIDI files and chord charts: by the button Import, or dropped anywhere on the page. */
import { documents } from "./documents.js";
import { byId, make } from "./dom.js";
import { attempt, say } from "./messages.js";
import { settings } from "./settings.js";
import { stage } from "./stage.js";

const LARGEST_BYTES = 8_000_000;
const KINDS = ".mid,.midi,.kar,.smf,.txt,.cho,.crd,.chopro,.chordpro,.musicxml,.xml,.mxl,.html,.irealb";

/** Take a file over as an input, or as the chart to play from. @param {File} file */
export async function importFile(file) {
  if (file.size > LARGEST_BYTES) {
    say(`“${file.name}” is larger than 8 MB, so it is not read: choose a smaller file.`, { error: true });
    return;
  }
  const headers = { "X-File-Name": encodeURIComponent(file.name) };
  const { answer, id } = await documents.add("/api/project/import", await file.arrayBuffer(), headers);
  if (answer.chart) {
    await settings.set("chart", answer.chart);
    await settings.set("harmony", "chart");
    say(`The band plays on the chart “${answer.title || file.name}”, ${answer.bars} bars, from now on.`);
    return;
  }
  if (id) stage.show("item");
  const title = documents.find(id)?.name ?? file.name;
  say(`“${title}” is an input now: press Make to hear it with the band.`);
}

/** @param {Iterable<File>} files */
async function importAll(files) {
  for (const file of files) await attempt(() => importFile(file));
}

/** Bind the button and what is dropped. */
export function setUp() {
  const chooser = make("input", { type: "file", accept: KINDS, multiple: true, hidden: true, id: "file" });
  document.body.append(chooser);
  byId("import").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", async () => {
    const files = [...(chooser.files ?? [])];
    chooser.value = "";
    await importAll(files);
  });
  let depth = 0; // elements under the pointer tell of entering and leaving one inside the other
  const mark = (/** @type {number} */ by) => {
    depth = Math.max(0, depth + by);
    document.body.classList.toggle("dropping", depth > 0);
  };
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    importAll([...(event.dataTransfer?.files ?? [])]);
  });
}
