// For supervisors: who is on, what waits in each queue, and what is late, with a way to give it to somebody.

import { api, problem } from "./api.js";
import { ownerOf } from "./conversation-lists.js";
import { ConsoleDialog } from "./dialogs.js";
import { html, nothing } from "./element.js";
import { AVAILABLE } from "./model.js";
import { repeat } from "./vendor/lit.js";
import { left, since, t } from "./words.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").Overview} Overview */

const AGAIN = 5000;

export class OverviewDialog extends ConsoleDialog {
  static properties = { overview: { state: true }, why: { state: true } };

  constructor() {
    super();
    /** @type {Overview | null} */
    this.overview = null;
    this.why = ""; // it could not be read
    this.timer = 0;
  }

  async show() {
    await super.show();
    this.read();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.stop();
  }

  stop() {
    clearTimeout(this.timer);
    this.overview = null;
  }

  /** Once, and then for as long as it is open. */
  async read() {
    clearTimeout(this.timer);
    const found = await api.overview().catch(problem);
    if (!this.isConnected || !this.dialog.open) return;
    if (found instanceof Error) this.emit("refusal", found);
    else this.overview = found;
    this.why = found instanceof Error ? found.message : "";
    this.timer = window.setTimeout(() => this.read(), AGAIN);
  }

  /** @param {Row} row @param {Event} event */
  give(row, event) {
    const operator = /** @type {HTMLSelectElement} */ (event.target).value;
    const display = this.overview?.operators.find((each) => each.name === operator)?.display ?? operator;
    this.emit("act", { act: "give", value: { operator, from: row.operator, display }, conversation: row.id });
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.read(), 500);
  }

  /** @param {string} id */
  choose(id) {
    this.close();
    this.emit("choose", id);
  }

  render() {
    const { overview } = this;
    return html`
      <dialog class="wide" data-role="overview-dialog" aria-labelledby="overview-title" @close=${this.stop}>
        <h2 id="overview-title">${t("overview")}</h2>
        <p class="quiet" role="status" ?hidden=${!!overview && !this.why}>${this.why || t("loading")}</p>
        ${overview ? html`${this.late(overview)} ${this.queues(overview)} ${this.operators(overview)}` : nothing}
        <div class="buttons"><button class="primary" autofocus @click=${this.close}>${t("close")}</button></div>
      </dialog>`;
  }

  /** @param {Overview} overview */
  late({ late, operators }) {
    const here = operators.filter((each) => each.here);
    return html`
      <h3>${t("lateNow")}</h3>
      ${late.length ? nothing : html`<p class="quiet" data-role="nothing-late">${t("nothingLate")}</p>`}
      <ul class="overview">${repeat(late, (row) => row.id, (row) => html`
        <li data-role="late" data-id=${row.id}>
          <button class="plain" data-role="late-open" @click=${() => this.choose(row.id)}><bdi>${row.visitor}</bdi></button>
          <em class="mark due over">${left(row.due?.at ?? "")}</em>
          <span class="quiet">${ownerOf(row, "")}</span>
          <select data-role="give" aria-label=${t("giveTo")} @change=${(/** @type {Event} */ event) => this.give(row, event)}>
            <option value="" selected>${t("giveTo")}</option>
            ${here.filter((each) => each.name !== row.operator).map((each) => html`<option value=${each.name}>${each.display}</option>`)}
          </select>
        </li>`)}
      </ul>`;
  }

  /** @param {Overview} overview */
  queues({ queues }) {
    return html`
      <h3>${t("queues")}</h3>
      <ul class="overview">${queues.map((queue) => html`
        <li data-role="overview-queue" data-name=${queue.name}>
          <b><bdi>${queue.name}</bdi></b>
          <span>${queue.since ? t("waitingSince", { count: queue.waiting, time: since(queue.since) }) : t("nothingWaits")}</span>
          ${queue.late ? html`<em class="mark due over">${t("lateCount", { count: queue.late })}</em>` : nothing}
          ${queue.open ? nothing : html`<em class="mark">${t("closedNow")}</em>`}
        </li>`)}
      </ul>`;
  }

  /** @param {Overview} overview */
  operators({ operators }) {
    const on = [...operators].sort((a, b) => Number(b.here) - Number(a.here));
    return html`
      <h3>${t("whoIsOn")}</h3>
      <ul class="overview">${on.map((each) => html`
        <li data-role="overview-operator" data-name=${each.name}>
          <b><bdi>${each.display}</bdi></b>
          <em class="mark ${each.availability}">${t(AVAILABLE[each.availability])}</em>
          <span>${each.capacity === null ? each.conversations : t("hasOf", { count: each.conversations, capacity: each.capacity })}</span>
        </li>`)}
      </ul>`;
  }
}

customElements.define("overview-dialog", OverviewDialog);
