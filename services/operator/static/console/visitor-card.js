// Beside the conversation: who the visitor is, what the flow knows of them, what colleagues have noted.

import "./earlier-talks.js";
import { browserName } from "./browsers.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { live } from "./vendor/lit.js";
import { exactly, t } from "./words.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").Priority} Priority */

/** @type {Priority[]} */
const PRIORITIES = ["low", "normal", "high", "urgent"];

export class VisitorCard extends ConsoleElement {
  static properties = {
    row: { attribute: false },
    presence: { attribute: false },
    earlier: { attribute: false },
    version: { type: Number },
    variables: { attribute: false },
    colleagues: { attribute: false },
    queues: { attribute: false },
    labels: { attribute: false },
    busy: { type: Boolean },
  };

  constructor() {
    super();
    /** @type {Row} */
    this.row = /** @type {any} */ (undefined);
    /** @type {import("./types").Presence | null} */
    this.presence = null;
    /** @type {import("./earlier.js").Earlier} */
    this.earlier = /** @type {any} */ (undefined);
    this.version = 0;
    /** @type {Record<string, unknown>} */
    this.variables = {};
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {string[]} */
    this.queues = [];
    /** Labels that other conversations have. @type {string[]} */
    this.labels = [];
    this.busy = false;
  }

  /** @param {string} act @param {unknown} [value] */
  act(act, value) {
    this.emit("act", { act, value, conversation: this.row?.id });
  }

  /** @param {SubmitEvent} event */
  addLabel(event) {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (this.find("label-text"));
    const label = field.value.trim();
    if (!label) return;
    field.value = "";
    this.act("label", label);
  }

  /** @param {Event} event */
  assign(event) {
    const value = /** @type {HTMLSelectElement} */ (event.target).value;
    this.act("assign", value);
  }

  render() {
    const { row, presence } = this;
    if (!row) return nothing;
    const facts = [
      [t("presence"), html`<span data-role="whereabouts">${t(presence?.whereabouts ?? "unknown")}</span>`],
      [t("onPage"), presence?.title || presence?.page ? html`<span data-role="page">${presence.title} <small dir="ltr">${presence.page}</small></span>` : ""],
      [t("cameFrom"), presence?.referrer ? html`<span data-role="referrer" dir="ltr">${presence.referrer}</span>` : ""],
      [t("browser"), presence?.browser ? html`<span data-role="browser" title=${presence.browser}>${browserName(presence.browser)}</span>` : ""],
      [t("language"), row.language && languageName(row.language.split(/[,;]/)[0].trim())],
      [t("door"), row.door],
      [t("began"), exactly(row.started)],
      [t("flow"), row.flow && (row.place ? `${row.flow}: ${row.place}` : row.flow)],
    ].filter(([, value]) => value);
    return html`
      <aside class="card" data-role="card" aria-label=${t("about")}>
        <button class="card-close" data-role="card-close" aria-label=${t("close")} @click=${() => this.emit("close-card")}>×</button>
        <h2><bdi>${row.visitor}</bdi></h2>
        <dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd><bdi>${value}</bdi></dd>`)}</dl>
        ${this.labelling()}
        <label class="field">${t("priority")}
          <select data-role="priority" ?disabled=${this.busy} .value=${live(row.priority)}
            @change=${(/** @type {Event} */ event) => this.act("priority", /** @type {HTMLSelectElement} */ (event.target).value)}>
            ${PRIORITIES.map((priority) => html`<option value=${priority} ?selected=${row.priority === priority}>${t(priority)}</option>`)}
          </select>
        </label>
        ${this.assignment()}
        <h3>${t("collected")}</h3>
        ${this.collected()}
        <earlier-talks .earlier=${this.earlier} .version=${this.version}></earlier-talks>
        <h3>${t("history")}</h3>
        <button data-role="history" @click=${() => this.emit("ask", { question: "history", conversation: row.id })}>${t("lookBack")}</button>
        <h3>${t("save")}</h3>
        <p class="inline">${/** @type {["text" | "html" | "json", string][]} */ ([["text", t("asText")], ["html", "HTML"], ["json", "JSON"]]).map(([format, name]) => html`
          <a data-role="export-${format}" href="/api/conversations/${row.id}/export?format=${format}&notes=true" download>${name}</a>`)}
        </p>
      </aside>`;
  }

  labelling() {
    const { row } = this;
    return html`
      <h3 id="labels">${t("labels")}</h3>
      <div class="labels" data-role="labels">
        ${row.labels.map((label) => html`
          <span class="mark label">${label}<button class="plain" data-role="unlabel" ?disabled=${this.busy}
            aria-label=${t("removeLabel", { label })} @click=${() => this.act("unlabel", label)}>×</button></span>`)}
      </div>
      <form class="inline" data-role="label-form" @submit=${this.addLabel}>
        <input data-role="label-text" list="known-labels" maxlength="40" aria-label=${t("addLabel")} placeholder=${t("addLabel")}>
        <datalist id="known-labels">${this.labels.map((label) => html`<option value=${label}></option>`)}</datalist>
        <button ?disabled=${this.busy}>${t("add")}</button>
      </form>`;
  }

  assignment() {
    const { row } = this;
    if (row.owner === "operator" || row.status === "resolved") return nothing;
    const chosen = row.assigned?.operator ? `operator:${row.assigned.operator}` : row.assigned?.queue ? `queue:${row.assigned.queue}` : "";
    const option = (/** @type {string} */ value, /** @type {string} */ text) =>
      html`<option value=${value} ?selected=${chosen === value}>${text}</option>`;
    return html`
      <label class="field">${t("assignedTo")}
        <select data-role="assign" ?disabled=${this.busy} .value=${live(chosen)} @change=${this.assign}>
          ${option("", t("nobody"))}
          <optgroup label=${t("colleagues")}>
            ${this.colleagues.map((colleague) => option(`operator:${colleague.name}`, colleague.display))}
          </optgroup>
          ${this.queues.length ? html`
            <optgroup label=${t("queues")}>${this.queues.map((queue) => option(`queue:${queue}`, queue))}</optgroup>` : nothing}
        </select>
      </label>
      ${row.assigned?.note ? html`<p class="quiet" dir="auto">${row.assigned.note}</p>` : nothing}`;
  }

  collected() {
    const known = Object.entries(this.variables);
    if (!known.length) return html`<p class="quiet">${t("nothingCollected")}</p>`;
    return html`<dl data-role="variables">${known.map(([name, value]) => html`
      <dt>${name}</dt><dd dir="auto">${typeof value === "string" ? value : JSON.stringify(value)}</dd>`)}</dl>`;
  }
}

/** A language by its name in the operator's own. @param {string} tag */
function languageName(tag) {
  try {
    return new Intl.DisplayNames(navigator.languages, { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag; // no tag of a language
  }
}

customElements.define("visitor-card", VisitorCard);
