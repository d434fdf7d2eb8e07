/** A page-wide bus of named events, by which modules tell each other things without importing each other. */

/** @type {Map<string, Set<function(any): void>>} */
const listeners = new Map();

/**
 * Call a function at every event of a name.
 * @param {string} name
 * @param {function(any): void} listener
 * @returns {function(): void} ends it
 */
export function on(name, listener) {
  let those = listeners.get(name);
  if (!those) listeners.set(name, (those = new Set()));
  those.add(listener);
  return () => those.delete(listener);
}

/**
 * Tell all listeners of a name. One that fails does not keep the others from hearing it.
 * @param {string} name
 * @param {any} [detail]
 */
export function emit(name, detail) {
  for (const listener of listeners.get(name) ?? []) {
    try {
      listener(detail);
    } catch (error) {
      console.error(error);
    }
  }
}
