// Travelling through a conversation: at which of its entries one stands, and how it stood there.

import { Problem, api, problem } from "./api.js";

/** @typedef {import("./types").HistoryPoint} HistoryPoint */

/** So many entries' positions are fetched at once. */
const PAGE = 100;
/** How often is asked again, and how soon (ms), where the service says that it takes longer. */
const TRIES = 60;
const PAUSE = 500;
/** Behind every position: the newest entry. */
export const NEWEST = Number.MAX_SAFE_INTEGER;

export class Travel {
  constructor() {
    this.id = "";
    /** How it stood at the entry that is shown. @type {HistoryPoint | null} */
    this.point = null;
    /** The entry that is wanted, by its number; the same as that of `point` unless it is on its way. */
    this.wanted = 0;
    this.why = "";
    this.busy = false;
    /** Positions by the number of the first in each list. @type {Map<number, number[]>} */
    this.positions = new Map();
    this.changed = () => {};
  }

  /** Begin with a conversation. @param {string} id @param {number} position the last entry up to there */
  async start(id, position) {
    this.leave();
    this.id = id;
    await this.reach(async () => position);
  }

  /** Nothing of it stays on the page. */
  leave() {
    this.id = "";
    this.point = null;
    this.wanted = 0;
    this.why = "";
    this.positions.clear();
    this.changed();
  }

  /** To the last entry up to a position. @param {number} position */
  async to(position) {
    if (!this.busy) await this.reach(async () => position);
  }

  /** To an entry by its number. Who is quicker than the answers skips what lies between. @param {number} number */
  async go(number) {
    const { point } = this;
    if (!point) return;
    this.wanted = Math.min(Math.max(number, 1), point.total);
    this.changed();
    if (this.busy) return;
    while (this.point && this.wanted !== this.point.number) {
      const { wanted } = this;
      if (!(await this.reach(() => this.positionOf(wanted)))) return;
    }
  }

  /** @param {() => Promise<number>} position @returns {Promise<boolean>} whether it is shown now */
  async reach(position) {
    const { id } = this;
    this.busy = true;
    this.changed();
    let point = await this.ask(id, position);
    for (let tries = 1; point instanceof Problem && point.status === 503 && tries < TRIES && this.id === id; tries += 1) {
      this.why = point.told; // a long conversation is read in several requests
      this.changed();
      await new Promise((resume) => setTimeout(resume, PAUSE));
      point = await this.ask(id, position);
    }
    if (this.id !== id) return false; // another is looked at by now
    this.busy = false;
    if (point instanceof Problem) {
      this.why = point.told;
      this.wanted = this.point?.number ?? 0;
    } else {
      this.why = "";
      if (!this.point || this.wanted === this.point.number) this.wanted = point.number;
      this.point = point;
    }
    this.changed();
    return this.why === "";
  }

  /** @param {string} id @param {() => Promise<number>} position @returns {Promise<HistoryPoint | Problem>} */
  ask(id, position) {
    return position().then((found) => api.historyAt(id, found)).catch(problem);
  }

  /** @param {number} number @returns {Promise<number>} */
  async positionOf(number) {
    const { id, point } = this;
    if (point?.previous && number === point.number - 1) return point.previous;
    if (point?.next && number === point.number + 1) return point.next;
    const first = number - ((number - 1) % PAGE);
    let page = this.positions.get(first) ?? [];
    if (page.length <= number - first) {
      page = (await api.history(id, first, PAGE)).entries.map((entry) => entry.position);
      if (this.id === id) this.positions.set(first, page);
    }
    return page[number - first];
  }
}
