// Who else is at the desk, and the answers that operators have written down.

import { api, problem } from "./api.js";
import { t } from "./words.js";

/** For so long it is known who is there (ms). */
const KNOWN = 30000;

export class Team {
  constructor() {
    /** @type {import("./types").Colleague[]} */
    this.colleagues = [];
    /** @type {import("./types").Answers} */
    this.answers = { shared: [], own: [] };
    /** @type {import("./types").Views} */
    this.views = { shared: [], own: [] };
    this.me = "";
    this.read = 0; // when the colleagues were
    this.turn = 0; // grows with each operator
    this.changed = () => {};
    this.told = /** @param {string} _why */ (_why) => {};
    this.refused = /** @param {import("./api.js").Problem} _problem */ (_problem) => {};
  }

  /** `fresh`: somebody is about to choose one. */
  async readColleagues(fresh = false) {
    if (!fresh && Date.now() - this.read < KNOWN) return;
    const { turn } = this;
    const found = await api.operators().catch(problem);
    if (turn !== this.turn) return;
    if (found instanceof Error) return this.refused(found);
    this.read = Date.now();
    const before = this.colleagues;
    this.colleagues = found.operators;
    const own = (/** @type {import("./types").Colleague[]} */ all) => all.find((each) => each.name === this.me)?.availability;
    if (own(before) === "online" && own(this.colleagues) === "away") this.told(t("madeAway"));
    this.changed();
  }

  /** What the operator says to be. @param {import("./types").Availability} availability */
  async choose(availability) {
    const { turn } = this;
    const found = await api.choose(availability).catch(problem);
    if (turn !== this.turn) return;
    if (found instanceof Error) {
      this.told(found.told);
      this.refused(found);
    } else this.colleagues = this.colleagues.map((each) => (each.name === this.me ? { ...each, availability: found.availability } : each));
    this.changed();
  }

  /** What operators keep: the canned answers, and the views. */
  async readAnswers() {
    const { turn } = this;
    this.readViews();
    const found = await api.answers().catch(problem);
    if (turn !== this.turn) return;
    if (found instanceof Error) this.refused(found);
    else this.answered(found);
  }

  async readViews() {
    const { turn } = this;
    const found = await api.views().catch(problem);
    if (turn !== this.turn) return;
    if (found instanceof Error) this.refused(found);
    else this.viewed(found);
  }

  /** The views as they are by now. @param {import("./types").Views} views */
  viewed(views) {
    this.views = views;
    this.changed();
  }

  /** The canned answers as they are by now. @param {import("./types").Answers} answers */
  answered(answers) {
    this.answers = answers;
    this.changed();
  }

  /** Whoever comes next is somebody else. */
  forget() {
    this.colleagues = [];
    this.answers = { shared: [], own: [] };
    this.views = { shared: [], own: [] };
    this.read = 0;
    this.turn += 1;
  }
}
