// Of when and of whom the numbers are: the period, the time zone, what is filtered.

import { DashboardElement, html, nothing } from "./element.js";
import { FILTERS, PERIODS, days, isZone } from "./choices.js";
import { GROUP_NAMES, PERIOD_NAMES, groupName, span } from "./words.js";

export class ChoiceBar extends DashboardElement {
  static properties = { choices: {}, offered: {}, about: {}, bad: { state: true } };

  constructor() {
    super();
    /** @type {import("./types").Choices | null} */
    this.choices = null;
    /** What each filter offers. @type {Record<string, string[]>} */
    this.offered = {};
    /** @type {import("./types").AboutNumbers | null} */
    this.about = null;
    this.bad = "";
  }

  /** @param {Event} event */
  zone(event) {
    const zone = /** @type {HTMLInputElement} */ (event.target).value.trim();
    this.bad = isZone(zone) ? "" : `There is no time zone ${zone}: take one as Europe/Berlin, or UTC.`;
    if (!this.bad) this.choose({ zone });
  }

  /** @param {"since" | "until"} end @param {Event} event */
  date(end, event) {
    const { choices } = this;
    if (!choices) return;
    const chosen = { ...days(choices, Date.now()), [end]: /** @type {HTMLInputElement} */ (event.target).value };
    this.bad = !chosen.since || !chosen.until ? "A period of your own has a first and a last day."
      : chosen.until < chosen.since ? "The last day is before the first." : "";
    if (!this.bad) this.choose({ period: "own", ...chosen });
  }

  render() {
    const { choices, about } = this;
    if (!choices) return nothing;
    const dates = days(choices, Date.now());
    const value = (/** @type {Event} */ event) => /** @type {HTMLSelectElement} */ (event.target).value;
    return html`
      <form class="choices" aria-label="Period and filters" @submit=${(/** @type {Event} */ event) => event.preventDefault()}>
        <label>Period
          <select data-role="period" @change=${(/** @type {Event} */ event) => {
            const period = /** @type {import("./types").Choices["period"]} */ (value(event));
            this.choose(period === "own" ? { period, ...dates } : { period, since: "", until: "" });
          }}>
            ${PERIODS.map((each) => html`<option value=${each} ?selected=${each === choices.period}>${PERIOD_NAMES[each]}</option>`)}
          </select></label>
        ${choices.period === "own" ? html`
          <label>First day <input type="date" data-role="since" .value=${dates.since} @change=${(/** @type {Event} */ event) => this.date("since", event)}></label>
          <label>Last day <input type="date" data-role="until" .value=${dates.until} @change=${(/** @type {Event} */ event) => this.date("until", event)}></label>` : nothing}
        <label>Time zone
          <input data-role="zone" list="zones" autocomplete="off" spellcheck="false" .value=${choices.zone} @change=${this.zone}>
          <datalist id="zones">${["UTC", ...Intl.supportedValuesOf("timeZone")].map((each) => html`<option value=${each}></option>`)}</datalist></label>
        <label>Times
          <select data-role="hours" @change=${(/** @type {Event} */ event) => this.choose({ hours: value(event) === "working" ? "working" : "" })}>
            <option value="" ?selected=${!choices.hours}>around the clock</option>
            <option value="working" ?selected=${choices.hours === "working"}>in working time</option>
          </select></label>
        ${FILTERS.filter((name) => choices[name] || (this.offered[name]?.length ?? 0) > 0).map((name) => html`
          <label>${GROUP_NAMES[name]}
            <select data-role="filter-${name}" @change=${(/** @type {Event} */ event) => this.choose({ [name]: value(event) })}>
              <option value="">all</option>
              ${[...new Set([choices[name], ...(this.offered[name] ?? [])])].filter(Boolean).map((each) => html`
                <option value=${each} ?selected=${each === choices[name]}>${groupName(each, name)}</option>`)}
            </select></label>`)}
      </form>
      <p class="error" role="alert" data-role="choice-error">${this.bad}</p>
      ${about ? html`<p class="quiet" data-role="compared">${span(about.since, about.until, about.zone)}, compared with
        ${span(about.before_since, about.before_until, about.zone)}; ${about.zone}.</p>` : nothing}`;
  }
}

customElements.define("choice-bar", ChoiceBar);
