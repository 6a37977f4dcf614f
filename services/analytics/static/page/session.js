// Somebody who looks at the numbers: what was chosen, what is known, asked again while the page is seen.

import { NumbersProblem, ask } from "./api.js";
import { address, query, read } from "./choices.js";

/** @typedef {import("./types").Choices} Choices */
/** @typedef {import("./types").NumberDefinition} NumberDefinition */

const EVERY = 10_000;

/** What is told apart in the page's own tables. @type {[string, import("./types").Group][]} */
const GROUPS = [
  ...["waiting_time", "abandonment", "breaches"].map((id) => /** @type {[string, "queue"]} */ ([id, "queue"])),
  ...["claims", "said", "first_response", "next_response", "resolved", "resolution", "rating"].map((id) => /** @type {[string, "operator"]} */ ([id, "operator"])),
  ["rating", "score"],
  ["matters", "outcome"],
  ["refusals", "reason"],
  ["answer_failures", "reason"],
  ["tokens", "reason"],
  ["conversations", "door"],
];

export class NumbersSession {
  constructor() {
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    this.browserZone = timeZone || "UTC";
    this.choices = read(location.hash, this.browserZone);
    /** @type {import("./types").SeenBy | null} */
    this.who = null;
    /** Where to log in; "" while that is not needed. */
    this.door = "";
    this.why = ""; // nobody is let in, or the numbers are old
    /** @type {NumberDefinition[]} */
    this.definitions = [];
    /** What was answered, by what was asked. @type {Map<string, any>} */
    this.known = new Map();
    /** @type {import("./types").NumbersState | null} */
    this.state = null;
    this.changed = () => {};
    this.round = 0;
    this.timer = 0;
  }

  start() {
    window.addEventListener("hashchange", () => {
      if (location.hash === address(this.choices)) return;
      this.choices = read(location.hash, this.browserZone);
      this.refresh();
    });
    document.addEventListener("visibilitychange", () => !document.hidden && this.refresh());
    this.refresh();
  }

  /** @param {Partial<Choices>} choices */
  choose(choices) {
    if (choices.number && choices.number !== this.choices.number) choices = { by: "", named: null, parts: false, ...choices };
    const other = choices.number !== undefined && choices.number !== this.choices.number;
    const stale = other ? ["series", "groups", "rows"] : choices.by !== undefined || choices.named !== undefined ? ["groups", "rows"] : [];
    for (const name of stale) this.known.delete(name); // never one number's line below another's name
    this.choices = { ...this.choices, ...choices };
    history.replaceState(null, "", address(this.choices));
    this.refresh();
  }

  /** @param {string} id */
  definition(id) {
    return this.definitions.find((each) => each.id === id && each.current);
  }

  /** What a number meant before. @param {string} id */
  olderOf(id) {
    return this.definitions.filter((each) => each.id === id && !each.current);
  }

  /** @param {string} id @returns {import("./types").ToldNumber | undefined} */
  told(id) {
    return this.known.get("numbers")?.numbers.find((/** @type {import("./types").ToldNumber} */ each) => each.id === id);
  }

  /** @param {string} id @param {string} by @returns {{definition: NumberDefinition, found: import("./types").NumberGroups | undefined}[]} */
  column(id, by) {
    const definition = this.definition(id);
    return definition ? [{ definition, found: this.known.get(`${id} ${by}`) }] : [];
  }

  /** Ask for everything that the page shows, and again after a while. */
  async refresh() {
    window.clearTimeout(this.timer);
    const round = (this.round += 1);
    try {
      await this.readAll(round);
      if (round === this.round) this.why = "";
    } catch (problem) {
      if (!(problem instanceof NumbersProblem)) throw problem;
      if (round === this.round) this.refused(problem);
    }
    if (round !== this.round) return;
    this.changed();
    if (!document.hidden) this.timer = window.setTimeout(() => this.refresh(), EVERY);
  }

  /** @param {NumbersProblem} problem */
  refused(problem) {
    this.why = problem.position === null ? problem.message : `${problem.message}: ${problem.position} entries so far`;
    if (problem.status !== 401) return;
    this.door = problem.console;
    this.who = null;
    this.known.clear(); // whoever sees the page next may not read it
  }

  /** @param {number} round */
  async readAll(round) {
    this.who = await ask("me");
    this.door = "";
    if (!this.definitions.length) this.definitions = await ask("definitions");
    const asked = query(this.choices, Date.now());
    const { choices } = this;
    /** @param {string} name @param {string} path @param {Record<string, string>} [more] */
    const keep = async (name, path, more = {}) => {
      const found = await ask(path, { ...asked, ...more }).catch((problem) => {
        // A table that cannot be narrowed so, or is not for this viewer, is left out; all else is told.
        if (problem instanceof NumbersProblem && [400, 403, 404].includes(problem.status)) return undefined;
        throw problem;
      });
      if (round === this.round) this.known.set(name, found);
    };
    this.state = await ask("state");
    this.changed();
    await keep("numbers", "numbers");
    this.changed();
    const id = this.definition(choices.number) ? choices.number : "conversations";
    const by = choices.by || this.definition(id)?.groups.find((each) => each !== "operator" || this.who?.names !== "none") || "door";
    /** @type {Record<string, string>} */
    const named = choices.named === null || !choices.by ? {} : { where: choices.by, named: choices.named };
    await Promise.all([
      keep("series", `numbers/${id}/series`),
      keep("groups", `numbers/${id}/groups`, { by }),
      ...(this.who?.rows ? [keep("rows", `numbers/${id}/rows`, { most: "25", ...(choices.parts ? { parts: "true" } : {}), ...named })] : []),
      ...this.olderOf(id).map(({ version }) => keep(`${id} ${version}`, `numbers/${id}`, { definition: String(version) })),
      keep("week", "numbers/conversations/week"),
      ...GROUPS.filter(([, group]) => group !== "operator" || this.who?.names !== "none").map(([name, group]) => keep(`${name} ${group}`, `numbers/${name}/groups`, { by: group })),
      ...(this.who?.rows ? ["1", "2"].map((score) => keep(`low ${score}`, "numbers/rating/rows", { where: "score", named: score, most: "10" })) : []),
      this.readFlows(keep),
    ]);
  }

  /**
   * The flows, and how conversations went through the one that is looked at.
   *
   * @param {(name: string, path: string, more?: Record<string, string>) => Promise<void>} keep
   */
  async readFlows(keep) {
    const every = { version: "" }; // the chosen version is one filter, those that are drawn are chosen here
    await keep("flows", "flows", every);
    const { funnel, other } = this.flows;
    for (const [name, version] of [["funnel", funnel], ["other", other]]) {
      if (version) await keep(name, `flows/${version}/funnel`, every);
      else this.known.delete(name);
    }
  }

  /** The versions of flows that are looked at: the one used most, where none was chosen. */
  get flows() {
    /** @type {{version: string}[]} */
    const versions = this.known.get("flows")?.versions ?? [];
    return { funnel: this.choices.funnel || versions[0]?.version || "", other: this.choices.other };
  }

  /** What the filters offer. @returns {Record<string, string[]>} */
  get offered() {
    const names = (/** @type {string} */ key) =>
      (this.known.get(key)?.groups ?? []).map((/** @type {{name: string}} */ each) => each.name).filter((/** @type {string} */ name) => name && name !== "other");
    /** @type {{flow: string, version: string}[]} */
    const versions = this.known.get("flows")?.versions ?? [];
    return {
      door: names("conversations door"),
      flow: [...new Set(versions.map(({ flow }) => flow))],
      version: versions.map(({ version }) => version),
      queue: names("waiting_time queue"),
      operator: names("claims operator"),
    };
  }
}
