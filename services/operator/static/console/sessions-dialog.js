// Where somebody is logged in. Operators end logins of their own here, admins those of everybody.

import { api, problem } from "./api.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { exactly, shortly, since, t } from "./words.js";

/** @typedef {import("./types").SessionDetail} SessionDetail */

const NOTED = 6 * 60_000; // the service notes a use every five minutes

/** @param {string} used RFC 3339 */
const usedOf = (used) => Date.now() - Date.parse(used) < NOTED ? t("usedNow") : t("usedAgo", { time: since(used) });

export class SessionsDialog extends ConsoleDialog {
  static properties = {
    me: {}, account: { state: true }, sessions: { state: true }, why: { state: true }, busy: { state: true },
  };

  constructor() {
    super();
    this.me = ""; // the operator's own account
    this.account = ""; // whose logins are shown
    /** @type {SessionDetail[] | null} */
    this.sessions = null;
    this.why = "";
    this.busy = false;
  }

  /** @param {string} [account] whose; without it the operator's own */
  async show(account) {
    this.account = account || this.me;
    this.sessions = null;
    this.why = "";
    await super.show();
    await this.carry(api.sessions(this.whose));
  }

  /** Whose they are for the API: "" are one's own. */
  get whose() {
    return this.account === this.me ? "" : this.account;
  }

  /** @param {Promise<import("./types").SessionList>} work */
  async carry(work) {
    this.busy = true;
    const found = await work.catch(problem);
    this.busy = false;
    if (found instanceof Error) {
      this.why = found.message;
      if (found.status === 401) this.emit("refused-me");
      return;
    }
    this.why = "";
    this.sessions = found.sessions;
  }

  render() {
    const { sessions } = this;
    const others = (sessions ?? []).filter((session) => !session.this).length;
    return html`
      <dialog class="wide" data-role="sessions-dialog" aria-labelledby="sessions-title">
        <h2 id="sessions-title">${this.whose ? t("loginsOf", { name: this.account }) : t("yourLogins")}</h2>
        ${this.why ? html`<p class="notice" role="alert" data-role="sessions-refused">${this.why}</p>` : nothing}
        <p class="quiet">${t("loginsHint")}</p>
        ${sessions?.length === 0 ? html`<p data-role="no-sessions">${t("noLogins")}</p>` : nothing}
        <ul class="answers">${repeat(sessions ?? [], (session) => session.id, (session) => this.row(session))}</ul>
        <div class="buttons">
          ${others ? html`<button data-role="sessions-end-all" ?disabled=${this.busy}
            @click=${() => this.carry(api.endSessions(this.whose))}>${this.account === this.me ? t("endOthers") : t("endAll")}</button>` : nothing}
          <button class="primary" autofocus @click=${this.close}>${t("close")}</button>
        </div>
      </dialog>`;
  }

  /** @param {SessionDetail} session */
  row({ id, browser, began, used, this: own }) {
    const name = browser || t("unknownBrowser");
    return html`
      <li data-role="session" data-this=${own}>
        <div>
          <strong><bdi>${name}</bdi></strong>${own ? html` <b class="mark online" data-role="session-this">${t("thisOne")}</b>` : nothing}
          <span class="line" title=${exactly(began)}>${t("loginTimes", { began: shortly(began), used: usedOf(used) })}</span>
        </div>
        ${own ? nothing : html`<button data-role="session-end" ?disabled=${this.busy} aria-label=${t("endLogin", { browser: name, began: shortly(began) })}
          @click=${() => this.carry(api.endSession(this.whose, id))}>${t("logout")}</button>`}
      </li>`;
  }
}

customElements.define("sessions-dialog", SessionsDialog);
