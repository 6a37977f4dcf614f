// A number over time, and the same of the period before, drawn by uPlot; a table behind it says the same.

import { uPlot } from "../vendor/uplot.js";
import { DashboardElement, html, nothing } from "./element.js";
import { beginOf, shown } from "./words.js";

const HEIGHT = 240;

export class TrendChart extends DashboardElement {
  static properties = { series: {}, unit: {}, name: {} };

  constructor() {
    super();
    /** @type {import("./types").NumberSeries | null} */
    this.series = null;
    /** @type {import("./types").Unit} */
    this.unit = "count";
    this.name = "";
    /** @type {uPlot | null} */
    this.chart = null;
    this.drawn = "";
    this.redraw = () => this.draw(true);
    this.sizes = new ResizeObserver(() => this.fit());
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.paper = matchMedia("print");
  }

  connectedCallback() {
    super.connectedCallback();
    this.dark.addEventListener("change", this.redraw);
    this.paper.addEventListener("change", this.redraw);
    this.sizes.observe(this);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.dark.removeEventListener("change", this.redraw);
    this.paper.removeEventListener("change", this.redraw);
    this.sizes.disconnect();
  }

  updated() {
    this.draw();
  }

  fit() {
    const place = this.place;
    if (this.chart && place && place.clientWidth !== this.chart.width) this.chart.setSize({ width: place.clientWidth, height: HEIGHT });
  }

  /** @returns {HTMLElement | null} */
  get place() {
    return this.querySelector(".plot");
  }

  /** @param {boolean} [anew] whatever was drawn */
  draw(anew = false) {
    const { series, place, unit } = this;
    const now = JSON.stringify([series?.points, series?.before, unit, series?.about.zone]);
    if (!series || !place || (now === this.drawn && !anew)) return;
    this.drawn = now;
    this.chart?.destroy();
    const { zone } = series.about;
    const color = (/** @type {string} */ name) => (this.paper.matches ? PAPER[name] : getComputedStyle(this).getPropertyValue(`--${name}`).trim());
    const times = series.points.map(({ begin }) => Date.parse(begin) / 1000);
    const values = series.points.map(({ value }) => value.value);
    const before = times.map((_, at) => series.before[at]?.value.value ?? null);
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line") }, font: "12px system-ui, sans-serif" };
    const few = times.length < 40;
    this.chart = new uPlot(
      {
        width: place.clientWidth || 600,
        height: HEIGHT,
        tzDate: (time) => uPlot.tzDate(new Date(time * 1000), zone),
        legend: { show: false },
        cursor: { drag: { x: false, y: false } },
        scales: { y: { range: (_, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
        axes: [
          { ...axis, values: (_, splits) => splits.map((time) => this.tick(time, series)), space: 70 },
          { ...axis, size: 64, values: (_, splits) => splits.map((value) => (unit === "count" && !Number.isInteger(value) ? "" : shown(value, unit))) },
        ],
        series: [
          {},
          { label: "before", stroke: color("soft"), width: 1.5, dash: [5, 4], points: { show: false } },
          { label: "now", stroke: color("accent"), width: 2, fill: color("wash"), points: { show: few, size: 5, fill: color("accent") } },
        ],
      },
      [times, before, values],
      place,
    );
  }

  /** @param {number} time @param {import("./types").NumberSeries} series */
  tick(time, { step, about }) {
    const at = new Date(time * 1000);
    /** @type {Intl.DateTimeFormatOptions} */
    const form = step === "hour" ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : step === "month" ? { month: "short", year: "2-digit" } : { day: "numeric", month: "short" };
    return at.toLocaleString("en-GB", { timeZone: about.zone, ...form });
  }

  render() {
    const { series, unit } = this;
    if (!series) return nothing;
    const { step, about } = series;
    return html`
      <div class="plot" aria-hidden="true"></div>
      <p class="key"><span class="now">this period</span> <span class="before">the period before</span></p>
      <details>
        <summary>The same as a table</summary>
        <div class="scroll" tabindex="0" role="region" aria-label="${this.name} as a table">
          <table data-role="trend-table">
            <caption class="heard">${this.name} by ${step}</caption>
            <thead><tr><th scope="col">${step[0].toUpperCase()}${step.slice(1)}</th><th scope="col">This period</th><th scope="col">Before</th></tr></thead>
            <tbody>${series.points.map(({ begin, value }, at) => html`
              <tr><th scope="row">${beginOf(begin, step, about.zone)}</th><td>${shown(value.value, unit)}</td><td>${shown(series.before[at]?.value.value, unit)}</td></tr>`)}
            </tbody>
          </table>
        </div>
      </details>`;
  }
}

/** What is drawn is drawn before the style sheet for paper holds. @type {Record<string, string>} */
const PAPER = { soft: "#444", line: "#ccc", accent: "#1c3fae", wash: "rgba(28, 63, 174, .08)" };

customElements.define("trend-chart", TrendChart);
