// Where an operator looks after canned answers: those of all, and their own.

import { api, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./types").CannedAnswer} CannedAnswer */
/** @typedef {{answer: CannedAnswer | null, shared: boolean}} Edited */

export class AnswersDialog extends ConsoleDialog {
  static properties = { answers: { attribute: false }, edited: { state: true }, why: { state: true } };

  constructor() {
    super();
    /** @type {import("./types").Answers} */
    this.answers = { shared: [], own: [] };
    /** @type {Edited | null} */
    this.edited = null;
    this.why = "";
  }

  async show() {
    this.edited = null;
    this.why = "";
    await super.show();
  }

  /** @param {Promise<import("./types").Answers>} work */
  async carry(work) {
    const answers = await work.catch(problem);
    if (answers instanceof Error) {
      this.why = answers.message;
      return;
    }
    this.why = "";
    this.edited = null;
    this.emit("answers", answers);
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const [title, text] = [String(form.get("title")).trim(), String(form.get("text")).trim()];
    if (!title || !text || !this.edited) return;
    const id = this.edited.answer?.id;
    this.carry(api.saveAnswer({ title, text, shared: this.edited.answer ? this.edited.shared : form.has("shared"), ...(id ? { id } : {}) }));
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
        <button class="primary" data-role="answer-new" @click=${() => { this.edited = { answer: null, shared: false }; }}>${t("newAnswer")}</button>
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
            <button data-role="answer-edit" @click=${() => { this.edited = { answer, shared }; }}>${t("edit")}</button>
            <button data-role="answer-remove" @click=${() => this.carry(api.removeAnswer(answer.id, shared))}>${t("removeNote")}</button>
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
          <button class="primary" data-role="answer-save">${t("saveAnswer")}</button>
          <button type="button" @click=${() => { this.edited = null; }}>${t("cancel")}</button>
        </div>
      </form>`;
  }
}

customElements.define("answers-dialog", AnswersDialog);
