// What the assistant suggests to the operator: drafts of replies, and summaries, each of one conversation.

import { api, problem } from "./api.js";

/** @typedef {"reply" | "summary"} Kind */
/** `position` is that of the last entry that it knows of. @typedef {{state: "asked" | "made" | "failed", text: string, position: number}} Suggested */

const FRESH = 60000;

export class Suggestions {
  constructor() {
    this.offered = false; // there is an assistant to ask
    this.looked = -Infinity;
    /** @type {Map<string, Suggested>} */
    this.found = new Map();
    this.changed = () => {};
    this.refused = /** @param {import("./api.js").Problem} _problem */ (_problem) => {};
  }

  /** @param {string} id @param {Kind} kind */
  at(id, kind) {
    return this.found.get(`${kind}/${id}`);
  }

  /** Find out whether there is an assistant to ask. */
  async look() {
    if (performance.now() - this.looked < FRESH) return;
    this.looked = performance.now();
    const answer = await api.suggestionsOffered().catch(problem);
    if (answer instanceof Error) {
      this.looked = -Infinity; // with the next look
      this.refused(answer);
    } else {
      this.offered = answer.offered;
    }
    this.changed();
  }

  /** Ask for one; what is there already is asked for anew. @param {string} id @param {Kind} kind */
  async ask(id, kind) {
    if (this.at(id, kind)?.state === "asked") return;
    /** @type {Suggested} */
    const asked = { state: "asked", text: "", position: 0 };
    this.found.set(`${kind}/${id}`, asked);
    this.changed();
    const answer = await api.suggest(id, kind, navigator.language).catch(problem);
    if (this.at(id, kind) !== asked) return; // it is not wanted any more
    /** @type {Suggested} */
    const found = answer instanceof Error
      ? { state: "failed", text: answer.message, position: 0 }
      : { state: "made", text: answer.text, position: answer.position };
    this.found.set(`${kind}/${id}`, found);
    if (answer instanceof Error) this.refused(answer);
    this.changed();
  }

  /** @param {string} id @param {Kind} kind */
  drop(id, kind) {
    this.found.delete(`${kind}/${id}`);
    this.changed();
  }

  /** Of one conversation, or all. @param {string} [id] */
  forget(id) {
    if (id === undefined) {
      this.found.clear();
      return;
    }
    this.found.delete(`reply/${id}`);
    this.found.delete(`summary/${id}`);
  }
}
