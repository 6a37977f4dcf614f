// What the operator has written and not sent, for each conversation: what is for the visitor, and the note for
// colleagues. It outlives a login that ends, and the page, in this tab alone; another operator who logs in here
// never sees it.

import { Kept } from "./kept.js";

/** @typedef {"reply" | "note"} Kind */

/** @param {string} id @param {Kind} kind */
const key = (id, kind) => (kind === "note" ? `${id}/note` : id);

class Drafts {
  constructor() {
    this.kept = new Kept("switchboard.drafts", { open: "", texts: /** @type {Record<string, string>} */ ({}) });
  }

  /** Whose drafts these are. @param {string} name */
  of(name) {
    this.kept.of(name);
  }

  /** The conversation that was open last. */
  get open() {
    return this.kept.value.open;
  }

  get any() {
    return Object.keys(this.kept.value.texts).length > 0;
  }

  /** @param {string} id */
  show(id) {
    this.kept.value.open = id;
    this.kept.write();
  }

  /** @param {string} id @param {Kind} [kind] */
  at(id, kind = "reply") {
    return this.kept.value.texts[key(id, kind)] ?? "";
  }

  /** @param {string} id @param {string} text @param {Kind} [kind] */
  keep(id, text, kind = "reply") {
    if (text) this.kept.value.texts[key(id, kind)] = text;
    else delete this.kept.value.texts[key(id, kind)];
    this.kept.write();
  }

  /** The conversation was erased. @param {string} id */
  drop(id) {
    this.keep(id, "");
    this.keep(id, "", "note");
  }

  /** The operator logs out: whoever comes next is somebody else. */
  forget() {
    this.kept.forget();
  }
}

export const drafts = new Drafts();
