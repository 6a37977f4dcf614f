// The conversation that is open: its row, its lines and notes, whatever loads, fails or arrives in between.

import { api, problem } from "./api.js";
import { drafts } from "./drafts.js";
import { Earlier } from "./earlier.js";
import { newest } from "./model.js";
import { outbox } from "./outbox.js";
import { Suggestions } from "./suggestions.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").Told} Told */

const TYPING_SHOWN = 5000;
const AGAIN = 3000;

export class Talk {
  constructor() {
    this.id = "";
    /** Null while it is not known how the conversation stands. @type {Row | null} */
    this.row = null;
    /** @type {import("./types").Line[]} */
    this.lines = [];
    /** @type {import("./types").Note[]} */
    this.notes = [];
    this.mails = false; // what is said goes by e-mail to whoever has left
    /** @type {string[]} */
    this.states = [];
    /** Those that the flow's author offers for handing back. @type {import("./types").EntryPoint[]} */
    this.entryPoints = [];
    /** @type {Record<string, unknown>} */
    this.variables = {};
    /** Why nothing is open. @type {"choose" | "erased"} */
    this.closed = "choose";
    this.typing = false;
    /** Where the visitor is; null: not known. @type {import("./types").Presence | null} */
    this.presence = null;
    /** What the assistant is saying; null: nothing, or not all of it was heard. @type {string | null} */
    this.draft = null;
    /** The name of the feed of events, once there is one. */
    this.feed = "";
    this.notice = "";
    /** Lines that arrive while the transcript is read. @type {Told[] | null} */
    this.early = null;
    /** The newest row that arrived meanwhile. @type {Row | null} */
    this.missed = null;
    this.last = 0; // the position up to which there are lines
    this.live = 0; // the position of the last line that came as an event
    this.typingTimer = 0;
    this.earlier = new Earlier();
    this.earlier.changed = () => this.changed();
    this.earlier.refused = (refusal) => this.refused(refusal);
    this.suggestions = new Suggestions();
    this.suggestions.changed = () => this.changed();
    this.suggestions.refused = (refusal) => this.refused(refusal);
    /** With `now` it is another one: nobody may act on what stands there still. @type {(now?: boolean) => void} */
    this.changed = () => {};
    this.told = /** @param {import("./types").Line} _line */ (_line) => {};
    this.refused = /** @param {import("./api.js").Problem} _problem */ (_problem) => {};
  }

  /** Show a conversation, or read the one that is shown anew. @param {string} id */
  async open(id) {
    const other = this.id !== id;
    if (other) {
      this.forget();
      this.id = id;
    }
    /** @type {Told[]} */
    const early = (this.early = []);
    this.missed = null;
    drafts.show(id);
    this.changed(other);
    this.suggestions.look();
    this.watch().catch((refusal) => this.refused(problem(refusal)));
    const [detail, desk] = await Promise.all([
      api.conversation(id).catch(problem),
      api.desk(id).catch(problem),
    ]);
    // Another one was chosen meanwhile, or this one is read once more: what that reads is newer.
    if (this.id !== id || this.early !== early) return;
    const { missed } = this;
    this.early = this.missed = null;
    const failed = [detail, desk].find((found) => found instanceof Error);
    if (failed || detail instanceof Error || desk instanceof Error) {
      if (missed && this.row) this.update(missed);
      if (this.row) for (const line of early) this.add(line);
      if (failed && ![401, 404].includes(failed.status)) window.setTimeout(() => this.id === id && this.open(id), AGAIN);
      if (failed?.status === 404) this.erase(id);
      else this.notice = failed?.message ?? "";
      if (failed) this.refused(failed);
      this.changed();
      return;
    }
    this.notice = "";
    this.lines = detail.messages;
    this.notes = desk.notes;
    this.states = detail.states;
    this.entryPoints = detail.entry_points;
    this.mails = detail.mails;
    this.variables = desk.variables;
    outbox.settle(id, new Set(detail.messages.map((line) => line.id)), true);
    this.last = detail.messages.at(-1)?.position ?? 0;
    this.live = 0;
    this.typing = false;
    this.row = detail; // of a log that was put back from a copy an older row is the newer one
    if (missed) this.update(missed);
    for (const line of early) this.add(line);
    this.changed();
    this.earlier.read(id);
  }

  /** @param {"choose" | "erased"} [why] */
  close(why = "choose") {
    this.forget();
    this.suggestions.forget();
    this.id = "";
    this.closed = why;
    this.changed(true);
  }

  forget() {
    this.row = null;
    this.lines = [];
    this.notes = [];
    this.states = [];
    this.entryPoints = [];
    this.variables = {};
    this.typing = false;
    this.presence = this.draft = null;
    this.notice = "";
    this.early = this.missed = null;
    this.last = this.live = 0;
    this.earlier.forget();
  }

  /** All that was said in the conversation was erased: nothing of it may stay on the page. @param {string} id */
  erase(id) {
    this.earlier.erase(id);
    this.suggestions.forget(id);
    if (this.id === id) this.close("erased");
  }

  /** The row of a conversation has changed. @param {Row} row */
  update(row) {
    if (this.id !== row.id) return;
    if (this.early) {
      if (!this.missed || newest(this.missed) <= newest(row)) this.missed = row;
      return;
    }
    const before = this.row;
    if (!before || newest(row) < newest(before)) return;
    this.row = row;
    this.changed();
    if (before.started !== row.started) this.open(row.id); // the visitor began anew: the lines so far are void
    else if (before.noted !== row.noted || before.place !== row.place) this.renew(row.id);
  }

  /** There may be new notes, or the flow went on and has saved something. @param {string} id */
  async renew(id) {
    const desk = await api.desk(id).catch(problem);
    if (this.id === id && !(desk instanceof Error)) this.noted(desk);
  }

  /** What is noted about a conversation by now. @param {import("./types").DeskDetail} desk */
  noted(desk) {
    if (this.id !== desk.conversation || !this.row || desk.noted < this.row.noted) return;
    const { notes, variables, conversation: _, position, ...noted } = desk;
    this.notes = notes;
    this.variables = variables;
    if (position >= this.row.position) this.row = { ...this.row, ...noted }; // else an event has told more
    this.changed();
  }

  /** @param {Told} line */
  add(line) {
    if (this.id !== line.conversation) return;
    if (this.early) {
      this.early.push(line);
      return;
    }
    if (line.position < this.last || (line.position === this.last && this.live !== this.last)) return;
    outbox.settle(this.id, new Set([line.id]));
    this.lines = [...this.lines, line];
    this.last = this.live = line.position; // an entry's several lines come one after the other
    if (line.from === "visitor") this.typing = false;
    if (line.from === "system") this.renew(this.id); // it may tell of something that was saved
    this.told(line);
    this.changed();
  }

  /** @param {string} conversation */
  visitorTypes(conversation) {
    if (this.id !== conversation || this.early) return;
    this.typing = true;
    clearTimeout(this.typingTimer);
    this.typingTimer = window.setTimeout(() => {
      this.typing = false;
      this.changed();
    }, TYPING_SHOWN);
    this.changed();
  }

  // --- what is told while somebody looks ---

  /** Say that this conversation is shown, so that more is told of it. It is to be said again with each heartbeat. */
  async watch() {
    if (this.id && this.feed) await api.watch(this.id, this.feed);
  }

  /** @param {import("./types").Presence} presence */
  tells(presence) {
    if (this.id !== presence.conversation) return;
    this.presence = presence;
    this.changed();
  }

  /** Some more words of the assistant's. @param {import("./types").DraftPiece} piece */
  drafted({ conversation, offset, text, end }) {
    if (this.id !== conversation) return;
    const before = offset === 0 ? "" : this.draft;
    const follows = before !== null && [...before].length === offset; // in code points, as the offset is
    this.draft = end || !follows ? null : before + text;
    this.changed();
  }
}
