// The lists on the left.

import "./conversation-search.js";
import { ConsoleElement, html, nothing } from "./element.js";
import { VIEWS, dueState, isUnread } from "./model.js";
import { repeat } from "./vendor/lit.js";
import { exactly, left, shortly, since, t } from "./words.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").View} View */

/** @type {Record<View, import("./words.js").Name>} */
const EMPTY = { queue: "noQueue", mine: "noMine", live: "noLive", snoozed: "noSnoozed", resolved: "noResolved" };
/** @type {Record<import("./types").DueTime["goal"], import("./words.js").Name>} */
const GOALS = { first_response: "firstAnswer", next_response: "nextAnswer", resolution: "resolution" };
const SHOWN = 1000;
const TICK = 5000;

export class ConversationLists extends ConsoleElement {
  static properties = {
    model: { attribute: false },
    current: {},
    version: { type: Number }, // grows with each change of the model
    wanted: { attribute: false },
    found: { attribute: false },
    why: {},
    colleagues: { attribute: false },
    views: { attribute: false },
    view: { state: true },
    queue: { state: true },
    label: { state: true },
  };

  constructor() {
    super();
    /** @type {import("./model.js").DeskModel} */
    this.model = /** @type {any} */ (undefined);
    this.current = "";
    this.version = 0;
    /** What is looked for. @type {import("./types").SearchFor | null} */
    this.wanted = null;
    /** @type {import("./types").Found | null} */
    this.found = null;
    this.why = ""; // it could not be looked for
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {import("./types").Views} */
    this.views = { shared: [], own: [] };
    /** @type {View} */
    this.view = "queue";
    this.queue = "";
    this.label = "";
    /** What is shown, in its order. @type {string[]} */
    this.shown = [];
    this.held = false; // somebody points at a row, or stands on it: none may move away under them
    this.ticking = 0;
  }

  connectedCallback() {
    super.connectedCallback();
    this.ticking = window.setInterval(() => this.requestUpdate(), TICK); // the waiting times go on
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.ticking);
  }

  /** @param {View} view */
  show(view) {
    if (this.wanted) this.emit("look", null);
    if (this.view === view) return;
    this.view = view;
    this.shown = [];
  }

  /** The rows of the list as it should be. */
  rows() {
    const fits = /** @param {Row} row */ (row) =>
      (!this.queue || row.queue === this.queue) && (!this.label || row.labels.includes(this.label));
    return this.model.list(this.view, Date.now(), fits).slice(0, SHOWN);
  }

  /** The rows that are drawn: while somebody points at one, what was there stays where it is. */
  drawn() {
    const rows = this.rows();
    if (!this.held) return rows;
    const known = new Set(this.shown);
    const stay = this.shown.map((id) => this.model.rows.get(id)).filter((row) => row !== undefined);
    return [...stay, ...rows.filter((row) => !known.has(row.id))];
  }

  /** @param {boolean} held */
  hold(held) {
    if (this.held === held) return;
    this.held = held;
    if (!held) this.requestUpdate();
  }

  /** The row after the open one, or before. @param {1 | -1} step */
  neighbour(step) {
    const at = this.shown.indexOf(this.current);
    return this.shown[at < 0 ? 0 : at + step];
  }

  render() {
    const queues = this.model.known((row) => [row.queue]);
    const labels = this.model.known((row) => row.labels);
    return html`
      <nav class="lists" aria-label=${t("conversations")}>
        <conversation-search .wanted=${this.wanted} .queues=${queues} .labels=${labels} .colleagues=${this.colleagues} .views=${this.views}></conversation-search>
        ${this.wanted ? this.results() : this.list(queues, labels)}
      </nav>`;
  }

  /** What was found, in place of the lists. */
  results() {
    const rows = this.found?.conversations ?? [];
    this.held = false; // the list that somebody pointed at is not there
    this.shown = rows.map((row) => row.id);
    const said = this.why || t(this.found ? "foundIn" : "searching", { count: `${rows.length}${this.found?.next ? "+" : ""}` });
    return html`
      <div class="results">
        <p role="status" data-role="found">${said}</p>
        <button data-role="search-close" @click=${this.stopSearch}>${t("backToLists")}</button>
      </div>
      <ul data-role="list">
        ${repeat(rows, (row) => row.id, (row) => this.item(this.model.rows.get(row.id) ?? row, true, row.matches))}
      </ul>
      <button class="more" data-role="more" ?hidden=${!this.found?.next} @click=${() => this.emit("more-found")}>${t("more")}</button>`;
  }

  stopSearch() {
    /** @type {import("./conversation-search.js").ConversationSearch} */ (
      /** @type {unknown} */ (this.querySelector("conversation-search"))).clear();
  }

  /** @param {string[]} queues @param {string[]} labels */
  list(queues, labels) {
    const rows = this.drawn();
    const here = new Set(this.held ? this.rows().map((row) => row.id) : rows.map((row) => row.id));
    this.shown = rows.map((row) => row.id);
    const counts = this.model.counts(Date.now());
    return html`
        <div class="tabs" role="tablist">
          ${VIEWS.map((view) => this.tab(view, counts))}
        </div>
        ${this.filters(queues, labels)}
        <ul data-role="list"
          @pointerenter=${(/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && this.hold(true)}
          @pointerdown=${() => this.hold(true)}
          @pointerleave=${() => this.hold(false)}
          @pointercancel=${() => this.hold(false)}
          @focusin=${(/** @type {FocusEvent} */ event) =>
            /** @type {HTMLElement} */ (event.target).matches(":focus-visible") && this.hold(true)}
          @focusout=${() => !this.find("list").matches(":hover") && this.hold(false)}>
          ${repeat(rows, (row) => row.id, (row) => this.item(row, here.has(row.id)))}
        </ul>
        <p class="empty" data-role="empty" ?hidden=${rows.length > 0}>
          ${this.queue || this.label ? t("noFiltered") : t(EMPTY[this.view])}
        </p>
        <button class="more" data-role="more" ?hidden=${(this.model.next[this.view] ?? null) === null}
          @click=${() => this.emit("more", this.view)}>${t("more")}</button>`;
  }

  /** @param {View} view @param {ReturnType<import("./model.js").DeskModel["counts"]>} counts */
  tab(view, counts) {
    const count = view === "queue" || view === "mine" || view === "snoozed" ? counts[view] : 0;
    return html`
      <button role="tab" data-role="tab" data-view=${view} aria-selected=${this.view === view ? "true" : "false"}
        @click=${() => this.show(view)}>
        ${t(view)} <b data-role="count" data-view=${view} class=${view === "snoozed" ? "soft" : ""}>${count || ""}</b>
      </button>`;
  }

  /** @param {string[]} queues @param {string[]} labels */
  filters(queues, labels) {
    if (queues.length < 2 && !labels.length && !this.queue && !this.label) return nothing;
    return html`
      <div class="filters">
        ${this.filter("queue", "filterQueue", "allQueues", queues)} ${this.filter("label", "filterLabel", "allLabels", labels)}
      </div>`;
  }

  /** @param {"queue" | "label"} kind @param {import("./words.js").Name} title @param {import("./words.js").Name} all @param {string[]} values */
  filter(kind, title, all, values) {
    if (this[kind] && !values.includes(this[kind])) values = [this[kind], ...values]; // what filters can be seen
    if (!values.length) return nothing;
    const choose = (/** @type {Event} */ event) => {
      this[kind] = /** @type {HTMLSelectElement} */ (event.target).value;
    };
    return html`
      <select data-role="filter-${kind}" aria-label=${t(title)} @change=${choose}>
        <option value="">${t(all)}</option>
        ${values.map((value) => html`<option ?selected=${this[kind] === value}>${value}</option>`)}
      </select>`;
  }

  /**
   * @param {Row} row
   * @param {boolean} here whether it belongs into this list still
   * @param {import("./types").Match[]} [matches] where in it something was found
   */
  item(row, here, matches = []) {
    const unread = isUnread(row, this.model.me);
    const snoozed = this.view === "snoozed" && row.snoozed_until;
    const when = snoozed ? t("until", { time: shortly(row.snoozed_until ?? "") })
      : row.waiting_since ? t("waits", { time: since(row.waiting_since) }) : since(row.updated);
    return html`
      <li class=${here ? "" : "gone"}>
        <button data-role="row" data-id=${row.id} data-owner=${row.owner} data-priority=${row.priority}
          aria-current=${row.id === this.current ? "true" : "false"} @click=${() => this.emit("choose", row.id)}>
          <span class="who" data-role="row-visitor">
            ${unread ? html`<i class="dot" data-role="unread" role="img" aria-label=${t("unread")}></i>` : nothing}
            <bdi>${row.visitor}</bdi>
          </span>
          <span class=${row.waiting_since && !snoozed ? "when waits" : "when"} data-role="row-when">${when}</span>
          ${matches.length
            ? matches.map((match) => html`<span class="match" data-role="match" dir="auto">${match.text}</span>`)
            : html`<span class="line" data-role="last-line" dir="auto">${row.last_line || "…"}</span>`}
          <span class="state" data-role="row-owner">${ownerOf(row, this.model.me)}</span>
          ${this.marks(row)}
        </button>
      </li>`;
  }

  /** @param {Row} row */
  marks(row) {
    const meant = row.assigned?.operator ?? row.assigned?.queue;
    const due = dueState(row, Date.now());
    const marks = [
      ...(row.due ? [[`due ${due}`, left(row.due.at), `${t(GOALS[row.due.goal])}: ${exactly(row.due.at)}`]] : []),
      ...(row.priority === "urgent" || row.priority === "high" ? [["priority", t(row.priority)]] : []),
      ...(row.spam ? [["spam", t("spam")]] : []),
      ...(meant ? [["meant", meant === this.model.me ? t("forYou") : t("meantFor", { name: meant })]] : []),
      ...row.labels.map((label) => ["label", label]),
    ];
    if (!marks.length) return nothing;
    return html`<span class="marks">${marks.map(([kind, text, title]) => html`<em class="mark ${kind}" title=${title ?? nothing}>${text}</em>`)}</span>`;
  }
}

/** Who has it, or how it ended. @param {Pick<Row, "status" | "ending" | "owner" | "operator" | "operator_name" | "queue" | "place">} row @param {string} me */
export function ownerOf(row, me) {
  if (row.status === "resolved") {
    return t(row.ending === "visitor" ? "byVisitor" : row.ending === "silence" ? "bySilence" : "byOperator");
  }
  if (row.owner === "queue") return t("inQueue", { queue: row.queue });
  if (row.owner === "operator") {
    return row.operator === me ? t("withYou") : t("withOther", { name: row.operator_name || row.operator });
  }
  return row.place ? t("withBotAt", { place: row.place }) : t("withBot");
}

customElements.define("conversation-lists", ConversationLists);
