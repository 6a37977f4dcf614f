// Where admins look after everybody's account.

import { api, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./types").AccountDetail} AccountDetail */
/** @typedef {import("./words.js").Name} Name */
/** @typedef {{kind: "new"} | {kind: "password" | "remove", account: AccountDetail}} Question */

/** @type {[AccountDetail["role"], Name][]} */
const ROLES = [["operator", "asOperator"], ["supervisor", "asSupervisor"], ["admin", "asAdmin"]];

export class AccountsDialog extends ConsoleDialog {
  static properties = {
    me: {}, accounts: { state: true }, signOn: { state: true }, offersSignOn: { state: true }, question: { state: true }, why: { state: true }, busy: { state: true },
  };

  constructor() {
    super();
    this.me = ""; // the admin's own account
    this.signOn = false; // the new account has no password
    this.offersSignOn = false; // accounts without a password can log in
    /** @type {AccountDetail[]} */
    this.accounts = [];
    /** @type {Question | null} */
    this.question = null;
    this.why = "";
    this.busy = false;
  }

  async show() {
    this.question = null;
    this.why = "";
    await super.show();
    const options = api.loginOptions().catch(() => null);
    await this.carry(api.accounts());
    this.offersSignOn = Boolean((await options)?.sign_on);
  }

  /** @param {Promise<import("./types").AccountList>} work */
  async carry(work) {
    const asked = this.question;
    this.busy = true;
    const found = await work.catch(problem);
    this.busy = false;
    if (found instanceof Error) {
      this.why = found.message;
      if (found.status === 401) this.emit("refused-me"); // it was the admin's own account
      return;
    }
    this.why = "";
    if (this.question === asked) this.question = null; // else it is another one, asked meanwhile
    this.accounts = found.accounts;
  }

  /** A role that was refused is not shown as the account's. @param {HTMLSelectElement} select @param {string} name */
  async giveRole(select, name) {
    await this.carry(api.changeAccount(name, "role", { role: select.value }));
    select.value = this.accounts.find((account) => account.name === name)?.role ?? select.value;
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    event.preventDefault();
    const { question } = this;
    if (!question || this.busy) return;
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const given = (/** @type {string} */ name) => String(form.get(name) ?? "");
    const password = given("password");
    if (question.kind === "new") {
      const how = this.signOn ? { sign_on: true } : { sign_on: false, password };
      this.carry(api.makeAccount({ name: given("name").trim(), ...how, display: given("display").trim(), role: given("role") }));
    } else if (question.kind === "password") {
      this.carry(api.changeAccount(question.account.name, "password", { password }));
    } else {
      this.carry(api.changeAccount(question.account.name, "remove"));
    }
  }

  render() {
    return html`
      <dialog class="wide" data-role="accounts-dialog" aria-labelledby="accounts-title">
        <h2 id="accounts-title">${t("accounts")}</h2>
        ${this.why ? html`<p class="notice" role="alert" data-role="accounts-refused">${this.why}</p>` : nothing}
        ${this.question ? this.form(this.question) : this.list()}
      </dialog>`;
  }

  list() {
    return html`
      <p class="quiet">${t("accountsHint")}</p>
      <ul class="answers accounts">${repeat(this.accounts, (account) => account.name, (account) => this.row(account))}</ul>
      <div class="buttons">
        <button class="primary" data-role="account-new" @click=${() => { this.question = { kind: "new" }; this.signOn = false; }}>${t("newAccount")}</button>
        <button @click=${this.close}>${t("close")}</button>
      </div>`;
  }

  /** @param {AccountDetail} account */
  row(account) {
    const { name, display, role, disabled, second_factor: second } = account;
    return html`
      <li data-role="account" data-name=${name}>
        <div><strong><bdi>${display}</bdi></strong><span class="line">${[name, disabled && t("disabled"), second && t("withSecond"), account.sign_on && t("bySignOn")].filter(Boolean).join(" · ")}</span></div>
        <select data-role="account-role" aria-label=${t("roleOf", { name })} ?disabled=${this.busy} .value=${role}
          @change=${(/** @type {Event} */ event) => this.giveRole(/** @type {HTMLSelectElement} */ (event.target), name)}>
          ${this.roles(role)}
        </select>
        <button data-role="account-enable" ?disabled=${this.busy}
          @click=${() => this.carry(api.changeAccount(name, disabled ? "enable" : "disable"))}>${disabled ? t("enable") : t("disable")}</button>
        <button data-role="account-password" ?disabled=${this.busy || name === this.me}
          @click=${() => { this.question = { kind: "password", account }; }}>${t("setPassword")}</button>
        <button data-role="account-sessions" ?disabled=${this.busy} title=${t("loginsOf", { name })}
          @click=${() => this.emit("ask", { question: "sessions", conversation: name })}>${t("logins")}</button>
        ${second ? html`<button data-role="account-second-off" ?disabled=${this.busy}
          @click=${() => this.carry(api.changeAccount(name, "second-factor-off"))}>${t("takeSecondOff")}</button>` : nothing}
        <button data-role="account-remove" ?disabled=${this.busy} @click=${() => { this.question = { kind: "remove", account }; }}>${t("removeAccount")}</button>
      </li>`;
  }

  /** @param {string} chosen */
  roles(chosen) {
    return ROLES.map(([role, text]) => html`<option value=${role} ?selected=${role === chosen}>${t(text)}</option>`);
  }

  /** @param {Question} question */
  form(question) {
    return html`
      <form @submit=${this.submit}>
        ${question.kind === "new" ? html`
          <label>${t("accountName")}
            <input name="name" data-role="account-name" autocomplete="off" autocapitalize="none" pattern="[a-z0-9_\\-]+(\\.[a-z0-9_\\-]+)*" maxlength="32" required></label>
          <label>${t("displayName")} <input name="display" data-role="account-display" autocomplete="off" maxlength="64"></label>
          <label>${t("role")} <select name="role">${this.roles("operator")}</select></label>
          ${this.offersSignOn ? html`<label class="check"><input type="checkbox" data-role="account-sign-on" .checked=${this.signOn}
            @change=${() => { this.signOn = !this.signOn; }}> ${t("signOnAccount")}</label>` : nothing}` : nothing}
        ${this.signOn && question.kind === "new" ? nothing : question.kind === "remove" ? html`<p>${t("reallyRemove", { name: question.account.name })}</p>` : html`
          <label>${question.kind === "new" ? t("newPassword") : t("passwordOf", { name: question.account.name })}
            <input type="password" name="password" data-role="account-new-password" autocomplete="new-password" minlength="8" maxlength="1024" required></label>
          <p class="quiet">${t("tellThem")}</p>`}
        <div class="buttons">
          <button class="primary" data-role="account-save" ?disabled=${this.busy}>${question.kind === "remove" ? t("remove") : t("saveAnswer")}</button>
          <button type="button" @click=${() => { this.question = null; this.why = ""; }}>${t("cancel")}</button>
        </div>
      </form>`;
  }
}

customElements.define("accounts-dialog", AccountsDialog);
