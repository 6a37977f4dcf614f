/** @typedef {import("../types").SwitchboardEvents} SwitchboardEvents */

/** @type {Map<string, Set<(data: any) => void>>} */
const listeners = new Map();

/**
 * @template {keyof SwitchboardEvents} Name
 * @param {Name} name
 * @param {(data: SwitchboardEvents[Name]) => void} listener
 */
export function on(name, listener) {
  const all = listeners.get(name) ?? new Set();
  listeners.set(name, all.add(listener));
  return () => all.delete(listener);
}

/**
 * @template {keyof SwitchboardEvents} Name
 * @param {Name} name
 * @param {SwitchboardEvents[Name]} data
 */
export function emit(name, data) {
  for (const listener of listeners.get(name) ?? []) {
    try {
      listener(data);
    } catch (error) {
      reportError(error); // the page's, which must not stop the chat
    }
  }
}
