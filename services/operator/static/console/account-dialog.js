// What operators look after of their own account: the password. Admins come to everybody's from here.

import { api, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { t } from "./words.js";

export class AccountDialog extends ConsoleDialog {
  static properties = { me: { attribute: false }, why: { state: true }, done: { state: true }, busy: { state: true } };

  constructor() {
    super();
    /** @type {import("./types").Me | null} */
    this.me = null;
    this.why = "";
    this.done = false;
    this.busy = false;
  }

  async show() {
    this.why = "";
    this.done = false;
    await super.show();
  }

  /** @param {"accounts" | "webhooks" | "sessions" | "second-factor"} question */
  ask(question) {
    this.close();
    this.emit("ask", { question });
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    if (this.busy) return;
    const form = /** @type {HTMLFormElement} */ (event.target);
    const given = new FormData(form);
    this.busy = true;
    const me = await api.changePassword(String(given.get("current")), String(given.get("password"))).catch(problem);
    this.busy = false;
    this.done = !(me instanceof Error);
    this.why = me instanceof Error ? me.message : "";
    if (this.done) form.reset();
  }

  render() {
    const { me } = this;
    return html`
      <dialog data-role="account-dialog" aria-labelledby="account-title">
        <h2 id="account-title">${t("yourAccount")}</h2>
        ${me?.password ? this.password(me) : html`<p data-role="you-sign-on">${t("youSignOn")}</p>`}
        <div class="buttons">
          ${me?.password ? html`<button data-role="second-factor" @click=${() => this.ask("second-factor")}>${t("secondFactor")} …</button>` : nothing}
          <button data-role="sessions" @click=${() => this.ask("sessions")}>${t("logins")}</button>
          ${me?.role === "admin" ? html`<button data-role="accounts" @click=${() => this.ask("accounts")}>${t("accounts")} …</button>
            <button data-role="webhooks" @click=${() => this.ask("webhooks")}>${t("webhooks")} …</button>` : nothing}
          <button @click=${this.close}>${t("close")}</button>
        </div>
      </dialog>`;
  }

  /** @param {import("./types").Me} me */
  password(me) {
    return html`
      <form @submit=${this.submit}>
        <input hidden name="username" autocomplete="username" .value=${me.name}>
        <label>${t("currentPassword")}
          <input type="password" name="current" data-role="current-password" autocomplete="current-password" maxlength="1024" required></label>
        <label>${t("newPassword")}
          <input type="password" name="password" data-role="new-password" autocomplete="new-password" minlength="8" maxlength="1024" required></label>
        <p class="quiet">${t("passwordHint")}</p>
        ${this.why ? html`<p class="notice" role="alert" data-role="password-refused">${this.why}</p>` : nothing}
        ${this.done ? html`<p role="status" data-role="password-changed">${t("passwordChanged")}</p>` : nothing}
        <button class="primary" data-role="change-password" ?disabled=${this.busy}>${t("changePassword")}</button>
      </form>`;
  }
}

customElements.define("account-dialog", AccountDialog);
