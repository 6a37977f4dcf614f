// On the visitor's card: what was said before, to be read and not to be acted on.

import { ConsoleElement, html, nothing } from "./element.js";
import { drawLine } from "./lines.js";
import { dayOf, shortly, t } from "./words.js";

export class EarlierTalks extends ConsoleElement {
  static properties = { earlier: { attribute: false }, version: { type: Number } };

  constructor() {
    super();
    /** @type {import("./earlier.js").Earlier} */
    this.earlier = /** @type {any} */ (undefined);
    this.version = 0; // grows with each change of it
  }

  updated() {
    const dialog = /** @type {HTMLDialogElement | null} */ (this.querySelector("dialog"));
    if (dialog && this.earlier.shown && !dialog.open) dialog.showModal();
    if (dialog && !this.earlier.shown && dialog.open) dialog.close();
  }

  render() {
    const { talks, conversations, conversation } = this.earlier;
    if (!talks.length && !conversations.length) return nothing;
    return html`
      <h3>${t("earlier")}</h3>
      <ul class="earlier" data-role="earlier">
        ${talks.map((talk) => this.entry(conversation, talk.talk, talk.ended, talk.last_line))}
        ${conversations.map((row) => this.entry(row.id, null, row.updated, row.last_line))}
      </ul>
      ${this.reader()}`;
  }

  /** @param {string} conversation @param {number | null} talk @param {string} when @param {string} line */
  entry(conversation, talk, when, line) {
    return html`
      <li><button data-role="earlier-talk" @click=${() => this.earlier.open(conversation, talk, when)}>
        <span class="when">${shortly(when)}</span> <bdi>${line}</bdi></button></li>`;
  }

  /** The dialog in which it is read. */
  reader() {
    const { shown } = this.earlier;
    let day = "";
    return html`
      <dialog class="wide reader" data-role="earlier-dialog" aria-labelledby="earlier-title" @close=${() => this.earlier.close()}>
        <h2 id="earlier-title">${shown ? t(shown.talk === null ? "otherConversation" : "beforeAnew", { time: shortly(shown.when) }) : ""}</h2>
        ${shown?.why ? html`<p class="error" role="alert">${shown.why}</p>` : nothing}
        ${shown && !shown.lines && !shown.why ? html`<p class="quiet">${t("loading")}</p>` : nothing}
        <ol class="transcript" data-role="earlier-lines" tabindex="0" aria-label=${t("conversation")} ?hidden=${!shown?.lines}>
          ${shown?.lines?.map((line) => {
            const before = day;
            day = dayOf(line.time);
            return html`${before === day ? nothing : html`<li class="day">${day}</li>`}${drawLine(line)}`;
          })}
        </ol>
        <div class="buttons">
          <button class="primary" autofocus data-role="earlier-close" @click=${() => this.earlier.close()}>${t("close")}</button>
          ${shown?.talk === null ? html`
            <button data-role="earlier-open" @click=${() => this.choose(shown.conversation)}>${t("openIt")}</button>` : nothing}
        </div>
      </dialog>`;
  }

  /** @param {string} conversation */
  choose(conversation) {
    this.earlier.close();
    this.emit("choose", conversation);
  }
}

customElements.define("earlier-talks", EarlierTalks);
