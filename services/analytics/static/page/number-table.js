// Several numbers told apart by one thing: a line for each queue, operator, score, with a bar for the first number.

import { DashboardElement, html, nothing } from "./element.js";
import { GROUP_NAMES, groupName, shown } from "./words.js";

/** @typedef {import("./types").NumberGroups} NumberGroups */
/** @typedef {import("./types").NumberDefinition} NumberDefinition */

export class NumberTable extends DashboardElement {
  static properties = { columns: {}, by: {}, names: {}, role: {} };

  constructor() {
    super();
    /** @type {{definition: NumberDefinition, found: NumberGroups | undefined}[]} */
    this.columns = [];
    this.by = "";
    /** All lines, in their order; by itself those of the first column. @type {string[] | null} */
    this.names = null;
  }

  render() {
    const { columns, by } = this;
    const [first] = columns;
    if (!first?.found) return nothing;
    const found = columns.map(({ found }) => new Map(found?.groups.map((each) => [each.name, each])));
    const names = this.names ?? [...new Set(columns.flatMap(({ found }) => found?.groups.map(({ name }) => name) ?? []))];
    if (!names.length) return html`<p class="quiet">Nothing in this period.</p>`;
    const most = Math.max(0, ...first.found.groups.map(({ value }) => value.value ?? 0));
    return html`
      <div class="scroll" tabindex="0" role="region" aria-label="${columns.map(({ definition }) => definition.name).join(", ")} by ${GROUP_NAMES[by]}">
        <table>
          <thead><tr><th scope="col">${GROUP_NAMES[by]}</th><td></td>
            ${columns.map(({ definition }) => html`<th scope="col" title=${definition.says}>${definition.name}${definition.unit === "seconds" ? html`<small>median</small>` : nothing}</th>`)}</tr></thead>
          <tbody>${names.map((name) => html`
            <tr><th scope="row" title=${name}><bdi>${groupName(name, by)}</bdi></th>
              <td class="bar"><svg width="100%" height="12" aria-hidden="true"><rect class="track" width="100%" height="12" rx="3"></rect>
                <rect class="fill" width="${most ? (100 * (found[0].get(name)?.value.value ?? 0)) / most : 0}%" height="12" rx="3"></rect></svg></td>
              ${columns.map(({ definition }, at) => this.cell(definition, name, found[at].get(name)))}</tr>`)}
          </tbody>
        </table>
      </div>`;
  }

  /** @param {NumberDefinition} definition @param {string} name @param {import("./types").NumberGroup | undefined} group */
  cell({ id, unit }, name, group) {
    const text = shown(group?.value.value, unit);
    if (!group || !group.value.rows || name === "other") return html`<td>${text}</td>`;
    return html`<td><button class="link" data-role="drill" @click=${() => this.choose({ number: id, by: this.by, named: name })}>${text}</button></td>`;
  }
}

customElements.define("number-table", NumberTable);
