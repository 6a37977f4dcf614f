// One number: what it means, how it went, told apart, and the conversations behind it.

import "./number-table.js";
import "./trend-chart.js";
import { DashboardElement, html, nothing } from "./element.js";
import { GROUP_NAMES, basis, change, groupName, moment, shown } from "./words.js";

export class NumberView extends DashboardElement {
  static properties = { definition: {}, told: {}, choices: {}, series: {}, groups: {}, rows: {}, who: {}, older: {} };

  constructor() {
    super();
    /** @type {import("./types").NumberDefinition | null} */
    this.definition = null;
    /** @type {import("./types").ToldNumber | undefined} */
    this.told = undefined;
    /** @type {import("./types").Choices | null} */
    this.choices = null;
    /** @type {import("./types").NumberSeries | null} */
    this.series = null;
    /** @type {import("./types").NumberGroups | null} */
    this.groups = null;
    /** @type {import("./types").NumberRows | null} */
    this.rows = null;
    /** @type {import("./types").SeenBy | null} */
    this.who = null;
    /** What it meant before, and what it would be so. @type {{definition: import("./types").NumberDefinition, told: import("./types").ToldNumber | undefined}[]} */
    this.older = [];
  }

  render() {
    const { definition, told, choices } = this;
    if (!definition || !choices) return nothing;
    const { unit } = definition;
    const moved = change(told?.value, told?.before, unit, definition.better);
    return html`
      <header class="part">
        <h2 id="the-number" data-role="number-name" tabindex="-1">${definition.name}</h2>
        <p class="big" data-role="number-value">${shown(told?.value?.value, unit)}
          <small class="change ${moved.sense}">${moved.text}</small></p>
        <p class="quiet">${told?.value ? basis(told.value, unit) : told?.why}</p>
      </header>
      <p data-role="number-says">${definition.says}
        <small>It follows from ${definition.of.join(", ")}; definition ${definition.version}.</small></p>
      ${this.older.map((each) => html`
        <p data-role="older">By definition ${each.definition.version} (${each.definition.name}):
          ${shown(each.told?.value?.value, each.definition.unit)}, before ${shown(each.told?.before?.value, each.definition.unit)}.
          <small>${each.definition.says}</small></p>`)}
      ${told?.why ? nothing : html`
        <trend-chart .series=${this.series} .unit=${unit} .name=${definition.name}></trend-chart>
        <div class="columns">
          <div>${this.apart(definition, choices)}</div>
          <div>${this.behind(definition, choices)}</div>
        </div>`}`;
  }

  /** @param {import("./types").NumberDefinition} definition @param {import("./types").Choices} choices */
  apart(definition, choices) {
    const offered = definition.groups.filter((each) => each !== "operator" || this.who?.names !== "none");
    return html`
      <label class="inline">Told apart by
        <select data-role="by" @change=${(/** @type {Event} */ event) =>
          this.choose({ by: /** @type {HTMLSelectElement} */ (event.target).value, named: null })}>
          ${offered.map((each) => html`<option value=${each} ?selected=${each === this.groups?.by}>${GROUP_NAMES[each]}</option>`)}
        </select>
      </label>
      <number-table .columns=${[{ definition, found: this.groups ?? undefined }]} .by=${choices.by || this.groups?.by || ""}></number-table>`;
  }

  /** @param {import("./types").NumberDefinition} definition @param {import("./types").Choices} choices */
  behind({ unit }, choices) {
    const { rows } = this;
    if (!this.who?.rows) return html`<p class="quiet">The conversations behind a number are for who is logged in.</p>`;
    if (!rows) return nothing;
    const of = choices.named === null ? "" : ` of ${groupName(choices.named, choices.by)}`;
    return html`
      <h3 data-role="behind">What is behind it${of}
        ${of ? html`<button class="link" data-role="behind-all" @click=${() => this.choose({ named: null })}>show all</button>` : nothing}</h3>
      ${unit === "share" ? html`
        <label class="inline"><input type="checkbox" data-role="parts" .checked=${choices.parts}
          @change=${(/** @type {Event} */ event) => this.choose({ parts: /** @type {HTMLInputElement} */ (event.target).checked })}>
          only what the share counts</label>` : nothing}
      <p class="quiet">${rows.total === 0 ? "Nothing in this period." : `The newest ${rows.rows.length} of ${shown(rows.total, "count")}. They open at the console.`}</p>
      <div class="scroll low" tabindex="0" role="region" aria-label="Conversations behind the number">
        <table data-role="rows">
          <thead><tr><th scope="col">When</th><th scope="col">Conversation</th>${unit === "count" ? nothing : html`<th scope="col">${unit === "share" ? "Counts" : "Value"}</th>`}</tr></thead>
          <tbody>${rows.rows.map((row) => html`
            <tr><td>${moment(row.time, rows.about.zone)}</td>
              <td><a data-role="conversation" href=${row.link} target="_blank" rel="noopener">${row.conversation.slice(0, 8)}${row.matter > 1 ? `, matter ${row.matter}` : ""}</a></td>
              ${unit === "count" ? nothing : html`<td>${unit === "share" ? (row.part ? "yes" : "no") : shown(row.value, unit)}</td>`}</tr>`)}
          </tbody>
        </table>
      </div>`;
  }
}

customElements.define("number-view", NumberView);
