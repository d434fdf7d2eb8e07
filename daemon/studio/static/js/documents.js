/**
 * The project as the server has it: its items, the one that is chosen, and the calls that change it.
 *
 * The server owns the project. The page keeps the newest list of items, whole items by revision, and which of them is
 * shown; each change is a call, and what the call answers is the new project.
 *
 * Emits `project:changed` (the project), `item:marked` (the id of the item that is chosen, or null, at once),
 * `item:chosen` (the whole chosen item, whenever another one or another revision of it is to be shown; null: none).
 */
import { call, itemPath } from "./api.js";
import { emit, on } from "./bus.js";
import { awaitJob, followJobs } from "./jobs.js";

/**
 * @typedef {[number, number, number, number]} Note tick, pitch, length, velocity; 24 ticks are a beat
 * @typedef {Object} Item
 * @property {string} id
 * @property {string} revision
 * @property {"input"|"result"|"take"} kind
 * @property {string} name
 * @property {string|null} parent
 * @property {string} [technique]
 * @property {string} [style]
 * @property {number} [seed]
 * @property {Record<string, any>} [controls]
 * @property {number} bpm
 * @property {[number, string][]} metres
 * @property {number} bars
 * @property {number} ticks
 * @property {[number, string][]} [chords]
 * @property {Record<string, Note[]>} [notes]
 * @property {object[]} [edits]
 * @property {number} [edits_shown]
 */

const CACHED_ITEMS = 60;

/** @type {Map<string, Promise<Item>>} whole items by id and revision */
const cache = new Map();
let loadNumber = 0;

export const documents = {
  /** @type {null|{id:string,name:string,undo:string|null,redo:string|null,items:Item[],jobs:object[]}} */
  project: null,
  /** @type {string|null} the item that is shown */
  chosenId: null,
  /** @type {Item|null} the whole item that is shown, as soon as it is there */
  item: null,

  /** Return an item as the list has it, or undefined. @param {string|null} id */
  find(id) {
    return this.project?.items.find((item) => item.id === id);
  },

  /** Return the input that results are made of: the one shown, or the one that the shown result was made of. */
  get inputId() {
    const chosen = this.find(this.chosenId);
    if (!chosen) return null;
    return chosen.kind === "input" ? chosen.id : this.find(chosen.parent ?? null)?.id ?? null;
  },

  /** Return the items of a kind, the newest first. @param {"input"|"result"} kind */
  list(kind) {
    return (this.project?.items ?? []).filter((item) => item.kind === kind).reverse();
  },

  /** Return the whole item, as its newest revision has it. @param {string} id @returns {Promise<Item>} */
  async fetch(id) {
    const key = `${id} ${this.find(id)?.revision ?? ""}`;
    if (!cache.has(key)) {
      const loading = call("GET", itemPath(id));
      loading.catch(() => cache.delete(key));
      cache.set(key, loading);
      if (cache.size > CACHED_ITEMS) cache.delete(cache.keys().next().value);
    }
    return cache.get(key);
  },

  /** Show an item. @param {string|null} id */
  async choose(id) {
    this.chosenId = this.find(id)?.id ?? null;
    remember(this.project?.id, this.chosenId);
    emit("item:marked", this.chosenId);
    await showChosen();
  },

  /** Show an item that is none of the project's: a take. @param {Item} item */
  show(item) {
    this.chosenId = item.id;
    this.item = item;
    emit("item:marked", item.id);
    emit("item:chosen", item);
  },

  /** Tell whether what is shown is an item of the project, and no take. */
  get isOwn() {
    return Boolean(this.find(this.chosenId));
  },

  /** Ask the server for the project. */
  async load() {
    const number = ++loadNumber;
    const project = await call("GET", "/api/project");
    if (number === loadNumber) await takeProject(project);
  },

  /** Change the project by a call, and return its answer. What the call made (an item, say) can be chosen after it. */
  async change(method, path, body, headers) {
    loadNumber += 1; // an older answer that is still on its way is out of date
    const answer = await call(method, path, body, headers);
    if (Array.isArray(answer.items)) await takeProject(answer);
    return answer;
  },

  /**
   * Have the server compute something, and return the id of the item that came of it.
   *
   * @param {string} path
   * @param {object} body
   * @param {(id: string) => void} [started] is told the job
   */
  async compute(path, body, started) {
    const { job } = await this.change("POST", path, body);
    started?.(job);
    const itemId = await awaitJob(job);
    await this.load();
    return itemId;
  },

  /** Add an item by a call, and show it. Returns its id. */
  async add(path, body, headers) {
    const before = new Set((this.project?.items ?? []).map((item) => item.id));
    const answer = await this.change("POST", path, body, headers);
    const made = (this.project?.items ?? []).filter((item) => !before.has(item.id)).at(-1);
    if (made) await this.choose(made.id);
    return { answer, id: made?.id ?? null };
  },

  /** Take back, or make again, the last change. @param {"undo"|"redo"} which */
  async step(which) {
    const before = new Set((this.project?.items ?? []).map((item) => item.id));
    await this.change("POST", `/api/project/${which}`, {});
    const back = (this.project?.items ?? []).filter((item) => !before.has(item.id)).at(-1);
    if (back) await this.choose(back.id);
  },
};

/** Take over what the server says of the project. */
async function takeProject(project) {
  documents.project = project;
  let id = documents.chosenId ?? recall(project.id);
  if (!documents.find(id) && documents.item?.kind !== "take") id = neighbour();
  const isOther = id !== documents.chosenId;
  documents.chosenId = id ?? null;
  lastOrder = project.items.map((item) => item.id);
  if (isOther) {
    remember(project.id, documents.chosenId);
    emit("item:marked", documents.chosenId);
  }
  emit("project:changed", project);
  await showChosen();
}

/** @type {string[]} ids of the items, as they stood before the last change */
let lastOrder = [];

/** Return the item that is shown where the one shown is gone: the nearest older one that is still there. */
function neighbour() {
  const items = documents.project?.items ?? [];
  const older = lastOrder.slice(0, Math.max(0, lastOrder.indexOf(documents.chosenId ?? ""))).reverse();
  const near = older.find((id) => documents.find(id));
  return near ?? items.at(-1)?.id ?? null;
}

/** Fetch the chosen item, if it or its revision is another than the one shown, and tell of it. */
async function showChosen() {
  const id = documents.chosenId;
  const listed = documents.find(id);
  if (!listed && id && documents.item?.id === id) return; // a take
  if (!listed) {
    if (documents.item) emit("item:chosen", (documents.item = null));
    return;
  }
  const shown = documents.item;
  if (shown && shown.id === id && shown.revision === listed.revision) return;
  const item = await documents.fetch(listed.id);
  if (documents.chosenId !== id || documents.find(id)?.revision !== listed.revision) return;
  if (documents.item?.id === id && documents.item.revision === listed.revision) return;
  documents.item = { ...item, ...listed };
  emit("item:chosen", documents.item);
}

/** Keep which item of a project is shown, for a reload. */
function remember(projectId, itemId) {
  try {
    if (projectId && itemId) localStorage.setItem(`houseband item ${projectId}`, itemId);
  } catch {
    /* without storage the newest item is shown after a reload */
  }
}

/** Return the item of a project that was shown last, or null. */
function recall(projectId) {
  try {
    return localStorage.getItem(`houseband item ${projectId}`);
  } catch {
    return null;
  }
}

/** What tests and the console may look at. */
export const shown = { documents };

/** Load the project, again whenever the server says that there is another revision, or comes back. */
export function setUp() {
  const reload = () => documents.load().catch(() => {});
  followJobs();
  on("live:project", reload);
  on("live:open", reload);
  return reload();
}
