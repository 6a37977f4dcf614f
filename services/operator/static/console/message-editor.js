// Where an operator writes: to the visitor, or a note for colleagues.

import { api, newId, problem } from "./api.js";
import { BLANK, asked, filled, fitting } from "./canned.js";
import { drafts } from "./drafts.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { outbox } from "./outbox.js";
import { live } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./drafts.js").Kind} Kind */

const TYPING_TOLD = 3000;
const MAX_TEXT = 16 * 1024; // bytes of UTF-8, as the service has it, of notes too

export class MessageEditor extends ConsoleElement {
  static properties = {
    conversation: {},
    known: { type: Boolean },
    mine: { type: Boolean },
    colleagues: { attribute: false },
    answers: { attribute: false },
    values: { attribute: false },
    helped: { type: Boolean },
    active: { state: true },
    closed: { state: true },
    kind: { state: true },
    saving: { state: true },
  };

  constructor() {
    super();
    this.conversation = "";
    this.known = false; // how the conversation stands
    this.mine = false;
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {import("./types").Answers} */
    this.answers = { shared: [], own: [] };
    /** What a canned answer may name. @type {Record<string, unknown>} */
    this.values = {};
    this.helped = false; // an assistant can be asked
    this.active = 0; // of the canned answers that are offered
    this.closed = false; // they are not wanted for what stands there
    /** @type {Kind} */
    this.kind = "reply";
    this.saving = false; // a note is on its way
    /** Notes that may have been stored, by conversation: the same words have the same id. @type {Map<string, {id: string, text: string}>} */
    this.tried = new Map();
    this.told = 0;
  }

  /** @returns {HTMLTextAreaElement} */
  get field() {
    return this.find("say-text");
  }

  get enabled() {
    return this.known && (this.kind === "note" ? !this.saving : this.mine);
  }

  /** @param {Kind} kind */
  async write(kind) {
    this.kind = kind;
    await this.updateComplete;
    this.field.focus();
  }

  /** What is written there changed behind the field's back. */
  renew() {
    this.requestUpdate();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (this.choose(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    }
  }

  input() {
    drafts.keep(this.conversation, this.field.value, this.kind);
    this.active = 0;
    this.closed = false;
    this.requestUpdate();
    if (this.kind === "reply" && asked(this.field.value) === null) this.tellTyping();
  }

  /** @param {Map<string, unknown>} changed */
  willUpdate(changed) {
    if (!changed.has("conversation")) return;
    this.active = 0;
    this.closed = false;
  }

  /** The canned answers that are offered for what stands there. */
  offered() {
    const query = this.kind === "reply" && this.mine && !this.closed ? asked(drafts.at(this.conversation)) : null;
    return query === null ? [] : fitting([...this.answers.own, ...this.answers.shared], query);
  }

  /** A key among the offers; whether it was one. @param {KeyboardEvent} event */
  choose(event) {
    const offered = this.offered();
    if (!offered.length || event.isComposing) return false;
    const active = Math.min(this.active, offered.length - 1);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      this.active = (active + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length;
    } else if (event.key === "Enter" || event.key === "Tab") {
      this.insert(offered[active]);
    } else if (event.key === "Escape") {
      this.closed = true;
    } else {
      return false;
    }
    return true;
  }

  /** Put a canned answer into the field; what is not known in it is selected, to be filled in. @param {import("./types").CannedAnswer} answer */
  insert(answer) {
    const { field } = this;
    const text = filled(answer.text, this.values);
    field.value = text;
    drafts.keep(this.conversation, text);
    this.requestUpdate();
    field.focus();
    const blank = BLANK.exec(text);
    if (blank) field.setSelectionRange(blank.index, blank.index + blank[0].length);
  }

  /** Put a text behind what stands there. @param {string} text */
  append(text) {
    drafts.keep(this.conversation, [drafts.at(this.conversation).trimEnd(), text].filter(Boolean).join("\n"));
    this.requestUpdate();
    this.write("reply");
  }

  tellTyping() {
    const now = Date.now();
    if (!this.mine || now - this.told < TYPING_TOLD) return;
    this.told = now;
    api.typing(this.conversation).catch(() => {}); // it is a courtesy
  }

  send() {
    const text = this.field.value.trim();
    if (!text || !this.enabled) return;
    const over = new TextEncoder().encode(text).length - MAX_TEXT;
    if (over > 0) {
      this.emit("notice", t(this.kind === "note" ? "noteTooLong" : "tooLong", { count: over }));
    } else if (this.kind === "note") {
      this.note(text);
    } else {
      this.say(text);
    }
  }

  /** @param {string} text */
  say(text) {
    this.told = 0; // the message ends the typing: what is typed next is told at once
    this.emit("notice", "");
    this.field.value = "";
    drafts.keep(this.conversation, "");
    outbox.put(this.conversation, text);
    this.emit("said");
    this.field.focus();
  }

  /** @param {string} text */
  async note(text) {
    const { conversation } = this;
    const before = this.tried.get(conversation);
    const id = before?.text === text ? before.id : newId();
    this.tried.set(conversation, { id, text });
    this.saving = true;
    const desk = await api.note(conversation, "note", { text, mentions: this.mentioned(text) }, id).catch(problem);
    this.saving = false;
    if (desk instanceof Error) {
      this.emit("refused", { problem: desk, conversation });
      return;
    }
    this.tried.delete(conversation);
    if (drafts.at(conversation, "note").trim() === text) drafts.keep(conversation, "", "note");
    this.emit("noted", desk);
    this.emit("said");
    if (this.conversation !== conversation) return;
    await this.updateComplete;
    this.field.focus();
  }

  /** Whose names stand in the text after an @. @param {string} text */
  mentioned(text) {
    const names = new Set(Array.from(text.matchAll(/@([a-z0-9_.-]{1,32})/g), (found) => found[1].replace(/\.+$/, "")));
    return this.colleagues.map((colleague) => colleague.name).filter((name) => names.has(name));
  }

  /** @param {string} name */
  mention(name) {
    const { field } = this;
    const start = field.value.slice(0, field.selectionStart).replace(/@[a-z0-9_.-]*$/, "");
    const end = field.value.slice(field.selectionEnd);
    const gap = start && !/\s$/.test(start) ? " " : "";
    drafts.keep(this.conversation, `${start}${gap}@${name} ${end}`, "note");
    field.value = drafts.at(this.conversation, "note");
    field.focus();
    field.selectionStart = field.selectionEnd = field.value.length - end.length;
    this.requestUpdate();
  }

  /** The colleagues whose names begin as what is being written after an @. */
  suggested() {
    if (this.kind !== "note") return [];
    const text = drafts.at(this.conversation, "note");
    const begun = /(?:^|\s)@([a-z0-9_.-]*)$/.exec(text.slice(-40));
    if (!begun) return [];
    return this.colleagues.filter((colleague) => colleague.name.startsWith(begun[1]) && colleague.name !== begun[1]).slice(0, 6);
  }

  /** @param {import("./types").CannedAnswer[]} offered */
  offers(offered) {
    if (!offered.length) return nothing;
    return html`
      <div class="canned" role="listbox" id="canned" aria-label=${t("cannedAnswers")} data-role="canned">
        ${offered.map((answer, at) => html`
          <button type="button" role="option" tabindex="-1" id="canned-${at}" data-role="canned-answer"
            aria-selected=${at === Math.min(this.active, offered.length - 1) ? "true" : "false"}
            @mousedown=${(/** @type {Event} */ event) => event.preventDefault()} @click=${() => this.insert(answer)}>
            <strong>${answer.title}</strong> <span>${filled(answer.text, this.values)}</span>
          </button>`)}
      </div>`;
  }

  render() {
    const note = this.kind === "note";
    const suggested = this.suggested();
    const offered = this.offered();
    return html`
      <form class=${note ? "say noting" : "say"} data-role="say-form"
        @submit=${(/** @type {Event} */ event) => { event.preventDefault(); this.send(); }}>
        <div class="kinds" role="radiogroup" aria-label=${t("yourMessage")}>
          ${/** @type {Kind[]} */ (["reply", "note"]).map((kind) => html`
            <button type="button" role="radio" class="plain" data-role="kind-${kind}"
              aria-checked=${this.kind === kind ? "true" : "false"} @click=${() => this.write(kind)}>${t(kind)}</button>`)}
          <button type="button" class="plain" data-role="answers" title=${t("cannedKey")} @click=${() => this.emit("ask", { question: "answers" })}>${t("cannedAnswers")}</button>
          ${this.helped ? html`
            <button type="button" class="plain" data-role="suggest" ?disabled=${!this.mine} @click=${() => this.emit("suggest", "reply")}>${t("suggest")}</button>
            <button type="button" class="plain" data-role="summarize" ?disabled=${!this.known} @click=${() => this.emit("suggest", "summary")}>${t("summarize")}</button>` : nothing}
        </div>
        <span class="heard" role="status">${offered.length ? t("offersSaid", { count: offered.length }) : ""}</span>
        ${this.offers(offered)}
        ${suggested.length ? html`
          <div class="suggested">${suggested.map((colleague) => html`
            <button type="button" data-role="suggested" aria-label=${t("mention", { name: colleague.display })}
              @click=${() => this.mention(colleague.name)}>@${colleague.name}</button>`)}
          </div>` : nothing}
        <textarea data-role="say-text" rows="2" aria-label=${t(note ? "yourNote" : "yourMessage")}
          placeholder=${note ? t("writeNote") : this.mine ? t("write") : this.known ? t("takeOverToWrite") : ""}
          aria-autocomplete=${note ? nothing : "list"} aria-controls=${offered.length ? "canned" : nothing}
          aria-activedescendant=${offered.length ? `canned-${Math.min(this.active, offered.length - 1)}` : nothing}
          .value=${live(drafts.at(this.conversation, this.kind))} ?disabled=${!this.enabled}
          @keydown=${this.key} @input=${this.input}></textarea>
        <button class="primary" data-role="say-send" ?disabled=${!this.enabled}>${t(note ? "addNote" : "send")}</button>
      </form>`;
  }
}

customElements.define("message-editor", MessageEditor);
