// What is looked for, and where it was found. It stands in the address bar, so that it can be kept and passed on.

import { api, problem } from "./api.js";

/** @typedef {import("./types").SearchFor} SearchFor */

/** @returns {SearchFor | null} */
function addressed() {
  const given = [...new URLSearchParams(location.hash.slice(1))].filter(([, value]) => value);
  if (!given.length) return null;
  return Object.fromEntries(given.map(([name, value]) => [name, name === "rating" ? Number(value) : value]));
}

/** @param {SearchFor | null} wanted */
function address(wanted) {
  const values = Object.entries(wanted ?? {}).map(([name, value]) => [name, String(value)]);
  history.replaceState(null, "", wanted ? `#${new URLSearchParams(values)}` : location.pathname);
}

const CONVERSATION = /^#conversation=([0-9a-f]{32})$/;

export class Finder {
  constructor() {
    /** The conversation to which a link has led. */
    this.led = CONVERSATION.exec(location.hash)?.[1] ?? "";
    if (this.led) history.replaceState(null, "", location.pathname);
    /** @type {SearchFor | null} */
    this.wanted = null;
    /** Null while it is not known. @type {import("./types").Found | null} */
    this.found = null;
    this.why = ""; // it could not be looked for
    this.changed = () => {};
    this.refused = /** @param {import("./api.js").Problem} _problem */ (_problem) => {};
  }

  /** Look for it, or no longer. @param {SearchFor | null} wanted */
  async look(wanted) {
    address(wanted);
    this.forget();
    this.wanted = wanted;
    this.changed();
    if (wanted) await this.more();
  }

  /** Look for what the address bar says, once. */
  resume() {
    const wanted = addressed();
    if (wanted && !this.wanted) this.look(wanted);
  }

  /** The next page. */
  async more() {
    const { wanted, found: before } = this;
    if (!wanted) return;
    this.why = "";
    const page = await api.search({ ...wanted, ...(before?.next ? { after: before.next } : {}) }).catch(problem);
    if (this.wanted !== wanted) return; // something else is looked for by now
    if (page instanceof Error) {
      this.why = page.message;
      this.refused(page);
    } else {
      const known = new Set(before?.conversations.map((row) => row.id));
      const more = page.conversations.filter((row) => !known.has(row.id));
      this.found = { conversations: [...(before?.conversations ?? []), ...more], next: page.next };
    }
    this.changed();
  }

  /** @param {string} conversation */
  erase(conversation) {
    if (this.found) this.found.conversations = this.found.conversations.filter((row) => row.id !== conversation);
  }

  /** Look for nothing, and leave no trace of it. */
  clear() {
    this.forget();
    address(null);
  }

  forget() {
    this.wanted = this.found = null;
    this.why = "";
  }
}
