/**
 * Calls of the studio's HTTP interface. What goes wrong becomes an error whose message is one sentence for the user.
 */

/** An answer that is no success, or none at all; its message is a sentence that can be shown. */
export class ApiError extends Error {
  /**
   * @param {string} message one sentence
   * @param {number} status of HTTP; 0: the server did not answer
   */
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

const LOST = "The studio's server does not answer, so nothing was changed; the page catches up when it is back.";

/**
 * Call the server and return what it answers.
 *
 * @param {string} method GET, POST, PUT, PATCH or DELETE
 * @param {string} path beginning with /api/
 * @param {object|Blob|ArrayBuffer} [body] an object is sent as JSON
 * @param {Record<string,string>} [headers]
 * @returns {Promise<any>} the JSON of the answer
 */
export async function call(method, path, body, headers = {}) {
  const isRaw = body instanceof Blob || body instanceof ArrayBuffer;
  const sent = body === undefined || isRaw ? body : JSON.stringify(body);
  const type = body === undefined ? {} : { "Content-Type": isRaw ? "application/octet-stream" : "application/json" };
  let response;
  try {
    response = await fetch(path, { method, body: sent, headers: { ...type, ...headers }, cache: "no-store" });
  } catch {
    throw new ApiError(LOST, 0);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(answer.error || `The server refused this (${response.status}).`, response.status);
  return answer;
}

/**
 * Return the path of an item, or of something of it.
 *
 * @param {string} id
 * @param {string} [rest] beginning with /
 */
export function itemPath(id, rest = "") {
  return `/api/project/items/${encodeURIComponent(id)}${rest}`;
}
