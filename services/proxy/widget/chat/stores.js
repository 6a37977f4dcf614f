import { Store, stores } from "../store.js";

/**
 * All that is kept of one chat, by the address of its server.
 *
 * @param {string} address
 */
export const allStores = (address) => ({
  ...stores(address),
  /** What is typed and not sent, kept over page views. */
  unsent: new Store("sessionStorage", `switchboard:unsent:${address}`),
  /** What the visitor has chosen for this browser: {sound}. */
  choices: new Store("localStorage", `switchboard:choices:${address}`),
  /** That the chat was open in this visit, or its greeting was dismissed. */
  opened: new Store("sessionStorage", `switchboard:opened:${address}`),
});
