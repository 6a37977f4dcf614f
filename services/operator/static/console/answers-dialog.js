// Where an operator looks after canned answers: those of all, and their own.

import { api, newId, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./types").CannedAnswer} CannedAnswer */
/** @typedef {{id: string, answer: CannedAnswer | null, shared: boolean}} Edited */

export class AnswersDialog extends ConsoleDialog {
  static properties = { answers: { attribute: false }, edited: { state: true }, why: { state: true }, busy: { state: true } };

  constructor() {
    super();
    /** @type {import("./types").Answers} */
    this.answers = { shared: [], own: [] };
    /** @type {Edited | null} */
    this.edited = null;
    this.why = "";
    this.busy = false;
  }

  /** Whatever was being written when it was closed is still there. */
  async show() {
    this.why = "";
    await super.show();
  }

  /** @param {Promise<import("./types").Answers>} work */
  async carry(work) {
    const { edited } = this;
    this.busy = true;
    const answers = await work.catch(problem);
    this.busy = false;
    if (answers instanceof Error) {
      this.why = answers.message;
      return;
    }
    this.why = "";
    if (this.edited === edited) this.edited = null;
    this.emit("answers", answers);
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const [title, text] = [String(form.get("title")).trim(), String(form.get("text")).trim()];
    if (!title || !text || !this.edited || this.busy) return;
    const { id, answer, shared } = this.edited; // trying again keeps the id: it is there once
    this.carry(api.saveAnswer({ id, title, text, shared: answer ? shared : form.has("shared") }));
  }

  render() {
    return html`
      <dialog class="wide" data-role="answers-dialog" aria-labelledby="answers-title">
        <h2 id="answers-title">${t("cannedAnswers")}</h2>
        <p class="quiet">${t("cannedHint")}</p>
        ${this.why ? html`<p class="notice" role="alert">${this.why}</p>` : nothing}
        ${this.edited ? this.form(this.edited) : this.lists()}
      </dialog>`;
  }

  lists() {
    return html`
      ${this.list(t("ofAll"), this.answers.shared, true)} ${this.list(t("yourOwn"), this.answers.own, false)}
      <div class="buttons">
        <button class="primary" data-role="answer-new" @click=${() => { this.edited = { id: newId(), answer: null, shared: false }; }}>${t("newAnswer")}</button>
        <button @click=${this.close}>${t("close")}</button>
      </div>`;
  }

  /** @param {string} title @param {CannedAnswer[]} answers @param {boolean} shared */
  list(title, answers, shared) {
    if (!answers.length) return nothing;
    return html`
      <h3>${title}</h3>
      <ul class="answers">
        ${repeat(answers, (answer) => answer.id, (answer) => html`
          <li data-role="answer">
            <div><strong>${answer.title}</strong><span class="line">${answer.text}</span></div>
            <button data-role="answer-edit" @click=${() => { this.edited = { id: answer.id, answer, shared }; }}>${t("edit")}</button>
            <button data-role="answer-remove" ?disabled=${this.busy} @click=${() => this.carry(api.removeAnswer(answer.id, shared))}>${t("removeNote")}</button>
          </li>`)}
      </ul>`;
  }

  /** @param {Edited} edited */
  form({ answer }) {
    return html`
      <form @submit=${this.submit}>
        <label>${t("answerTitle")} <input name="title" data-role="answer-title" maxlength="80" required .value=${answer?.title ?? ""}></label>
        <label>${t("answerText")} <textarea name="text" data-role="answer-text" rows="6" maxlength="8000" required .value=${answer?.text ?? ""}></textarea></label>
        ${answer ? nothing : html`<label class="check"><input type="checkbox" name="shared" data-role="answer-shared"> ${t("forAll")}</label>`}
        <div class="buttons">
          <button class="primary" data-role="answer-save" ?disabled=${this.busy}>${t("saveAnswer")}</button>
          <button type="button" @click=${() => { this.edited = null; }}>${t("cancel")}</button>
        </div>
      </form>`;
  }
}

customElements.define("answers-dialog", AnswersDialog);
