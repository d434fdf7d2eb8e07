/** What can be done with an item of the project, wherever it is listed. */
import { itemPath } from "./api.js";
import { documents } from "./documents.js";
import { attempt, say } from "./messages.js";
import { askName } from "./naming.js";

/** Ask for another name of an item. @param {string|null} id */
export async function renameItem(id) {
  const item = documents.find(id);
  if (!item) return;
  const name = await askName("Rename", item.name);
  if (name && name !== item.name) await attempt(() => documents.change("PATCH", itemPath(item.id), { name }));
}

/** Delete an item, which can be put back. @param {string|null} id */
export async function removeItem(id) {
  const item = documents.find(id);
  if (!item) return;
  await attempt(async () => {
    await documents.change("DELETE", itemPath(item.id));
    say(`“${item.name}” is deleted.`, { action: { label: "Put back", run: () => attempt(() => documents.step("undo")) } });
  });
}

/** Make an input of a result, for the next technique. @param {string|null} id */
export async function makeInput(id) {
  const item = documents.find(id);
  if (!item) return;
  await attempt(async () => {
    await documents.add(itemPath(item.id, "/input"), {});
    say(`“${item.name}” is an input now: choose how it goes on, then Make.`);
  });
}

/** Keep some bars of an item only. @param {string|null} id @param {[number, number]} bars first and last, from 1 */
export async function trimItem(id, bars) {
  const item = documents.find(id);
  if (!item) return;
  await attempt(() => documents.change("POST", itemPath(item.id, "/trim"), { bars }));
}
