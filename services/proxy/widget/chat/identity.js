// Who the visitor is: the server knows it by a cookie, which the browser may not keep.

/** What is kept of the conversation over page views: {read: cursor, rated: score}, null before the first fact. */
export class Memory {
  #store;
  /** Whether the browser brings the visitor's cookie back, null for not known. @type {boolean | null} */
  kept = null;

  /** @param {import("../store.js").Store} store */
  constructor(store) {
    this.#store = store;
    /** @type {{read?: string | null, rated?: number | false} | null} */
    this.value = store.read();
  }

  /** As another tab has left it. */
  again() {
    this.value = this.#store.read() ?? this.value;
    return this.value;
  }

  /** How far another tab has read. @returns {string | null | undefined} */
  get readElsewhere() {
    return this.value && this.#store.read()?.read;
  }

  /** @param {string | null} key of the storage's event */
  holds(key) {
    return key === this.#store.key;
  }

  /** @param {{read?: string | null, rated?: number | false}} changes */
  write(changes) {
    this.value = { ...this.value, ...changes };
    if (this.kept !== false) this.#store.write(this.value);
  }

  forget() {
    this.value = null;
    this.#store.clear();
  }

  /** The browser does not keep the cookie: the next page has nothing to come back to. */
  unkept() {
    this.kept = false;
    this.#store.clear();
  }
}

/**
 * Between two sites a cookie depends on settings, so whether it came to stay is to be asked.
 *
 * @param {string} address the WebSocket's
 */
export function isElsewhere(address) {
  const server = new URL(address);
  const alike = server.protocol.replace("ws", "http") === location.protocol;
  return !(alike && server.hostname === location.hostname);
}

/**
 * To the page's author, who can mend it.
 *
 * @param {string} address
 */
export function explain(address) {
  console.warn(
    `Switchboard: the browser did not send the visitor's cookie to ${address}, so a conversation ` +
      "ends with the page. If this page is of another site than the chat, serve both over HTTPS and set " +
      "SWITCHBOARD_COOKIE_SAMESITE=none and SWITCHBOARD_COOKIE_PARTITIONED=yes on the proxy.",
  );
}
