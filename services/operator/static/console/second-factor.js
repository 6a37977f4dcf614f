// One's own second factor: set up with an app, recovery codes, taken off. In a dialog, and for whoever must have one
// before anything else, a page.

import { api, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { shortly, t } from "./words.js";

export class SecondFactor extends ConsoleElement {
  static properties = {
    me: {}, state: { state: true }, begun: { state: true }, codes: { state: true }, why: { state: true }, busy: { state: true },
    copied: { state: true },
  };

  constructor() {
    super();
    this.me = "";
    /** @type {import("./types").SecondFactorState | null} */
    this.state = null;
    /** @type {import("./types").SecondFactorSecret | null} */
    this.begun = null;
    /** @type {string[]} */
    this.codes = [];
    this.why = "";
    this.busy = false;
    this.copied = false;
  }

  async read() {
    this.begun = null;
    this.codes = [];
    this.why = "";
    this.state = await this.carry(api.secondFactor());
  }

  /**
   * What the service answers, or null where it refuses.
   *
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T | null>}
   */
  async carry(work) {
    this.busy = true;
    const found = await work.catch(problem);
    this.busy = false;
    this.why = found instanceof Error ? found.message : "";
    if (found instanceof Error && found.status === 401) this.emit("refused-me");
    return found instanceof Error ? null : /** @type {T} */ (found);
  }

  /** @param {SubmitEvent} event @returns {[(name: string) => string, HTMLFormElement]} */
  given(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const data = new FormData(form);
    return [(name) => String(data.get(name) ?? ""), form];
  }

  /** @param {SubmitEvent} event */
  async begin(event) {
    const [given] = this.given(event);
    this.begun = await this.carry(api.beginSecondFactor(given("password")));
    await this.updateComplete;
    this.find("second-code")?.focus();
  }

  /** @param {SubmitEvent} event */
  async confirm(event) {
    const [given] = this.given(event);
    this.show(await this.carry(api.confirmSecondFactor(given("code"))));
  }

  /** @param {SubmitEvent} event */
  async change(event) {
    const [given, form] = this.given(event);
    const off = event.submitter?.dataset.role === "second-off";
    const password = given("password");
    const code = given("code");
    if (!off) {
      this.show(await this.carry(api.newRecoveryCodes(password, code)));
    } else if (await this.carry(api.takeOffSecondFactor(password, code))) {
      form.reset();
      this.emit("second-factor");
      await this.read();
    }
  }

  /** @param {{codes: string[]} | null} found */
  show(found) {
    if (!found) return;
    this.begun = null;
    this.copied = false;
    this.codes = found.codes;
  }

  async copy() {
    await navigator.clipboard.writeText(this.codes.join("\n")).then(() => { this.copied = true; }, () => {});
  }

  render() {
    const { why, state } = this;
    return html`
      ${why ? html`<p class="notice" role="alert" data-role="second-refused">${why}</p>` : nothing}
      ${this.codes.length ? this.recovery() : this.begun ? this.app(this.begun) : state ? (state.on ? this.on(state) : this.off(state)) : nothing}`;
  }

  /** @param {import("./types").SecondFactorState} state */
  off(state) {
    return html`
      <p>${state.demanded ? t("secondDemanded") : t("secondHint")}</p>
      <form @submit=${this.begin}>
        ${this.password()}
        <div class="buttons">
          <button class="primary" data-role="second-begin" ?disabled=${this.busy}>${t("setUp")}</button>
        </div>
      </form>`;
  }

  /** @param {import("./types").SecondFactorSecret} begun */
  app(begun) {
    return html`
      <p>${t("scanThis")}</p>
      <img class="qr" data-role="second-qr" src=${begun.qr} alt=${t("qrFor")}>
      <p class="quiet">${t("typeThis")}</p>
      <p><code data-role="second-secret">${begun.secret}</code></p>
      <form @submit=${this.confirm}>
        ${this.code(t("codeOfApp"))}
        <div class="buttons"><button class="primary" data-role="second-confirm" ?disabled=${this.busy}>${t("confirm")}</button></div>
      </form>`;
  }

  recovery() {
    return html`
      <p role="status">${t("secondIsOn")}</p>
      <p>${t("keepThese")}</p>
      <ul class="codes" data-role="recovery-codes">${this.codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>
      <div class="buttons">
        ${navigator.clipboard ? html`<button data-role="codes-copy" @click=${this.copy}>${this.copied ? t("copied") : t("copy")}</button>` : nothing}
        <button class="primary" data-role="codes-kept" @click=${() => this.emit("second-factor", "kept")}>${t("keptThem")}</button>
      </div>`;
  }

  /** @param {import("./types").SecondFactorState} state */
  on(state) {
    return html`
      <p role="status" data-role="second-on">${t("secondOnSince", { time: shortly(state.since ?? "") })}</p>
      <p class=${state.recovery_codes < 3 ? "notice" : "quiet"} data-role="codes-left">${t("codesLeft", { count: state.recovery_codes })}</p>
      <form @submit=${this.change}>
        ${this.password()} ${this.code(t("codeOrRecovery"))}
        <div class="buttons">
          <button data-role="second-codes" ?disabled=${this.busy}>${t("newCodes")}</button>
          <button data-role="second-off" ?disabled=${this.busy}>${t("takeOff")}</button>
        </div>
      </form>`;
  }

  password() {
    return html`
      <input hidden name="username" autocomplete="username" .value=${this.me}>
      <label>${t("password")}
        <input type="password" name="password" data-role="second-password" autocomplete="current-password" maxlength="1024" required></label>`;
  }

  /** @param {string} label */
  code(label) {
    return html`
      <label>${label}
        <input name="code" data-role="second-code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="64" required></label>`;
  }
}

export class SecondFactorDialog extends ConsoleDialog {
  static properties = { me: {} };

  constructor() {
    super();
    this.me = "";
  }

  /** @returns {SecondFactor} */
  get steps() {
    return /** @type {SecondFactor} */ (this.querySelector("second-factor"));
  }

  async show() {
    await super.show();
    await this.steps.read();
  }

  /** @param {CustomEvent<string>} event */
  done({ detail }) {
    if (detail === "kept") this.close();
  }

  render() {
    return html`
      <dialog data-role="second-factor-dialog" aria-labelledby="second-title" @second-factor=${this.done}>
        <h2 id="second-title">${t("secondFactor")}</h2>
        <second-factor .me=${this.me}></second-factor>
        <div class="buttons"><button data-role="second-close" @click=${this.close}>${t("close")}</button></div>
      </dialog>`;
  }
}

/** For whoever must have one: there is nothing else before. */
export class EnrolPage extends ConsoleElement {
  static properties = { me: {} };

  constructor() {
    super();
    this.me = "";
  }

  firstUpdated() {
    /** @type {SecondFactor} */ (this.querySelector("second-factor")).read();
  }

  render() {
    return html`
      <main class="login" data-role="enrol">
        <section>
          <h1>${t("secondFactor")}</h1>
          <second-factor .me=${this.me}></second-factor>
          <button data-role="enrol-logout" @click=${() => this.emit("leave")}>${t("logout")}</button>
        </section>
      </main>`;
  }
}

customElements.define("second-factor", SecondFactor);
customElements.define("second-factor-dialog", SecondFactorDialog);
customElements.define("enrol-page", EnrolPage);
