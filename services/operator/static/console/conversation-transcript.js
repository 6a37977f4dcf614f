// What was said and noted in the open conversation, and what is not sent yet.

import { ConsoleElement, html, nothing } from "./element.js";
import { drawDraft, drawLine } from "./lines.js";
import { linked } from "./links.js";
import { repeat } from "./vendor/lit.js";
import { dayOf, exactly, t, timeOf } from "./words.js";

/** @typedef {import("./types").Line} Line */
/** @typedef {import("./types").Note} Note */
/** @typedef {import("./types").Unsent} Unsent */
/** @typedef {{key: string, time: string, line?: Line, note?: Note}} Entry */

/** Whoever is so near to the end reads what comes (px). */
const NEAR = 80;
/** Whose lines the visitor may have seen or not. */
const OURS = ["bot", "assistant", "operator"];

export class ConversationTranscript extends ConsoleElement {
  static properties = {
    conversation: {},
    lines: { attribute: false },
    notes: { attribute: false },
    unsent: { attribute: false },
    me: {},
    colleagues: { attribute: false },
    draft: { attribute: false },
    seen: { type: Number },
    far: { state: true },
  };

  constructor() {
    super();
    this.conversation = "";
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Note[]} */
    this.notes = [];
    /** @type {Unsent[]} */
    this.unsent = [];
    this.me = "";
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** What the assistant is saying. @type {string | null} */
    this.draft = null;
    this.seen = 0; // the position up to which the visitor has seen it
    this.far = false; // the newest is out of sight
    this.atEnd = true;
    this.place = 0;
    this.shown = ""; // the conversation whose lines are shown
    // Whoever is at the end stays there when a keyboard opens or the window changes.
    this.resized = new ResizeObserver(() => !this.far && this.toEnd());
  }

  firstUpdated() {
    this.resized.observe(/** @type {HTMLElement} */ (this.list));
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.resized.disconnect();
  }

  /** @returns {HTMLElement | null} */
  get list() {
    return this.find("transcript");
  }

  get isAtEnd() {
    const list = this.list;
    return !list || list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
  }

  willUpdate() {
    const other = this.shown !== this.conversation;
    this.atEnd = other || this.isAtEnd;
    this.place = this.list?.scrollTop ?? 0;
  }

  updated() {
    if (this.lines.length) this.shown = this.conversation;
    const list = this.list;
    if (list) list.scrollTop = this.atEnd ? list.scrollHeight : this.place;
  }

  toEnd() {
    const list = this.list;
    if (list) list.scrollTop = list.scrollHeight;
  }

  /** @param {string} account */
  nameOf(account) {
    return this.colleagues.find((colleague) => colleague.name === account)?.display ?? account;
  }

  /** Lines and notes in their order. @returns {Entry[]} */
  entries() {
    const notes = [...this.notes];
    /** @type {Entry[]} */
    const entries = [];
    let position = 0;
    let number = 0;
    for (const line of this.lines) {
      while (notes.length && notes[0].position < line.position) entries.push(noteEntry(/** @type {Note} */ (notes.shift())));
      number = line.position === position ? number + 1 : 0;
      position = line.position;
      entries.push({ key: `${position}.${number}`, time: line.time, line });
    }
    return [...entries, ...notes.map(noteEntry)];
  }

  render() {
    let day = "";
    const entries = this.entries();
    const seen = entries.findLast(({ line }) => line && line.position <= this.seen && OURS.includes(line.from));
    return html`
      <ol class="transcript" data-role="transcript" tabindex="0" aria-label=${t("conversation")}
        @scroll=${() => { this.far = !this.isAtEnd; }}>
        ${repeat(entries, (entry) => entry.key, (entry) => {
          const before = day;
          day = dayOf(entry.time);
          return html`
            ${before === day ? nothing : html`<li class="day" data-role="day">${day}</li>`}
            ${entry.line ? drawLine(entry.line, entry === seen, this.why(entry.line)) : this.note(/** @type {Note} */ (entry.note))}`;
        })}
        ${this.draft ? drawDraft(this.draft) : nothing}
        ${this.unsent.map((message, at) => this.message(message, this.unsent.slice(0, at).some((one) => one.state !== "sent")))}
      </ol>
      <button class="to-end" data-role="to-end" ?hidden=${!this.far} @click=${this.toEnd}>${t("toEnd")}</button>`;
  }

  /** Hundreds of these are no stops of the keyboard: the key `w` leads to the same. @param {Line} line */
  why(line) {
    if (line.from !== "bot" && line.from !== "assistant") return nothing;
    return html`<button class="plain why" data-role="why" tabindex="-1"
      @click=${() => this.emit("ask", { question: "history", conversation: this.conversation, position: line.position })}>${t("whyThis")}</button>`;
  }

  /** @param {Note} note */
  note(note) {
    return html`
      <li class="note" data-role="note" data-position=${note.position}>
        <small title=${exactly(note.time)}>
          <span>${t("noteBy", { name: this.nameOf(note.operator) })}, ${timeOf(note.time)}</span>
          ${note.operator === this.me
            ? html`<button class="plain" data-role="remove-note" @click=${() => this.emit("remove-note", note)}>${t("removeNote")}</button>`
            : nothing}
        </small>
        <p dir="auto">${linked(note.text)}</p>
      </li>`;
  }

  /** What is not stored yet stands behind all lines. @param {Unsent} message @param {boolean} waits */
  message(message, waits) {
    const failed = message.state === "refused" || message.state === "unknown";
    const state = {
      sending: t(waits ? "waitsForOther" : "sending"),
      sent: t("sent"),
      refused: t("notSent", { why: message.why }),
      unknown: t("unknownSent", { why: message.why }),
    }[message.state];
    return html`
      <li data-role="unsent" data-from="operator" data-state=${message.state}>
        ${failed ? html`<small role="alert">${state}</small>` : html`<small>${state}</small>`}
        <p dir="auto">${message.text}</p>
        ${failed ? html`
          <div class="remedies">
            <button data-role="again" @click=${() => this.emit("again", message)}>${t("again")}</button>
            <button data-role="edit" @click=${() => this.emit("edit", message)}>${t("edit")}</button>
          </div>` : nothing}
      </li>`;
  }
}

/** @param {Note} note @returns {Entry} */
const noteEntry = (note) => ({ key: note.id, time: note.time, note });

customElements.define("conversation-transcript", ConversationTranscript);
