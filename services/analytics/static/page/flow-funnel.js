// How conversations went through a flow, on the flow's own graph: the more left at a question, the stronger its
// colour and the closer its hatching; the numbers stand in the boxes. A table says the same.

import { DashboardElement, html, nothing, svg } from "./element.js";
import { level, shown, spaced, times } from "./words.js";

/** @typedef {import("./types").FlowFunnel} FlowFunnel */
/** @typedef {import("./types").StateNumbers} StateNumbers */

const LINE = 15;
const MARGIN = 12;
/** How wide the hatching is, at both sides: words stand on plain colour. */
const BAND = 9;

/** The step of a drop-off, of five. @param {number | null | undefined} share */
export const dropLevel = (share) => Math.min(5, level(share ?? 0, 0.5));

export class FunnelView extends DashboardElement {
  static properties = { flows: {}, chosen: {}, funnel: {}, other: {} };

  constructor() {
    super();
    /** @type {import("./types").BegunVersions | null} */
    this.flows = null;
    this.chosen = { funnel: "", other: "" };
    /** @type {FlowFunnel | null} */
    this.funnel = null;
    /** @type {FlowFunnel | null} */
    this.other = null;
  }

  /** What is wider than its place begins at the flow's first state; later it stays where it was moved to. */
  updated() {
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll(".flow .scroll"))) {
      const { version = "", middle = "0" } = place.dataset;
      if (place.dataset.shown === version) continue;
      place.dataset.shown = version;
      place.scrollLeft = Number(middle) + MARGIN - place.clientWidth / 2;
    }
  }

  render() {
    const { flows, funnel, other, chosen } = this;
    const versions = flows?.versions ?? [];
    return html`
      <h2 id="the-flow">Through the flow</h2>
      <p class="quiet">Where visitors left the bot: at each question, how many of those asked never answered. Stronger colour and closer hatching mean more.</p>
      ${versions.length === 0 && !funnel ? html`<p class="quiet">No flow was begun in this period.</p>` : html`
        <form class="choices" @submit=${(/** @type {Event} */ event) => event.preventDefault()}>
          ${this.select("Flow", "funnel", chosen.funnel, versions, false)}
          ${versions.length > 1 || chosen.other ? this.select("Compared with", "other", chosen.other, versions.filter(({ version }) => version !== chosen.funnel), true) : nothing}
        </form>
        ${funnel ? html`
          <div class=${other ? "columns" : ""}>
            ${this.graph(funnel)}
            ${other ? this.graph(other) : nothing}
          </div>
          ${this.table(funnel, other)}` : nothing}`}`;
  }

  /** @param {string} title @param {"funnel" | "other"} name @param {string} chosen @param {{flow: string, version: string, started: number}[]} versions @param {boolean} none */
  select(title, name, chosen, versions, none) {
    return html`<label>${title}
      <select data-role=${name} @change=${(/** @type {Event} */ event) => this.choose({ [name]: /** @type {HTMLSelectElement} */ (event.target).value })}>
        ${none ? html`<option value="">no other</option>` : nothing}
        ${versions.map(({ flow, version, started }) => html`
          <option value=${version} ?selected=${version === chosen}>${flow} ${version.slice(0, 8)}, begun ${times(started)}</option>`)}
      </select></label>`;
  }

  /** @param {FlowFunnel} funnel */
  graph(funnel) {
    const states = new Map(funnel.states.map((each) => [each.state, each]));
    return html`
      <figure class="flow" data-role="graph">
        <figcaption>${funnel.flow} ${funnel.version.slice(0, 8)}, begun ${times(funnel.started)}</figcaption>
        ${funnel.why ? html`<p class="quiet">It cannot be drawn: ${funnel.why}.</p>` : nothing}
        ${funnel.parts.map((part) => html`
          ${part.scope ? html`<p class="quiet">${part.scope}</p>` : nothing}
          <div class="scroll" data-version=${funnel.version} data-middle=${(part.boxes[0]?.x ?? 0) + (part.boxes[0]?.width ?? 0) / 2}
            tabindex="0" role="region" aria-label="The graph of ${part.scope || funnel.flow} ${funnel.version.slice(0, 8)}">
            <svg aria-hidden="true" width=${part.width + 2 * MARGIN} height=${part.height + 2 * MARGIN}
              viewBox="${-MARGIN} ${-MARGIN} ${part.width + 2 * MARGIN} ${part.height + 2 * MARGIN}">
              <defs>
                <marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="tip" d="M0 0 10 5 0 10z"></path></marker>
                ${[1, 2, 3, 4, 5].map((step) => svg`<pattern id="hatch-${step}" width=${14 - 2 * step} height=${14 - 2 * step} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                  <line class="hatch" x1="0" y1="0" x2="0" y2=${14 - 2 * step}></line></pattern>`)}
              </defs>
              ${part.arrows.map((each) => this.arrow(each))}
              ${part.boxes.map((box) => this.box(box, states.get(box.state), funnel))}
              ${part.arrows.map((each) => this.label(each))}
            </svg>
          </div>`)}
      </figure>`;
  }

  /** @param {import("./types").DrawnPart["arrows"][number]} arrow */
  arrow({ path, dashed }) {
    return svg`<path class="arrow ${dashed ? "dashed" : ""}" d=${path} marker-end="url(#arrow)"></path>`;
  }

  /** @param {import("./types").DrawnPart["arrows"][number]} arrow */
  label({ x, y, width, height, lines }) {
    if (!lines.length) return nothing;
    return svg`<rect class="ground" x=${x - width / 2} y=${y - height / 2} width=${width} height=${height} rx="3"></rect>
      ${lines.map((line, at) => svg`<text class="label" x=${x} y=${y - height / 2 + 12 + at * 13}>${line}</text>`)}`;
  }

  /** @param {import("./types").DrawnPart["boxes"][number]} box @param {StateNumbers | undefined} numbers @param {FlowFunnel} funnel */
  box({ state, look, x, y, width, height, lines }, numbers, funnel) {
    const step = dropLevel(numbers?.drop_off);
    const said = [
      numbers ? `reached ${times(numbers.reached)}` : "never reached",
      numbers?.asked ? `${shown(numbers.drop_off, "share")} left here (${numbers.left} of ${numbers.asked})` : "",
    ];
    return svg`
      <g class="state ${numbers?.asked ? "asks" : ""} ${step ? "left" : ""}" data-state=${state} @click=${() => this.open(state, numbers, funnel)}>
        <rect class="box ${look} drop-${step} ${numbers ? "" : "unseen"}" x=${x} y=${y} width=${width} height=${height} rx="6"></rect>
        ${step ? svg`<rect class="over" x=${x + 2} y=${y + 2} width=${BAND} height=${height - 4} fill="url(#hatch-${step})"></rect>
          <rect class="over" x=${x + width - BAND - 2} y=${y + 2} width=${BAND} height=${height - 4} fill="url(#hatch-${step})"></rect>` : nothing}
        ${lines.map(([style, line], at) => svg`
          <text class=${line ? style : "count"} x=${x + width / 2} y=${y + 19 + at * LINE}>${line || said.shift()}</text>`)}
      </g>`;
  }

  /** @param {string} state @param {StateNumbers | undefined} numbers @param {FlowFunnel} funnel */
  open(state, numbers, funnel) {
    if (numbers?.asked) this.choose({ number: "drop_off", by: "state", named: state, parts: true, version: funnel.version });
  }

  /** @param {FlowFunnel} funnel @param {FlowFunnel | null} other */
  table(funnel, other) {
    const before = new Map(other?.states.map((each) => [each.state, each]));
    const lines = [...funnel.states, ...(other?.states ?? []).filter(({ state }) => !funnel.states.some((each) => each.state === state)).map((each) => ({ ...each, reached: 0, asked: 0, left: 0, drop_off: null }))];
    return html`
      <details ?open=${Boolean(other) || funnel.parts.length === 0}>
        <summary>The same as a table</summary>
        <div class="scroll" tabindex="0" role="region" aria-label="The states of the flow">
          <table data-role="states">
            <thead><tr><th scope="col">State</th><th scope="col">Reached</th><th scope="col">Asked</th><th scope="col">Left here</th>
              ${other ? html`<th scope="col">Left in ${other.version.slice(0, 8)}</th><th scope="col">Difference</th>` : nothing}</tr></thead>
            <tbody>${lines.map((each) => {
              const then = before.get(each.state);
              const moved = each.drop_off !== null && then && then.drop_off !== null ? (each.drop_off - then.drop_off) * 100 : null;
              return html`<tr><th scope="row">${each.asked
                ? html`<button class="link" data-role="state" @click=${() => this.open(each.state, each, funnel)}>${spaced(each.state)}</button>` : spaced(each.state)}</th>
                <td>${shown(each.reached, "count")}</td><td>${shown(each.asked, "count")}</td>
                <td class="drop-${dropLevel(each.drop_off)}">${shown(each.drop_off, "share")}${each.asked ? ` (${each.left})` : ""}</td>
                ${other ? html`<td>${shown(then?.drop_off, "share")}${then?.asked ? ` (${then.left})` : ""}</td>
                  <td class="change ${moved === null || moved === 0 ? "" : moved > 0 ? "worse" : "better"}">${moved === null ? "" : `${moved > 0 ? "▲" : moved < 0 ? "▼" : ""} ${Math.abs(moved).toFixed(1)} points`}</td>` : nothing}</tr>`;
            })}</tbody>
          </table>
        </div>
      </details>`;
  }
}

customElements.define("flow-funnel", FunnelView);
