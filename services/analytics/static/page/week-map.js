// The load by weekday and hour: a table whose cells are the darker the more there is in them.

import { DashboardElement, html, nothing } from "./element.js";
import { WEEKDAYS, level, shown } from "./words.js";

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

export class WeekMap extends DashboardElement {
  static properties = { week: {}, name: {} };

  constructor() {
    super();
    /** @type {import("./types").NumberWeek | null} */
    this.week = null;
    this.name = "";
  }

  render() {
    if (!this.week) return nothing;
    const counts = new Map(this.week.hours.map(({ day, hour, value }) => [day * 24 + hour, value.value ?? 0]));
    const most = Math.max(0, ...counts.values());
    return html`
      <div class="scroll" tabindex="0" role="region" aria-label="${this.name} by weekday and hour">
        <table class="week" data-role="week">
          <caption class="heard">${this.name} by weekday and hour, ${this.week.about.zone}</caption>
          <thead><tr><td></td>${HOURS.map((hour) => html`<th scope="col">${hour}</th>`)}</tr></thead>
          <tbody>${WEEKDAYS.map((name, at) => html`
            <tr><th scope="row">${name}</th>${HOURS.map((hour) => {
              const count = counts.get((at + 1) * 24 + hour) ?? 0;
              return html`<td class="level-${level(count, most)}" title="${name}, ${hour}:00 to ${hour + 1}:00: ${shown(count, "count")}">${count ? shown(count, "count") : ""}</td>`;
            })}</tr>`)}
          </tbody>
        </table>
      </div>`;
  }
}

customElements.define("week-map", WeekMap);
