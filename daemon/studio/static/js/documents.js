/**
 * The project as the server has it: its items, the one that is chosen, and the calls that change it.
 *
 * The server owns the project. The page keeps the newest list of items, whole items by revision, and which of them is
 * shown; each change is a call, and what the call answers is the new project. Calls that answer with the project are made
 * one after the other, so that none of them brings back an older one.
 *
 * Project, choice and chosen item change together: what came of a call is taken over as soon as the whole item is there
 * that is to be shown with it. What is read after any event belongs together.
 *
 * Emits, in this order, `item:marked` (the id of the item that is chosen, or null), `project:changed` (the project) and
 * `item:chosen` (the whole chosen item, whenever another one or another revision of it is to be shown; null: none).
 */
import { ApiError, call, itemPath } from "./api.js";
import { emit, on } from "./bus.js";
import { CallQueue } from "./call_queue.js";
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
const MISSING = 404;

/**
 * @typedef {{id:string,name:string,undo:string|null,redo:string|null,items:Item[],jobs:object[]}} Project
 * @typedef {Object} Turn what is to be shown, as soon as the whole item is there
 * @property {Project} project
 * @property {string|null} id of the item
 * @property {boolean} isChoice whether somebody chose the item, be it the one that is shown
 * @property {Promise<void>} [done]
 */

/** @type {Map<string, Promise<Item>>} whole items by id and revision */
const cache = new Map();
const calls = new CallQueue();
/** @type {Turn|null} the one that counts, of those whose item is not there yet */
let coming = null;

export const documents = {
  /** @type {null|Project} */
  project: null,
  /** @type {string|null} the item that is shown */
  chosenId: null,
  /** @type {Item|null} the whole item that is shown */
  item: null,

  /** Return an item as the list has it, or undefined. @param {string|null} id */
  find(id) {
    return find(this.project, id);
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
    const listed = this.find(id);
    return listed ? fetchWhole(listed) : call("GET", itemPath(id));
  },

  /** Show an item of the project, as soon as it is there whole. @param {string|null} id */
  async choose(id) {
    const project = coming?.project ?? this.project;
    if (project && find(project, id)) await turnTo(project, id, true);
  },

  /** Show an item that is none of the project's: a take. @param {Item} item */
  show(item) {
    if (coming) turnTo(coming.project, item.id).catch(() => {});
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
  load() {
    return calls.add(async () => takeProject(await call("GET", "/api/project")), "project");
  },

  /** Change the project by a call, and return its answer. What the call made (an item, say) can be chosen after it. */
  change(method, path, body, headers) {
    return calls.add(() => change(method, path, body, headers));
  },

  /**
   * Save something of an item that can be changed again before the server has it: of what piles up the newest counts.
   *
   * @param {string} id
   * @param {"/notes"|"/edits"} part
   * @param {object} body
   */
  save(id, part, body) {
    const path = itemPath(id, part);
    return calls.add((all, answered) => change("PUT", path, all, undefined, answered), path, body);
  },

  /** Tell whether the server does not have all yet of what was to be saved. @param {string} id @param {string} part */
  isSaving(id, part) {
    return calls.has(itemPath(id, part));
  },

  /** Wait until the server has all that was changed up to now, or has refused it. */
  whenSaved() {
    return calls.end;
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
    const answer = await calls.add(() => change("POST", path, body, headers, undefined, (told) => told.item));
    return { answer, id: answer.item ?? null };
  },

  /** Take back, or make again, the last change. Returns its label; null: there is none. @param {"undo"|"redo"} which */
  step(which) {
    return calls.add(async () => {
      const label = this.project?.[which] ?? null;
      const before = new Set((this.project?.items ?? []).map((item) => item.id));
      const findBack = (/** @type {Project} */ told) => told.items.filter((item) => !before.has(item.id)).at(-1)?.id;
      if (label) await change("POST", `/api/project/${which}`, {}, undefined, undefined, findBack);
      return label;
    });
  },
};

/** @param {Project|null} project @param {string|null} id */
function find(project, id) {
  return project?.items.find((item) => item.id === id);
}

/**
 * Make a call that changes the project, take over what it answers, and return that.
 *
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 * @param {() => void} [answered] is called once the server has made the change
 * @param {(answer: any) => string|undefined} [pick] returns the item that is to be shown then, if another one is
 */
async function change(method, path, body, headers, answered, pick) {
  const answer = await call(method, path, body, headers);
  answered?.();
  if (Array.isArray(answer.items)) await takeProject(answer, pick?.(answer));
  return answer;
}

/** Take over what the server says of the project. @param {Project} project @param {string} [chosenId] */
function takeProject(project, chosenId) {
  const id = chosenId ?? (coming ? coming.id : documents.chosenId) ?? recall(project.id);
  return turnTo(project, id, chosenId !== undefined || (coming?.isChoice ?? false));
}

/** Have a project and an item of it shown. Where something newer is to be shown before it is there, wait for that. */
function turnTo(project, id, isChoice = false) {
  /** @type {Turn} */
  const turn = { project, id, isChoice };
  coming = turn;
  return (turn.done = arrive(turn));
}

/** @param {Turn} turn */
async function arrive(turn) {
  /** @type {Item|null} */
  let item = null;
  try {
    item = await findItem(turn);
    while (coming === turn && !fits(turn, item)) {
      turn.project = await call("GET", "/api/project");
      item = await findItem(turn);
    }
  } catch (error) {
    if (coming !== turn) return coming?.done;
    coming = null;
    throw error;
  }
  if (coming !== turn) return coming?.done;
  coming = null;
  show(turn, item);
}

/** Tell whether an item is the one that a project lists: it is another if it was changed after that was asked for. */
function fits({ project, id }, item) {
  const listed = find(project, id);
  return !listed || item?.revision === listed.revision;
}

/** Return the whole item that is to be shown; null: there is none. @param {Turn} turn */
async function findItem(turn) {
  const shown = documents.item;
  if (shown?.kind === "take" && shown.id === turn.id) return shown;
  const listed = find(turn.project, turn.id) ?? findNeighbour(turn);
  turn.id = listed?.id ?? null;
  if (!listed) return null;
  if (shown?.id === listed.id && shown.revision === listed.revision) return shown;
  try {
    return { ...(await fetchWhole(listed)), counts: listed.counts, edit_count: listed.edit_count };
  } catch (error) {
    if (error instanceof ApiError && error.status === MISSING) return null; // it was deleted meanwhile
    throw error;
  }
}

/** @param {Item} listed @returns {Promise<Item>} */
function fetchWhole(listed) {
  const key = `${listed.id} ${listed.revision}`;
  const known = cache.get(key);
  if (known) return known;
  const loading = call("GET", itemPath(listed.id)).then((item) => {
    if (item.revision !== listed.revision) cache.delete(key);
    return item;
  });
  loading.catch(() => cache.delete(key));
  cache.set(key, loading);
  if (cache.size > CACHED_ITEMS) cache.delete(cache.keys().next().value);
  return loading;
}

/** Return the item that is shown where the one wanted is gone: the nearest older one that is still there. */
function findNeighbour({ project, id }) {
  const before = (documents.project?.items ?? []).map((item) => item.id);
  const older = before.slice(0, Math.max(0, before.indexOf(id ?? ""))).reverse();
  const near = older.find((each) => find(project, each));
  return find(project, near ?? null) ?? project.items.at(-1);
}

/** Show a project and its chosen item, and tell of what is another. @param {Turn} turn @param {Item|null} item */
function show({ project, id, isChoice }, item) {
  const before = { project: documents.project, chosenId: documents.chosenId, item: documents.item };
  Object.assign(documents, { project, chosenId: id, item });
  if (id !== before.chosenId) remember(project.id, id);
  if (id !== before.chosenId || isChoice) emit("item:marked", id);
  if (project !== before.project) emit("project:changed", project);
  if (item?.id !== before.item?.id || item?.revision !== before.item?.revision) emit("item:chosen", item);
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
