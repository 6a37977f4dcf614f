// Searches that are kept under a name: saved here, and removed.

import { api, newId, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./types").SavedView} SavedView */

export class ViewsDialog extends ConsoleDialog {
  static properties = {
    views: { attribute: false }, wanted: { attribute: false }, sharing: { type: Boolean }, why: { state: true }, busy: { state: true },
  };

  constructor() {
    super();
    /** @type {import("./types").Views} */
    this.views = { shared: [], own: [] };
    /** What is looked for. @type {import("./types").SearchFor | null} */
    this.wanted = null;
    this.sharing = false; // the operator may share views with all
    this.id = newId(); // of the one that is being saved: trying again, it is there once
    this.why = "";
    this.busy = false;
  }

  async show() {
    this.why = "";
    this.id = newId();
    await super.show();
  }

  /** @param {Promise<import("./types").Views>} work @returns {Promise<boolean>} */
  async carry(work) {
    this.busy = true;
    const views = await work.catch(problem);
    this.busy = false;
    this.why = views instanceof Error ? views.message : "";
    if (views instanceof Error) return false;
    this.emit("views", views);
    return true;
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const given = new FormData(form);
    const name = String(given.get("name")).trim();
    if (!name || !this.wanted || this.busy) return;
    if (await this.carry(api.saveView({ id: this.id, name, wanted: this.wanted, shared: given.has("shared") }))) this.close();
    form.reset();
  }

  render() {
    const { shared, own } = this.views;
    return html`
      <dialog data-role="views-dialog" aria-labelledby="views-title">
        <h2 id="views-title">${t("savedViews")}</h2>
        ${this.why ? html`<p class="notice" role="alert" data-role="views-refused">${this.why}</p>` : nothing}
        ${this.wanted ? html`
          <form @submit=${this.submit}>
            <label>${t("viewName")} <input name="name" data-role="view-name" autocomplete="off" maxlength="60" required></label>
            ${this.sharing ? html`<label class="check"><input type="checkbox" name="shared" data-role="view-shared"> ${t("forAll")}</label>` : nothing}
            <p class="quiet">${t("viewHint")}</p>
            <button class="primary" data-role="view-save" ?disabled=${this.busy}>${t("saveView")}</button>
          </form>` : html`<p class="quiet">${t("viewsHint")}</p>`}
        ${this.list(t("ofAll"), shared, true)} ${this.list(t("yourOwn"), own, false)}
        <div class="buttons"><button data-role="views-close" @click=${this.close}>${t("close")}</button></div>
      </dialog>`;
  }

  /** @param {string} title @param {SavedView[]} views @param {boolean} shared */
  list(title, views, shared) {
    if (!views.length) return nothing;
    return html`
      <h3>${title}</h3>
      <ul class="answers">${repeat(views, (view) => view.id, (view) => html`
        <li data-role="saved-view">
          <div><strong>${view.name}</strong></div>
          ${shared && !this.sharing ? nothing : html`
            <button data-role="view-remove" ?disabled=${this.busy} aria-label=${t("removeView", { name: view.name })}
              @click=${() => this.carry(api.removeView(view.id, shared))}>${t("remove")}</button>`}
        </li>`)}
      </ul>`;
  }
}

customElements.define("views-dialog", ViewsDialog);
