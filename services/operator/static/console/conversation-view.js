// The conversation on the right: its header and acts, its transcript, where the operator writes, and the card.

import "./conversation-transcript.js";
import "./message-editor.js";
import "./suggested-text.js";
import "./visitor-card.js";
import { api, problem } from "./api.js";
import { asking } from "./asking.js";
import { ownerOf } from "./conversation-lists.js";
import { drafts } from "./drafts.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { isSnoozed, isUnread } from "./model.js";
import { outbox } from "./outbox.js";
import { settings } from "./settings.js";
import { since, t } from "./words.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").Unsent} Unsent */
/** @typedef {import("./suggestions.js").Kind} Kind */

/** So long after it was shown a conversation counts as read (ms). */
const READ_AFTER = 700;
/** Whoever takes over a talk of so many lines is told what it was about. */
const LONG = 8;

export class ConversationView extends ConsoleElement {
  static properties = {
    talk: { attribute: false },
    version: { type: Number }, // grows with each change of the talk, the outbox and the lists
    me: { attribute: false },
    colleagues: { attribute: false },
    queues: { attribute: false },
    labels: { attribute: false },
    next: { attribute: false },
    answers: { attribute: false },
    acting: { type: Boolean },
    carded: { state: true },
  };

  constructor() {
    super();
    /** @type {import("./talk.js").Talk} */
    this.talk = /** @type {any} */ (undefined);
    this.version = 0;
    /** @type {import("./types").Me} */
    this.me = /** @type {any} */ (undefined);
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {string[]} */
    this.queues = [];
    /** @type {string[]} */
    this.labels = [];
    /** @type {import("./types").Answers} */
    this.answers = { shared: [], own: [] };
    /** Who waits longest of all. @type {Row | undefined} */
    this.next = undefined;
    this.shown = ""; // the conversation that is drawn: what is done is done there
    this.acting = false;
    this.carded = false; // the card is shown where there is no room beside the conversation
    this.place = ""; // where the bot is to go on
    this.placed = ""; // of which conversation that is
    this.reading = 0;
    this.had = ""; // the open conversation, where it is this operator's
    this.unread = ""; // what of the open conversation is about to count as read
  }

  get mine() {
    return this.talk.row?.owner === "operator" && this.talk.row.operator === this.me.name;
  }

  /** @returns {import("./message-editor.js").MessageEditor} */
  get editor() {
    return /** @type {any} */ (this.querySelector("message-editor"));
  }

  /** @returns {import("./conversation-transcript.js").ConversationTranscript} */
  get transcript() {
    return /** @type {any} */ (this.querySelector("conversation-transcript"));
  }

  /** @param {string} act @param {unknown} [value] */
  act(act, value) {
    this.emit("act", { act, value, conversation: this.shown });
  }

  /** Do with the open conversation what a key or a button stands for, if that can be done now. @param {string} name */
  press(name) {
    const button = /** @type {HTMLButtonElement | null} */ (this.querySelector(`[data-role=${name}]`));
    if (button && !button.hidden && !button.disabled) button.click();
  }

  willUpdate() {
    if (this.placed === this.talk.id) return;
    this.placed = this.talk.id;
    this.place = "";
    this.carded = false;
  }

  updated() {
    const { row } = this.talk;
    this.welcome();
    const unread = row && isUnread(row, this.me.name) ? `${row.id}/${row.position}` : "";
    if (unread === this.unread) return; // other conversations' events change nothing about it
    this.unread = unread;
    clearTimeout(this.reading);
    if (row && unread) this.reading = window.setTimeout(() => this.read(row), READ_AFTER);
  }

  /** Sum up a long talk for whoever has just taken it over. */
  welcome() {
    const { id, row, lines, suggestions } = this.talk;
    if (!row) return;
    const has = this.mine ? id : "";
    const taken = has !== "" && this.had === `not ${id}`;
    this.had = has || `not ${id}`;
    if (taken && suggestions.offered && lines.length >= LONG && settings.get("summaries")) suggestions.ask(id, "summary");
  }

  /** It was seen, if somebody looks at the page. @param {Row} row */
  async read(row) {
    if (this.talk.row?.id !== row.id) return;
    if (document.hidden) {
      this.unread = ""; // once more with the next change
      return;
    }
    const desk = await api.note(row.id, "read", { position: row.position }).catch(problem);
    if (desk instanceof Error) this.unread = ""; // once more with the next change
    else this.emit("noted", desk);
  }

  /** Back into the editor, before what was typed since; unless it turns out that it was sent. @param {Unsent} message */
  async edit(message) {
    const id = message.conversation;
    if (message.state === "unknown") {
      const detail = await api.conversation(id).catch(problem);
      if (detail instanceof Error) {
        if (this.talk.id === id) this.notice(t("cannotFindOut", { why: detail.message }));
        return;
      }
      outbox.settle(id, new Set(detail.messages.map((line) => line.id)));
      if (!outbox.at(id).includes(message) && this.talk.id === id) this.talk.open(id); // it was sent: show its line
    }
    if (!outbox.at(id).includes(message) || message.state === "sending") return;
    drafts.keep(id, [message.text, drafts.at(id)].filter(Boolean).join("\n"));
    outbox.remove(message);
    if (this.talk.id !== id) return;
    this.editor.renew();
    this.editor.write("reply");
  }

  /** What a canned answer may name. @param {Row | null} row @returns {Record<string, unknown>} */
  values(row) {
    return { ...this.talk.variables, me: this.me.display, ...(row?.known ? { visitor: row.visitor } : {}) };
  }

  /** @param {string} text */
  notice(text) {
    this.talk.notice = text;
    this.talk.changed();
  }

  render() {
    const { talk } = this;
    this.shown = talk.id;
    return html`
      <section class="conversation" aria-label=${t("conversation")}>
        <p class="empty" data-role="nothing" ?hidden=${talk.id !== ""}>${t(talk.closed)}</p>
        ${talk.id ? this.open() : nothing}
      </section>`;
  }

  open() {
    const { talk } = this;
    const { id, row } = talk;
    return html`
      <div class="open" data-role="conversation">
        <div class="main">
          ${this.bar(row)}
          <p class="notice" data-role="notice" role="alert" ?hidden=${!talk.notice}>${talk.notice}</p>
          ${this.suggested("summary")}
          <conversation-transcript .conversation=${talk.id} .lines=${talk.lines} .notes=${talk.notes}
            .unsent=${[...outbox.at(talk.id)]} .draft=${talk.draft} .seen=${talk.presence?.seen ?? 0} .me=${this.me.name} .colleagues=${this.colleagues}
            @again=${(/** @type {CustomEvent<Unsent>} */ { detail }) => outbox.again(detail)}
            @edit=${(/** @type {CustomEvent<Unsent>} */ { detail }) => this.edit(detail)}
            @remove-note=${(/** @type {CustomEvent<import("./types").Note>} */ { detail }) => this.act("removeNote", detail.id)}>
          </conversation-transcript>
          <p class="typing" data-role="typing" ?hidden=${!talk.typing}>${t("visitorTypes")}</p>
          ${this.offer(row)}
          ${this.suggested("reply")}
          <message-editor .conversation=${talk.id} ?known=${row !== null} ?mine=${this.mine} .colleagues=${this.colleagues}
            .answers=${this.answers} .values=${this.values(row)} ?helped=${talk.suggestions.offered}
            @suggest=${(/** @type {CustomEvent<Kind>} */ { detail }) => talk.suggestions.ask(id, detail)} @said=${() => this.transcript.toEnd()}
            @notice=${(/** @type {CustomEvent<string>} */ { detail }) => this.notice(detail)}>
          </message-editor>
        </div>
        <visitor-card @close-card=${() => { this.carded = false; }} class=${this.carded ? "shown" : ""} .row=${row} .presence=${talk.presence} .earlier=${talk.earlier} .version=${this.version} .variables=${talk.variables} ?busy=${this.acting}
          .colleagues=${this.colleagues} .queues=${this.queues} .labels=${this.labels}></visitor-card>
      </div>`;
  }

  /**
   * Header and buttons are always those of the conversation whose lines are shown; while it is not known how
   * that stands, they are off.
   *
   * @param {Row | null} row
   */
  bar(row) {
    return html`
      <div class="bar">
        <button class="back" data-role="back" aria-label=${t("back")} @click=${() => this.emit("back")}>‹</button>
        <div class="about">
          <strong data-role="title"><bdi>${row?.visitor ?? ""}</bdi></strong>
          <span data-role="owner" data-owner=${row?.owner ?? ""}>${row ? ownerOf(row, this.me.name) : t("loading")}</span>
          ${this.presence()}
        </div>
        <button class="card-toggle" data-role="card-toggle" aria-expanded=${this.carded ? "true" : "false"}
          aria-label=${t("about")} ?disabled=${!row} @click=${() => { this.carded = !this.carded; }}>i</button>
        <div class="actions">${row ? this.buttons(row) : nothing}</div>
      </div>`;
  }

  /** Where the bot may go on: where the flow's author says so, or else anywhere. */
  places() {
    const { entryPoints, states } = this.talk;
    return entryPoints.length ? entryPoints : states.map((state) => ({ state, title: t("atState", { state }) }));
  }

  /** Where the visitor is, where that is known. */
  presence() {
    const { presence } = this.talk;
    const where = presence?.whereabouts ?? "unknown";
    return html`
      <span class="presence" data-role="presence" data-whereabouts=${where} ?hidden=${where === "unknown"}>
        ${t(where)}${presence?.title ? html`: <bdi>${presence.title}</bdi>` : nothing}</span>`;
  }

  /** @param {Row} row */
  buttons(row) {
    const { mine } = this;
    const resolved = row.status === "resolved";
    const others = row.owner === "operator" && !mine;
    const takes = others && this.me.role !== "operator";
    // What ends the talk waits for what is said in it.
    const waits = this.acting || outbox.sending(row.id);
    const spam = row.spam ? "unspam" : "spam";
    return html`
      ${resolved ? html`<button class="primary" data-role="reopen" ?disabled=${this.acting} @click=${() => this.act("reopen")}>${t("reopen")}</button>` : nothing}
      <button class="primary" data-role="claim" ?hidden=${mine || resolved} ?disabled=${this.acting}
        @click=${() => (takes ? this.act("takeFrom", row.operator) : this.act("claim"))}>
        ${takes ? t("takeFrom", { name: row.operator_name || row.operator }) : t("claim")}</button>
      <span class="handback" data-role="handback-box" ?hidden=${!mine}>
        <select data-role="handback-state" aria-label=${t("handbackWhere")}
          @change=${(/** @type {Event} */ event) => { this.place = /** @type {HTMLSelectElement} */ (event.target).value; }}>
          <option value="" ?selected=${!this.place}>${t("whereItWas")}</option>
          ${this.places().map(({ state, title }) => html`
            <option value=${state} ?selected=${this.place === state}>${title}</option>`)}
        </select>
        <button data-role="handback" ?disabled=${waits} @click=${() => this.act("handback", this.place)}>${t("handback")}</button>
      </span>
      <button data-role="release" title=${t("releaseWhy")} ?hidden=${!mine} ?disabled=${waits} @click=${() => this.act("release")}>${t("release")}</button>
      <button data-role="transfer" ?hidden=${!mine} ?disabled=${waits} @click=${() => this.emit("ask", { question: "transfer", conversation: row.id })}>${t("transfer")}</button>
      ${asking(row, { mine, mails: this.talk.mails, off: waits, act: (name) => this.act(name) })}
      ${this.snoozing(row)}
      <button data-role=${spam} class="quiet-button" ?hidden=${resolved && !row.spam} ?disabled=${this.acting} @click=${() => this.act(spam)}>${t(row.spam ? "unmarkSpam" : "markSpam")}</button>
      <button data-role="resolve" ?hidden=${resolved || others} ?disabled=${waits} @click=${() => this.act("resolve", !mine)}>${t("resolve")}</button>`;
  }

  /** @param {Row} row */
  snoozing(row) {
    if (row.status === "resolved") return nothing;
    return isSnoozed(row, Date.now())
      ? html`<button data-role="unsnooze" ?disabled=${this.acting} @click=${() => this.act("unsnooze")}>${t("unsnooze")}</button>`
      : html`<button data-role="snooze" @click=${() => this.emit("ask", { question: "snooze", conversation: row.id })}>${t("snooze")}</button>`;
  }

  /** What the assistant suggests for this conversation. @param {Kind} kind */
  suggested(kind) {
    const { id, lines, suggestions } = this.talk;
    const suggested = suggestions.at(id, kind);
    if (!suggested) return nothing;
    const stale = lines.some((line) => line.from === "visitor" && line.position > suggested.position);
    return html`
      <suggested-text .kind=${kind} .suggested=${suggested} ?stale=${stale} ?usable=${this.mine}
        @use=${(/** @type {CustomEvent<string>} */ { detail }) => { suggestions.drop(id, kind); this.editor.append(detail); }}
        @anew=${() => suggestions.ask(id, kind)} @dismiss=${() => suggestions.drop(id, kind)}></suggested-text>`;
  }

  /** After a conversation that is done: who waits longest. @param {Row | null} row */
  offer(row) {
    const { next } = this;
    if (!row || row.status !== "resolved" || !next || next.id === row.id) return nothing;
    return html`
      <div class="offer">
        <button data-role="next" @click=${() => this.emit("choose", next.id)}>
          ${t("next", { visitor: next.visitor, time: since(next.waiting_since ?? next.updated) })}</button>
      </div>`;
  }
}

customElements.define("conversation-view", ConversationView);
