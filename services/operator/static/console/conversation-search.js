// Looking for conversations: words, and what else must hold.

import { ConsoleElement, html, nothing } from "./element.js";
import { repeat } from "./vendor/lit.js";
import { t } from "./words.js";

/** @typedef {import("./types").SearchFor} SearchFor */
/** @typedef {import("./words.js").Name} Name */

/** @type {[keyof SearchFor, Name, [string, Name][]][]} */
const CHOICES = [
  ["status", "status", [["open", "open"], ["resolved", "resolved"]]],
  ["who", "whoseWords", [["visitor", "visitor"], ["operator", "operator"], ["assistant", "assistant"], ["note", "note"], ["variable", "collected"], ["rating", "rating"]]],
];

export class ConversationSearch extends ConsoleElement {
  static properties = {
    wanted: { attribute: false },
    queues: { attribute: false },
    labels: { attribute: false },
    colleagues: { attribute: false },
    views: { attribute: false },
    open: { state: true },
  };

  constructor() {
    super();
    /** @type {SearchFor | null} */
    this.wanted = null;
    /** @type {string[]} */
    this.queues = [];
    /** @type {string[]} */
    this.labels = [];
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {import("./types").Views} */
    this.views = { shared: [], own: [] };
    this.open = false; // what else must hold is shown
  }

  /** @param {Event} [event] */
  submit(event) {
    event?.preventDefault();
    const form = /** @type {HTMLFormElement} */ (this.find("search-form"));
    /** @type {Record<string, string | number>} */
    const wanted = {};
    for (const [name, value] of new FormData(form)) {
      const text = String(value).trim();
      if (!text) continue;
      if (name === "since" || name === "until") wanted[name] = dayStart(text, name === "until" ? 1 : 0);
      else wanted[name] = name === "rating" ? Number(text) : text;
    }
    this.emit("look", Object.keys(wanted).length ? wanted : null);
  }

  clear() {
    /** @type {HTMLFormElement} */ (this.find("search-form")).reset();
    this.open = false;
    this.emit("look", null);
  }

  render() {
    return html`
      <form class="search" data-role="search-form" role="search" @submit=${this.submit}>
        <div class="inline">
          <input type="search" name="words" data-role="search" maxlength="200" aria-label=${t("find")} placeholder=${t("find")}
            .value=${this.wanted?.words ?? ""} @search=${(/** @type {Event} */ event) => /** @type {HTMLInputElement} */ (event.target).value || this.submit()}>
          <button type="button" data-role="search-more" aria-expanded=${this.open ? "true" : "false"} aria-label=${t("narrow")}
            @click=${() => { this.open = !this.open; }}>▾</button>
        </div>
        ${this.open ? this.filters() : nothing}
        ${this.saved()}
      </form>`;
  }

  /** The views, to be looked at with one click. */
  saved() {
    const views = [...this.views.shared, ...this.views.own];
    if (!views.length) return nothing;
    const now = canonical(this.wanted);
    return html`
      <div class="views" role="group" aria-label=${t("savedViews")}>
        ${repeat(views, (view) => view.id, (view) => html`
          <button type="button" data-role="view" aria-pressed=${canonical(view.wanted) === now ? "true" : "false"}
            @click=${() => this.emit("look", view.wanted)}>${view.name}</button>`)}
      </div>`;
  }

  filters() {
    const operators = this.colleagues.map((colleague) => [colleague.name, colleague.display]);
    return html`
      <div class="narrow">
        ${CHOICES.map(([name, title, values]) => this.choice(name, t(title), values.map(([value, text]) => [value, t(text)])))}
        ${this.choice("operator", t("operator"), operators)}
        ${this.choice("queue", t("filterQueue"), this.queues.map((queue) => [queue, queue]))}
        ${this.choice("label", t("filterLabel"), this.labels.map((label) => [label, label]))}
        ${this.choice("rating", t("rating"), ["1", "2", "3", "4", "5"].map((score) => [score, t("ratedAs", { score })]))}
        <label>${t("since")} <input type="date" name="since" data-role="search-since" value=${dayIn(this.wanted?.since, 0)}></label>
        <label>${t("untilDay")} <input type="date" name="until" data-role="search-until" value=${dayIn(this.wanted?.until, -1)}></label>
        <div class="buttons">
          <button class="primary" data-role="search-go">${t("findNow")}</button>
          <button type="button" data-role="search-clear" @click=${this.clear}>${t("clear")}</button>
          <button type="button" data-role="views" @click=${() => this.emit("ask", { question: "views" })}>${t("savedViews")} …</button>
        </div>
      </div>`;
  }

  /** @param {keyof SearchFor} name @param {string} title @param {string[][]} values */
  choice(name, title, values) {
    const chosen = String(this.wanted?.[name] ?? "");
    return html`
      <label>${title}
        <select name=${name} data-role="search-${name}">
          <option value="">${t("any")}</option>
          ${repeat(values, ([value]) => value, ([value, text]) => html`<option value=${value} ?selected=${chosen === value}>${text}</option>`)}
        </select>
      </label>`;
  }
}

/** The same for the same search, however it came about. @param {SearchFor | null} wanted */
function canonical(wanted) {
  return JSON.stringify(Object.entries(wanted ?? {}).map(([name, value]) => [name, String(value)]).sort());
}

/** The beginning of a day, or of one after it, in the operator's zone. @param {string} day @param {number} after */
function dayStart(day, after) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + after).toISOString();
}

/** The day in which a moment is, or one beside it. @param {string | undefined} moment @param {number} after */
function dayIn(moment, after) {
  if (!moment) return "";
  const day = new Date(moment);
  day.setDate(day.getDate() + after);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

customElements.define("conversation-search", ConversationSearch);
