// The door: a name and a password, a code where there is a second factor, or single sign-on.

import { api, problem } from "./api.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { t } from "./words.js";

const AGAIN = 2000;

export class LoginForm extends ConsoleElement {
  static properties = { why: {}, busy: { state: true }, coded: { state: true }, options: { state: true } };

  constructor() {
    super();
    /** Why the operator is here, or was refused. */
    this.why = "";
    this.busy = false;
    this.coded = false; // the password is right, and a code of the second factor is asked for
    /** @type {import("./types").LoginOptions | null} */
    this.options = null;
    const reference = new URLSearchParams(location.search).get("sso");
    /** What single sign-on has come to. */
    this.came = reference === "wait" ? t("signOnWait") : reference ? t("signOnFailed", { reference }) : "";
    if (reference) history.replaceState(null, "", location.pathname);
  }

  async firstUpdated() {
    const found = await api.loginOptions().catch(problem);
    if (found instanceof Error) window.setTimeout(() => this.isConnected && this.firstUpdated(), AGAIN);
    const first = !this.options;
    this.options = found instanceof Error ? { password: true, sign_on: null, logout: false } : found;
    await this.updateComplete;
    if (first) this.find(this.options.password ? "login-name" : "login-sso")?.focus();
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    const name = /** @type {HTMLInputElement} */ (this.find("login-name"));
    const password = /** @type {HTMLInputElement} */ (this.find("login-password"));
    const code = /** @type {HTMLInputElement | null} */ (this.find("login-code"));
    this.came = "";
    this.busy = true;
    const me = await api.login(name.value.trim(), password.value, code?.value.trim() ?? "").catch(problem);
    this.busy = false;
    if (me instanceof Error) {
      this.coded = Boolean(me.secondFactor);
      this.why = me.secondFactor === "needed" ? "" : me.message;
      await this.updateComplete;
      if (this.coded) /** @type {HTMLInputElement} */ (this.find("login-code")).select();
    } else {
      password.value = "";
      this.emit("entered", me);
    }
  }

  render() {
    const { options } = this;
    return html`
      <main class="login" data-role="login">
        <form data-role="login-form" @submit=${this.submit}>
          <img src="/console/icon.svg" alt="" width="40" height="40">
          <h1>Switchboard</h1>
          ${options?.sign_on ? html`<a class="button primary" data-role="login-sso" href="/login/sso">${options.sign_on}</a>` : nothing}
          ${options?.sign_on && options.password ? html`<p class="quiet">${t("orPassword")}</p>` : nothing}
          ${options?.password ? this.password() : nothing}
          <p class="error" data-role="login-error" role="alert">${this.why || this.came}</p>
        </form>
      </main>`;
  }

  password() {
    return html`
          <label>${t("name")}
            <input data-role="login-name" name="name" autocomplete="username" maxlength="64" required>
          </label>
          <label>${t("password")}
            <input data-role="login-password" name="password" type="password" autocomplete="current-password"
              maxlength="1024" required>
          </label>
          ${this.coded ? html`
            <label>${t("codeOrRecovery")}
              <input data-role="login-code" name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false"
                maxlength="64" required>
            </label>` : nothing}
          <button class="primary" data-role="login-submit" ?disabled=${this.busy}>${t("login")}</button>`;
  }
}

customElements.define("login-form", LoginForm);
