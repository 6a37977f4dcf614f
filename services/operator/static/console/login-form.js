// The door: a name and a password.

import { api, problem } from "./api.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { t } from "./words.js";

export class LoginForm extends ConsoleElement {
  static properties = { why: {}, busy: { state: true }, coded: { state: true } };

  constructor() {
    super();
    /** Why the operator is here, or was refused. */
    this.why = "";
    this.busy = false;
    this.coded = false; // the password is right, and a code of the second factor is asked for
  }

  firstUpdated() {
    this.find("login-name").focus();
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    const name = /** @type {HTMLInputElement} */ (this.find("login-name"));
    const password = /** @type {HTMLInputElement} */ (this.find("login-password"));
    const code = /** @type {HTMLInputElement | null} */ (this.find("login-code"));
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
    return html`
      <main class="login" data-role="login">
        <form data-role="login-form" @submit=${this.submit}>
          <img src="/console/icon.svg" alt="" width="40" height="40">
          <h1>Switchboard</h1>
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
          <button class="primary" data-role="login-submit" ?disabled=${this.busy}>${t("login")}</button>
          <p class="error" data-role="login-error" role="alert">${this.why}</p>
        </form>
      </main>`;
  }
}

customElements.define("login-form", LoginForm);
