/** JSON under one key of `localStorage` or `sessionStorage`. Both may throw (blocked, full): then null. */
export class Store {
  /**
   * @param {"localStorage" | "sessionStorage"} area
   * @param {string} key
   */
  constructor(area, key) {
    this.area = area;
    this.key = key;
  }

  /** @returns {any} */
  read() {
    try {
      return JSON.parse(window[this.area].getItem(this.key) ?? "null");
    } catch {
      return null;
    }
  }

  /** @param {unknown} value */
  write(value) {
    try {
      window[this.area].setItem(this.key, JSON.stringify(value));
    } catch {
      // Then it lasts as long as the page does.
    }
  }

  clear() {
    try {
      window[this.area].removeItem(this.key);
    } catch {
      // It was never there.
    }
  }
}

/**
 * What says whether there is a conversation, by the address of its server.
 *
 * @param {string} address
 */
export const stores = (address) => ({
  /** What is known of the conversation; null before its first fact. */
  memory: new Store("localStorage", `switchboard:${address}`),
  /** Messages that are not acknowledged. */
  outbox: new Store("sessionStorage", `switchboard:outbox:${address}`),
});
