// A conversation as it stood at any of its entries, and why the bot did what it did there.

import { ConsoleDialog } from "./dialogs.js";
import { ownerOf } from "./conversation-lists.js";
import { html, nothing } from "./element.js";
import { linked } from "./links.js";
import { NEWEST, Travel } from "./travel.js";
import { live } from "./vendor/lit.js";
import { exactly, t } from "./words.js";

/** @typedef {import("./words.js").Name} Name */
/** @typedef {import("./types").HistoryPoint} HistoryPoint */
/** @typedef {import("./types").StateThen} StateThen */
/** @typedef {import("./types").RuleThen} RuleThen */

/** @type {Record<RuleThen["rule"], Name>} */
const RULES = {
  condition: "ruleCondition",
  otherwise: "ruleOtherwise",
  choice: "ruleChoice",
  words: "ruleWords",
  pattern: "rulePattern",
  text: "ruleText",
  value: "ruleValue",
  tries: "ruleTries",
  backend: "ruleBackend",
  assistant: "ruleAssistant",
  people: "rulePeople",
};
/** @type {Record<import("./types").Explanation["verdict"], Name>} */
const VERDICTS = { same: "verdictSame", other: "verdictOther", untold: "verdictUntold", own: "verdictOwn" };

export class HistoryDialog extends ConsoleDialog {
  static properties = { current: {}, me: {}, words: { state: true } };

  constructor() {
    super();
    this.current = ""; // the open conversation
    this.me = "";
    this.words = true; // whether what is saved has them
    this.travel = new Travel();
    this.travel.changed = () => this.requestUpdate();
  }

  /** @param {string} [conversation] @param {number} [position] */
  async show(conversation = "", position = NEWEST) {
    this.words = true;
    const started = this.travel.start(conversation, position);
    await super.show(conversation);
    await started;
    this.find("history-slider")?.focus();
  }

  /** What is shown is the open conversation's: of one that was left, or erased, nothing stays. */
  updated() {
    if (this.travel.id && this.travel.id !== this.current) this.close();
  }

  render() {
    const { point, wanted, why, busy, id } = this.travel;
    return html`
      <dialog class="history" data-role="history-dialog" aria-labelledby="history-title" @close=${() => this.travel.leave()}>
        ${id ? html`
          <h2 id="history-title">${t("history")}</h2>
          ${why ? html`<p class="error" role="alert" data-role="history-why">${why}</p>` : nothing}
          ${point ? this.slider(point, wanted) : html`<p class="quiet">${why ? "" : t("loading")}</p>`}
          <div class="then" tabindex="0" role="group" aria-label=${t("then")} aria-busy=${busy ? "true" : "false"}>${point ? this.then(point) : nothing}</div>
          <div class="buttons">
            ${point ? this.saving(point) : nothing}
            <button data-role="history-close" @click=${this.close}>${t("close")}</button>
          </div>` : html`<h2 id="history-title">${t("history")}</h2>`}
      </dialog>`;
  }

  /** @param {HistoryPoint} point @param {number} wanted */
  slider(point, wanted) {
    const step = (/** @type {number} */ by) => () => this.travel.go(this.travel.wanted + by);
    return html`
      <div class="stepping">
        <button data-role="history-back" aria-label=${t("stepBack")} ?disabled=${wanted <= 1} @click=${step(-1)}>‹</button>
        <input type="range" data-role="history-slider" min="1" max=${point.total} .value=${live(String(wanted))} aria-label=${t("entry")}
          aria-valuetext=${t("entryOf", { number: wanted, total: point.total })}
          @input=${(/** @type {Event} */ event) => this.travel.go(Number(/** @type {HTMLInputElement} */ (event.target).value))}>
        <button data-role="history-forth" aria-label=${t("stepForth")} ?disabled=${wanted >= point.total} @click=${step(1)}>›</button>
      </div>
      <p class="quiet" data-role="history-at" role="status">
        ${t("entryOf", { number: point.number, total: point.total })}, ${t("atPosition", { position: point.position })}, ${exactly(point.time)}</p>`;
  }

  /** @param {HistoryPoint} point */
  then(point) {
    return html`
      <ul class="happened" data-role="history-lines">
        ${point.lines.map((line) => html`<li data-from=${line.from}>
          <small>${line.from === "system" ? nothing : line.name || t(line.from === "operator" ? "colleagues" : line.from)}</small>
          <p dir="auto">${linked(line.text)}</p></li>`)}
        ${point.lines.length ? nothing : html`<li class="quiet">${t("nothingSaid", { facts: point.facts.join(", ") })}</li>`}
      </ul>
      ${this.explanation(point)}
      <h3>${t("stateThen")}</h3>
      <dl data-role="history-state">${this.state(point).map(([name, value, ...fields]) => {
        const changed = fields.some((field) => point.changed.includes(field));
        return html`<dt>${t(name)}</dt><dd class=${changed ? "changed" : ""}><bdi>${value}</bdi>${changed ? html` <small>${t("changedHere")}</small>` : nothing}</dd>`;
      })}</dl>
      <h3>${t("collected")}</h3>
      ${this.variables(point)}`;
  }

  /** What is to be shown of the state, with the fields it is made of. @param {HistoryPoint} point @returns {[Name, string, ...(keyof StateThen)[]][]} */
  state({ state, changed }) {
    const flow = state.flow && `${state.flow}, ${t("version", { version: state.version.slice(0, 8) })}`;
    const place = state.place && [...state.stack, state.place].join(" › ") + (state.ended ? ` (${t("flowEnded")})` : "");
    /** @type {[Name, string | number | null, ...(keyof StateThen)[]][]} */
    const all = [
      ["hasIt", state.status === "resolved" ? t("resolved") : ownerOf({ ...state, ending: null, place: null }, this.me), "owner", "operator", "status", "queue"],
      ["flow", flow, "flow", "version"],
      ["place", place, "place", "stack", "ended"],
      ["waitsSince", state.waiting_since && exactly(state.waiting_since), "waiting_since"],
      ["unanswered", state.unanswered.length && t("atPositions", { positions: state.unanswered.join(", ") }), "unanswered"],
      ["tries", state.tries, "tries"],
      ["startedOver", state.started_over, "started_over"],
      ["timers", state.timers.map((timer) => exactly(timer.at)).join(", "), "timers"],
    ];
    return all.filter(([name, value, ...fields]) => value || (name !== "unanswered" && fields.some((field) => changed.includes(field))))
      .map(([name, value, ...fields]) => [name, String(value || "—"), ...fields]);
  }

  /** @param {HistoryPoint} point */
  variables({ variables }) {
    if (!variables.length) return html`<p class="quiet">${t("nothingCollected")}</p>`;
    return html`<dl data-role="history-variables">${variables.map(({ name, value, change, before, cut }) => html`
      <dt>${name}</dt>
      <dd class=${change === "same" ? "" : "changed"} dir="auto">
        ${change === "gone" ? html`<del class="value">${written(before)}</del>` : html`<span class="value">${written(value)}${cut ? " …" : ""}</span>`}
        ${change === "changed" ? html`<small>${t("wasBefore", { value: written(before) })}</small>` : nothing}
        ${change === "new" || change === "gone" ? html`<small>${t(change === "new" ? "savedHere" : "forgottenHere")}</small>` : nothing}</dd>`)}</dl>`;
  }

  /** @param {HistoryPoint} point */
  explanation({ explanation: found }) {
    if (!found) return nothing;
    return html`
      <h3>${t("why")}</h3>
      <p data-role="history-verdict" data-verdict=${found.verdict}>${t(VERDICTS[found.verdict])} ${found.why ? `${found.why}.` : ""}</p>
      <p>${t("answersAt")} <button class="plain" data-role="history-cause" @click=${() => this.travel.to(found.answers)}>${t("atPosition", { position: found.answers })}</button></p>
      ${found.path.length ? html`<p class="path" data-role="history-path">
        ${[found.place, ...found.path].filter(Boolean).map((name, at) => html`${at ? " → " : ""}<bdi>${name}</bdi>`)}</p>` : nothing}
      <ol class="rules" data-role="history-rules">${found.rules.map((rule) => this.rule(rule))}</ol>
      ${found.more ? html`<p class="quiet">${t("moreRules", { count: found.more })}</p>` : nothing}`;
  }

  /** @param {RuleThen} rule */
  rule(rule) {
    const holds = rule.holds === null ? "unknown" : rule.holds ? "yes" : "no";
    /** @type {Record<typeof holds, Name>} */
    const told = { yes: "holds", no: "holdsNot", unknown: "cannotTell" };
    const values = Object.entries(rule.values);
    return html`
      <li data-holds=${holds}>
        <b>${t(told[holds])}</b> <bdi class="state">${rule.state}</bdi>: ${t(RULES[rule.rule])}
        ${rule.text ? html`<code dir="auto">${rule.text}</code>` : nothing}
        ${rule.to && holds === "yes" ? html`→ <bdi>${rule.to}</bdi>` : nothing}
        ${rule.why ? html`<small>${rule.why}</small>` : nothing}
        ${values.map(([name, value]) => html`<small dir="auto">${name} = <code>${value}</code></small>`)}
      </li>`;
  }

  /** @param {HistoryPoint} point */
  saving(point) {
    return html`
      <a class="button" data-role="history-bundle" download title=${t("bundleHint")}
        href="/api/conversations/${point.conversation}/history/${point.position}/bundle${this.words ? "" : "?words=false"}">${t("saveBundle")}</a>
      <label class="check"><input type="checkbox" data-role="history-words" .checked=${live(this.words)}
        @change=${(/** @type {Event} */ event) => { this.words = /** @type {HTMLInputElement} */ (event.target).checked; }}> ${t("withWords")}</label>`;
  }
}

/** @param {unknown} value */
const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));

customElements.define("history-dialog", HistoryDialog);
