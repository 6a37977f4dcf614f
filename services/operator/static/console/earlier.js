// What there is to read of the same visitor from before, and what of it is being read. No page.

import { api, problem } from "./api.js";

/** @typedef {import("./types").Line} Line */
/** @typedef {import("./types").Row} Row */
/** @typedef {{conversation: string, talk: number | null, when: string, lines: Line[] | null, why: string}} Shown */

export class Earlier {
  constructor() {
    this.conversation = ""; // of whose visitor this is
    /** Talks of the conversation before its visitor began anew. @type {import("./types").EarlierTalk[]} */
    this.talks = [];
    /** The visitor's other conversations. @type {Row[]} */
    this.conversations = [];
    /** What is being read: a talk of this conversation, or another conversation. @type {Shown | null} */
    this.shown = null;
    this.changed = () => {};
    this.refused = /** @param {import("./api.js").Problem} _problem */ (_problem) => {};
  }

  /** @param {string} conversation */
  async read(conversation) {
    if (this.conversation !== conversation) this.forget();
    this.conversation = conversation;
    const found = await api.earlier(conversation).catch(problem);
    if (this.conversation !== conversation) return;
    if (found instanceof Error) return this.refused(found);
    this.talks = found.talks;
    this.conversations = found.conversations;
    this.changed();
  }

  /** Read an earlier talk, or another conversation. @param {string} conversation @param {number | null} talk @param {string} when */
  async open(conversation, talk, when) {
    /** @type {Shown} */
    const shown = (this.shown = { conversation, talk, when, lines: null, why: "" });
    this.changed();
    const found = await (talk === null ? api.conversation(conversation) : api.earlierTalk(conversation, talk)).catch(problem);
    if (this.shown !== shown) return;
    if (found instanceof Error) {
      shown.why = found.message;
      this.refused(found);
    } else {
      shown.lines = found.messages;
    }
    this.changed();
  }

  close() {
    this.shown = null;
    this.changed();
  }

  forget() {
    this.conversation = "";
    this.talks = [];
    this.conversations = [];
    this.shown = null;
  }

  /** Nothing of what was said there may stay on the page. @param {string} conversation */
  erase(conversation) {
    if (this.conversation === conversation) this.forget();
    this.conversations = this.conversations.filter((other) => other.id !== conversation);
    if (this.shown?.conversation === conversation) this.shown = null;
    this.changed();
  }
}
