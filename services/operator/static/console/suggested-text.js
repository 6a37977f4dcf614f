// Something that the assistant suggests: marked as such, and never sent by itself.

import { ConsoleElement, html, nothing } from "./element.js";
import { t } from "./words.js";

export class SuggestedText extends ConsoleElement {
  static properties = {
    kind: {},
    suggested: { attribute: false },
    stale: { type: Boolean },
    usable: { type: Boolean },
  };

  constructor() {
    super();
    /** @type {import("./suggestions.js").Kind} */
    this.kind = "reply";
    /** @type {import("./suggestions.js").Suggested | undefined} */
    this.suggested = undefined;
    this.stale = false; // the visitor has said something since
    this.usable = false; // the operator may write
  }

  render() {
    const { suggested, kind } = this;
    if (!suggested) return nothing;
    const { state, text } = suggested;
    const title = t(kind === "reply" ? "suggestedReply" : "summary");
    return html`
      <section class="suggestion" data-role="suggestion-${kind}" data-state=${state} aria-label=${title}>
        <p class="quiet" role="status"><strong>${title}</strong>
          ${t(state === "asked" ? "suggesting" : state === "failed" ? "notSuggested" : "byAssistant")}
          ${this.stale && state === "made" ? html`<span class="stale" data-role="stale">${t("suggestionStale")}</span>` : nothing}</p>
        ${text ? html`<p class="text" dir="auto">${text}</p>` : nothing}
        <div class="buttons">
          ${kind === "reply" && state === "made" ? html`
            <button class="primary" data-role="use-suggestion" ?disabled=${!this.usable} @click=${() => this.emit("use", text)}>${t("useSuggestion")}</button>` : nothing}
          ${state === "asked" ? nothing : html`
            <button data-role="again-${kind}" @click=${() => this.emit("anew", kind)}>${t("suggestAgain")}</button>`}
          <button data-role="drop-${kind}" @click=${() => this.emit("dismiss", kind)}>${t(state === "asked" ? "stopSuggesting" : "dropSuggestion")}</button>
        </div>
      </section>`;
  }
}

customElements.define("suggested-text", SuggestedText);
