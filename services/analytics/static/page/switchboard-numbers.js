// The dashboard's page: the door, or the numbers.

import "./choice-bar.js";
import "./flow-funnel.js";
import "./number-table.js";
import "./number-view.js";
import "./week-map.js";
import { DashboardElement, html, nothing } from "./element.js";
import { NumbersSession } from "./session.js";
import { TOPICS, change, moment, shown } from "./words.js";

/** Those that are seen first. */
const GLANCE = ["conversations", "turns", "containment", "handoff_rate", "waiting_time", "first_response", "rating", "drop_off"];
const SERVED = ["claims", "said", "first_response", "next_response", "resolved", "resolution", "rating"];

export class SwitchboardNumbers extends DashboardElement {
  static properties = { version: { state: true } };

  constructor() {
    super();
    this.version = 0;
    this.session = new NumbersSession();
    this.session.changed = () => {
      this.version += 1;
    };
  }

  connectedCallback() {
    super.connectedCallback();
    this.addEventListener("choose", (event) => {
      const choices = /** @type {CustomEvent<Partial<import("./types").Choices>>} */ (event).detail;
      this.session.choose(choices);
      if (choices.number) this.querySelector("number-view")?.scrollIntoView({ block: "start" });
    });
    this.session.start();
  }

  render() {
    const { session } = this;
    return html`
      <header class="page">
        <img src="/static/icon.svg" alt="" width="36" height="36">
        <h1>Switchboard <span>numbers</span></h1>
        <p id="status" role=${this.freshness.state === "live" ? nothing : "status"} data-role="status" data-state=${this.freshness.state}>${this.freshness.text}</p>
        ${session.who ? html`<p class="who" data-role="who"><a href=${session.who.console}>Console</a>
          ${session.who.name ? html`<bdi>${session.who.display}</bdi>` : "open to all"}</p>` : nothing}
      </header>
      ${session.door ? this.atTheDoor() : session.known.has("numbers") ? this.numbers() : html`<main><p class="quiet">${session.why || "Loading …"}</p></main>`}
      <footer>
        <a href="/docs">API</a> <a href="/api/summary">All since the beginning, as JSON</a>
      </footer>`;
  }

  get freshness() {
    const { state, why, choices, door } = this.session;
    if (door) return { state: "waiting", text: "Not logged in" };
    if (why) return { state: "lost", text: `These numbers may be old: ${why}` };
    if (!state) return { state: "waiting", text: "Loading …" };
    if (state.lag === null) return { state: "lost", text: "The log cannot be reached; these are the numbers up to then" };
    const until = state.counted_until ? `, to ${moment(state.counted_until, choices.zone)}` : "";
    return { state: "live", text: state.lag ? `${shown(state.lag, "count")} entries behind${until}` : `Up to date${until}` };
  }

  atTheDoor() {
    const { session } = this;
    return html`
      <main class="door" data-role="door">
        <h2>You are not logged in</h2>
        <p>The numbers are for those who have an account at the console: ${session.why}. You come back here when you have logged in.</p>
        <p><a class="button" data-role="log-in" href="${session.door}/?to=dashboard${location.hash}">Log in at the console</a></p>
        <p class="quiet">You have logged in, and are asked again? Then console and dashboard have different host names, and the browser keeps
          their logins apart: open both under the same name, or set SWITCHBOARD_SESSION_DOMAIN.</p>
      </main>`;
  }

  numbers() {
    const { session } = this;
    const { choices } = session;
    const id = session.definition(choices.number) ? choices.number : "conversations";
    const columns = (/** @type {string[]} */ ids, /** @type {string} */ by) => ids.flatMap((each) => session.column(each, by));
    return html`
      <main class=${session.why ? "old" : ""} data-role="numbers">
        <choice-bar .choices=${choices} .offered=${session.offered} .about=${session.known.get("numbers")?.about ?? null}></choice-bar>
        <section class="tiles" aria-label="At a glance">${GLANCE.map((each) => this.tile(each, id))}</section>
        <section class="card wide" aria-labelledby="the-number">
          <number-view .definition=${session.definition(id) ?? null} .told=${session.told(id)} .choices=${choices} .who=${session.who}
            .older=${session.olderOf(id).map((each) => ({ definition: each, told: session.known.get(`${id} ${each.version}`)?.number }))}
            .series=${session.known.get("series") ?? null} .groups=${session.known.get("groups") ?? null} .rows=${session.known.get("rows") ?? null}></number-view>
        </section>
        ${this.card("Load by hour and weekday", "Conversations that began, by the hour of the time zone above.",
          html`<week-map .week=${session.known.get("week") ?? null} .name=${"Conversations"}></week-map>`, "wide")}
        ${session.who?.names === "none" ? nothing : this.card(session.who?.names === "own" ? "You" : "Operators", "Credited to whoever spoke.",
          html`<number-table .columns=${columns(SERVED, "operator")} .by=${"operator"}></number-table>`, "wide")}
        <div class="stack">
          ${this.card("Waiting, by queue", "How long visitors waited for a person; those who still wait count so far.",
            html`<number-table .columns=${columns(["waiting_time", "abandonment", "breaches"], "queue")} .by=${"queue"}></number-table>`)}
          ${this.card("What became of it", "How the matters ended that began in this period.",
            html`<number-table .columns=${columns(["matters"], "outcome")} .by=${"outcome"}></number-table>`)}
          ${this.card("Refused inputs", "What visitors sent that the bot could not take.",
            html`<number-table .columns=${columns(["refusals"], "reason")} .by=${"reason"}></number-table>`)}
        </div>
        <div class="stack">
          ${this.ratings()}
          ${this.card("The assistant", "What it answered, used and cost, at the prices of then.", html`
            <p class="facts">${["answers", "answer_failures", "tokens", "cost"].map((each) => this.fact(each))}</p>
            <number-table .columns=${columns(["tokens"], "reason")} .by=${"reason"}></number-table>
            ${session.known.get("answer_failures reason")?.groups.length ? html`
              <number-table .columns=${columns(["answer_failures"], "reason")} .by=${"reason"}></number-table>` : nothing}`)}
        </div>
        <section class="card wide" aria-labelledby="the-flow">
          <flow-funnel .flows=${session.known.get("flows") ?? null} .chosen=${session.flows} .funnel=${session.known.get("funnel") ?? null}
            .other=${session.known.get("other") ?? null}></flow-funnel>
        </section>
        ${this.all(id)}
        ${this.honest()}
      </main>`;
  }

  /** @param {string} title @param {string} says @param {unknown} content @param {string} [wide] */
  card(title, says, content, wide = "") {
    return html`<section class="card ${wide}"><h2>${title}</h2><p class="quiet">${says}</p>${content}</section>`;
  }

  /** @param {string} each @param {string} chosen */
  tile(each, chosen) {
    const { session } = this;
    const [definition, told] = [session.definition(each), session.told(each)];
    if (!definition) return nothing;
    const moved = change(told?.value, told?.before, definition.unit, definition.better);
    return html`
      <button class="tile" data-role="tile" data-number=${each} aria-pressed=${each === chosen} title=${definition.says} @click=${() => this.choose({ number: each })}>
        <span class="name">${definition.name}${definition.unit === "seconds" ? ", median" : ""}</span>
        <span class="value">${shown(told?.value?.value, definition.unit)}</span>
        <span class="change ${moved.sense}">${moved.text || " "}</span>
      </button>`;
  }

  /** @param {string} each */
  fact(each) {
    const { session } = this;
    const [definition, told] = [session.definition(each), session.told(each)];
    if (!definition) return nothing;
    return html`<span>${definition.name} <button class="link" @click=${() => this.choose({ number: each })}>${shown(told?.value?.value, definition.unit)}</button></span>`;
  }

  ratings() {
    const { session } = this;
    /** @type {import("./types").NumberRow[]} */
    const low = ["1", "2"].flatMap((score) => session.known.get(`low ${score}`)?.rows ?? []);
    const scores = ["5", "4", "3", "2", "1"];
    return this.card("Ratings", "How many visitors gave each score. What they wrote is read at the console: the numbers hold no words.", html`
      <number-table .columns=${[...session.column("rating", "score").map(({ definition, found }) => ({
        definition: { ...definition, name: "Ratings", unit: /** @type {const} */ ("count") },
        found: found && { ...found, groups: found.groups.map((each) => ({ ...each, value: { ...each.value, value: each.value.rows } })) },
      }))]} .by=${"score"} .names=${session.known.get("rating score")?.groups.length ? scores : []}></number-table>
      ${low.length ? html`<h3>The low ones</h3><ul class="plain" data-role="low">${low.map((row) => html`
        <li>${row.value} of 5, ${moment(row.time, session.choices.zone)}: <a href=${row.link} target="_blank" rel="noopener">conversation ${row.conversation.slice(0, 8)}</a></li>`)}</ul>` : nothing}`);
  }

  /** @param {string} chosen */
  all(chosen) {
    const { session } = this;
    return html`
      <section class="card wide"><h2>All numbers</h2>
        <div class="scroll" tabindex="0" role="region" aria-label="All numbers">
        <table data-role="all">
          <thead><tr><th scope="col">Number</th><th scope="col">This period</th><th scope="col">Before</th><th scope="col">Change</th></tr></thead>
          ${Object.entries(TOPICS).map(([topic, title]) => html`
            <tbody><tr class="topic"><th colspan="4" scope="rowgroup">${title}</th></tr>
              ${session.definitions.filter((each) => each.current && each.topic === topic).map((each) => {
                const told = session.told(each.id);
                const moved = change(told?.value, told?.before, each.unit, each.better);
                return html`<tr class=${each.id === chosen ? "chosen" : ""}>
                  <th scope="row"><button class="link" data-role="number" data-number=${each.id} title=${each.says} @click=${() => this.choose({ number: each.id })}>${each.name}</button></th>
                  <td>${told?.why ? html`<span class="quiet" title=${told.why}>not told so</span>` : shown(told?.value?.value, each.unit)}</td>
                  <td>${shown(told?.before?.value, each.unit)}</td><td class="change ${moved.sense}">${moved.text}</td></tr>`;
              })}
            </tbody>`)}
        </table></div>
      </section>`;
  }

  /** How far the numbers go, and what they are not of. */
  honest() {
    const { state, choices } = this.session;
    if (!state) return nothing;
    return html`
      <section class="card wide"><h2>What these numbers are of</h2>
        <p>${shown(state.position, "count")} entries of the log are counted${state.counted_until ? `, the newest of ${moment(state.counted_until, choices.zone)}` : ""}.</p>
        <details><summary>By stream of the log, and what is missing</summary>
          <div class="scroll" tabindex="0" role="region" aria-label="Position by stream">
          <table data-role="streams"><thead><tr><th scope="col">Stream</th><th scope="col">Counted to</th><th scope="col">Its end</th><th scope="col">Newest</th></tr></thead>
            <tbody>${state.streams.map((each) => html`<tr><th scope="row">${each.stream}</th><td>${shown(each.counted, "count")}</td>
              <td>${each.end === null ? "not known now" : shown(each.end, "count")}</td><td>${each.counted_until ? moment(each.counted_until, choices.zone) : "–"}</td></tr>`)}</tbody>
          </table></div>
          <ul>${state.missing.map((each) => html`<li>${each}</li>`)}</ul>
        </details>
      </section>`;
  }
}

customElements.define("switchboard-numbers", SwitchboardNumbers);
