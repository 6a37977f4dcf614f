// The questions that the console asks. Each is closed by Escape without doing anything.

import { ConsoleElement, html, nothing } from "./element.js";
import { settings } from "./settings.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./words.js").Name} Name */

/** A dialog that is opened by `show`. */
export class ConsoleDialog extends ConsoleElement {
  constructor() {
    super();
    this.conversation = "";
  }

  /** @returns {HTMLDialogElement} */
  get dialog() {
    return /** @type {HTMLDialogElement} */ (this.querySelector("dialog"));
  }

  /**
   * @param {string} [conversation] which one it is about, whatever is open when it is answered
   * @param {number} [_position] where in it
   */
  async show(conversation = "", _position) {
    this.conversation = conversation;
    this.requestUpdate();
    await this.updateComplete;
    if (!this.dialog.open) this.dialog.showModal();
  }

  close() {
    this.dialog.close();
  }
}

/** Whether somebody who has something left really logs out. */
export class LeaveDialog extends ConsoleDialog {
  constructor() {
    super();
    /** @type {string[]} */
    this.questions = [];
  }

  /** @param {string[]} questions */
  ask(questions) {
    this.questions = questions;
    this.show();
  }

  render() {
    return html`
      <dialog data-role="unsent-dialog" aria-labelledby="unsent-question">
        <p id="unsent-question" data-role="unsent-question">${this.questions.join(" ")}</p>
        <div class="buttons">
          <button class="primary" autofocus @click=${this.close}>${t("stay")}</button>
          <button data-role="leave-anyway" @click=${() => { this.close(); this.emit("leave"); }}>${t("logout")}</button>
        </div>
      </dialog>`;
  }
}

/** Who goes on with a conversation. */
export class TransferDialog extends ConsoleDialog {
  static properties = { me: {}, colleagues: { attribute: false }, queues: { attribute: false } };

  constructor() {
    super();
    this.me = "";
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {string[]} */
    this.queues = [];
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const [kind, name] = split(String(form.get("to")));
    const note = String(form.get("note")).trim();
    this.close();
    const display = this.colleagues.find((colleague) => colleague.name === name)?.display ?? name;
    this.emit("act", { act: "transfer", value: { to: { [kind]: name, note }, display }, conversation: this.conversation });
  }

  /** @param {string} [conversation] */
  async show(conversation) {
    await super.show(conversation);
    this.querySelector("form")?.reset();
  }

  render() {
    const others = this.colleagues.filter((colleague) => colleague.name !== this.me)
      .sort((a, b) => Number(b.here) - Number(a.here));
    return html`
      <dialog data-role="transfer-dialog" aria-labelledby="transfer-title">
        <form @submit=${this.submit}>
          <h2 id="transfer-title">${t("transferTo")}</h2>
          <select name="to" data-role="transfer-to" required autofocus aria-label=${t("toWhom")}>
            <option value="" disabled selected hidden>${t("toWhom")}</option>
            ${others.length ? html`
              <optgroup label=${t("colleagues")}>
                ${repeat(others, (colleague) => colleague.name, (colleague) => html`
                  <option value="operator:${colleague.name}">${colleague.display} (${t(colleague.here ? "isHere" : "isAway")})</option>`)}
              </optgroup>` : nothing}
            ${this.queues.length ? html`
              <optgroup label=${t("queues")}>
                ${repeat(this.queues, (queue) => queue, (queue) => html`<option value="queue:${queue}">${queue}</option>`)}
              </optgroup>` : nothing}
          </select>
          <textarea name="note" data-role="transfer-note" rows="3" maxlength="4000" aria-label=${t("noteForThem")}
            placeholder=${t("noteForThem")}></textarea>
          <div class="buttons">
            <button class="primary" data-role="transfer-go">${t("transfer")}</button>
            <button type="button" @click=${this.close}>${t("cancel")}</button>
          </div>
        </form>
      </dialog>`;
  }
}

/** Until when nobody needs to look at a conversation. */
export class SnoozeDialog extends ConsoleDialog {
  /** @param {Date} until */
  choose(until) {
    this.close();
    this.emit("act", { act: "snooze", value: until.toISOString(), conversation: this.conversation });
  }

  /** @param {SubmitEvent} event */
  submit(event) {
    event.preventDefault();
    this.choose(new Date(String(new FormData(/** @type {HTMLFormElement} */ (event.target)).get("at"))));
  }

  /** @returns {[Name, Date][]} */
  offers() {
    const now = new Date();
    /** @param {number} days @param {number} hour */
    const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);
    const monday = ((8 - now.getDay()) % 7) || 7;
    /** @type {[Name, Date][]} */
    const offers = [["inAnHour", new Date(now.getTime() + 3_600_000)]];
    if (now.getHours() < 17) offers.push(["thisEvening", at(0, 18)]);
    return [...offers, ["tomorrow", at(1, 9)], ["nextWeek", at(monday, 9)]];
  }

  render() {
    return html`
      <dialog data-role="snooze-dialog" aria-labelledby="snooze-title">
        <h2 id="snooze-title">${t("snoozeUntil")}</h2>
        <div class="offers">
          ${this.offers().map(([name, until]) => html`
            <button data-role="snooze-${name}" @click=${() => this.choose(until)}>${t(name)}</button>`)}
        </div>
        <form class="inline" @submit=${this.submit}>
          <label>${t("atTime")} <input type="datetime-local" name="at" data-role="snooze-at" required></label>
          <button data-role="snooze-go">${t("snooze")}</button>
        </form>
        <p class="quiet">${t("snoozeHint")}</p>
        <div class="buttons"><button @click=${this.close}>${t("cancel")}</button></div>
      </dialog>`;
  }
}

/** The keys, and what is chosen for this browser. */
export class HelpDialog extends ConsoleDialog {
  static properties = { keys: { attribute: false }, refused: { state: true } };

  constructor() {
    super();
    /** @type {[string, Name][]} */
    this.keys = [];
    this.refused = false;
  }

  /** @param {Event} event @param {import("./settings.js").Setting} name */
  async set(event, name) {
    const box = /** @type {HTMLInputElement} */ (event.target);
    if (name === "notices" && box.checked && (!("Notification" in window) || (await Notification.requestPermission()) !== "granted")) {
      box.checked = false;
      this.refused = true;
    }
    settings.set(name, box.checked);
  }

  /** @param {import("./settings.js").Setting} name @param {Name} text */
  setting(name, text) {
    return html`
      <label class="check"><input type="checkbox" data-role="set-${name}" .checked=${settings.get(name)}
        @change=${(/** @type {Event} */ event) => this.set(event, name)}> ${t(text)}</label>`;
  }

  render() {
    return html`
      <dialog class="wide" data-role="help-dialog" aria-labelledby="help-title">
        <h2 id="help-title">${t("keys")}</h2>
        <dl class="keys">${this.keys.map(([key, text]) => html`<dt><kbd>${key}</kbd></dt><dd>${t(text)}</dd>`)}</dl>
        <h2>${t("settings")}</h2>
        ${this.setting("sound", "soundOn")} ${this.setting("notices", "noticesOn")}
        ${this.refused ? html`<p class="quiet" role="alert">${t("noticesRefused")}</p>` : nothing}
        ${this.setting("keys", "keysOn")} ${this.setting("summaries", "summariesOn")}
        <div class="buttons"><button class="primary" autofocus @click=${this.close}>${t("close")}</button></div>
      </dialog>`;
  }
}

/** @param {string} chosen such as "operator:ada" @returns {["operator" | "queue", string]} */
export function split(chosen) {
  const at = chosen.indexOf(":");
  return [/** @type {"operator" | "queue"} */ (chosen.slice(0, at)), chosen.slice(at + 1)];
}

customElements.define("leave-dialog", LeaveDialog);
customElements.define("transfer-dialog", TransferDialog);
customElements.define("snooze-dialog", SnoozeDialog);
customElements.define("help-dialog", HelpDialog);
