/**
 * What the server computes in the background: how far each job is, and how it ended.
 *
 * Emits `job` ({id, share, state, item, error}) for each report.
 */
import { call } from "./api.js";
import { emit, on } from "./bus.js";

/**
 * @typedef {Object} Job
 * @property {string} id
 * @property {number} share of the work that is done, 0 to 1
 * @property {"waiting"|"running"|"done"|"failed"|"cancelled"} state
 * @property {string|null} item that came of it
 * @property {string} error
 */

const KEPT_JOBS = 50;
const POLL_MS = 1000;
const ENDED = ["done", "failed", "cancelled"];

/** @type {Map<string, Job>} what was last heard of each job */
const jobs = new Map();
/** @type {Map<string, {resolve: (id: string|null) => void, reject: (error: Error) => void}>} */
const waiting = new Map();

/** Raised for a job that the user has called off. */
export class Cancelled extends Error {}

/** Listen to what the server tells of jobs. */
export function followJobs() {
  on("live:job", hear);
  on("project:changed", (project) => (project.jobs ?? []).forEach(hear));
}

/** @param {Job} job */
function hear(job) {
  const known = jobs.get(job.id);
  if (known && ENDED.includes(known.state)) return;
  jobs.set(job.id, job);
  if (jobs.size > KEPT_JOBS) jobs.delete(jobs.keys().next().value);
  emit("job", job);
  settle(job);
}

/** @param {Job} job */
function settle(job) {
  const waiter = waiting.get(job.id);
  if (!waiter || !ENDED.includes(job.state)) return;
  waiting.delete(job.id);
  if (job.state === "done") waiter.resolve(job.item);
  else if (job.state === "cancelled") waiter.reject(new Cancelled("Cancelled."));
  else waiter.reject(new Error(job.error || "This could not be made."));
}

/**
 * Wait for a job to end, and return the id of the item that came of it.
 *
 * Events can be lost where the connection breaks, so the project is asked for running jobs now and then.
 *
 * @param {string} id
 * @returns {Promise<string|null>}
 */
export function awaitJob(id) {
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    const known = jobs.get(id);
    if (known) settle(known);
    else hear({ id, share: 0, state: "running", item: null, error: "" });
    poll(id);
  });
}

/** @param {string} id */
function poll(id) {
  if (!waiting.has(id)) return;
  setTimeout(async () => {
    if (!waiting.has(id)) return;
    const project = await call("GET", "/api/project").catch(() => null);
    const found = project?.jobs?.find((/** @type {Job} */ job) => job.id === id);
    if (found) hear(found);
    else if (project) missed(id, project);
    poll(id);
  }, POLL_MS);
}

/** A job that the project does not list any more has ended, though nobody told: the newest result is its item. */
function missed(id, project) {
  const newest = project.items.filter((item) => item.kind === "result").at(-1);
  hear({ id, share: 1, state: newest ? "done" : "failed", item: newest?.id ?? null, error: "The work was interrupted." });
}

/** Call a job off. @param {string} id */
export function cancelJob(id) {
  return call("POST", `/api/jobs/${encodeURIComponent(id)}/cancel`, {});
}
