// One operator at the desk: one feed of events for the lists and the open conversation, and what is done there.

import { actOf } from "./acts.js";
import { api, problem } from "./api.js";
import { news, tell } from "./attention.js";
import { drafts } from "./drafts.js";
import { listen } from "./feed.js";
import { Finder } from "./finder.js";
import { DeskModel, VIEWS } from "./model.js";
import { outbox } from "./outbox.js";
import { Talk } from "./talk.js";
import { Team } from "./team.js";
import { Toasts } from "./toasts.js";
import { t } from "./words.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").Me} Me */
/** @typedef {import("./types").DeskDetail} DeskDetail */

const AGAIN = 2000;
const PAGES = 10; // of a list that is read whole
const LOOK = 5000;

export class DeskSession {
  constructor() {
    /** @type {Me | null} */
    this.me = null;
    this.enrolling = /** @type {Me | null} */ (null); // who needs a second factor before anything else
    this.known = false; // whether somebody is logged in
    /** Why the operator is at the door. */
    this.why = "";
    this.connection = "";
    this.reading = false; // on a phone the conversation takes the lists' place
    this.acting = false;
    /** What a screen reader says; the same words are said again with another number. */
    this.announced = { text: "", number: 0 };
    this.last = ""; // who was here before
    this.looked = Date.now(); // up to then ends of snoozes were looked for
    this.stop = () => {};
    this.renew = /** @param {boolean} [_now] */ (_now) => {}; // something has changed
    this.finder = new Finder();
    this.team = new Team();
    this.toasts = new Toasts();
    this.model = new DeskModel();
    this.talk = new Talk();
    this.model.changed = (row, before) => {
      if (before || !this.model.reading) this.tell(row, news(row, before, this.model.me, Date.now()));
    };
    this.talk.changed = (now) => this.renew(now);
    this.talk.told = (line) => {
      if (line.from === "visitor") this.announce(t("newLine", { name: this.talk.row?.visitor ?? t("visitor"), text: line.text }));
    };
    this.finder.changed = this.team.changed = this.toasts.changed = () => this.renew();
    this.talk.refused = this.finder.refused = this.team.refused = outbox.refused = (refusal) => this.refused(refusal);
    this.team.told = (why) => this.toasts.say(why);
    outbox.changed = () => this.renew();
    outbox.stored = (row) => this.changed(row);
  }

  // --- who is here ---

  async start() {
    this.stop();
    const me = await api.me().catch(problem);
    if (!(me instanceof Error)) {
      this.enter(me);
    } else if (me.status === 401) {
      const kept = drafts.any || outbox.any ? ` ${t("kept")}` : "";
      this.leave(this.me ? `${t("ended")}${kept}` : "");
    } else {
      this.connection = me.message;
      if (!this.me) {
        this.known = true;
        this.why = me.message;
      }
      window.setTimeout(() => this.start(), AGAIN);
      this.renew();
    }
  }

  /** @param {Me} me */
  enter(me) {
    this.stop();
    if (me.enrol) return this.leave("", me);
    this.enrolling = null;
    if (this.last && this.last !== me.name) this.finder.clear(); // it is not theirs
    this.last = me.name;
    this.me = me;
    this.known = true;
    this.why = "";
    this.model.me = this.team.me = me.name;
    for (const kept of [drafts, outbox]) kept.of(me.name);
    const left = drafts.at(drafts.open) || drafts.at(drafts.open, "note") || outbox.at(drafts.open).length;
    if ((this.finder.led || left) && !this.talk.id) this.choose(this.finder.led || drafts.open); // or something is to be sent there
    this.stop = listen({
      open: (name) => {
        this.talk.feed = name;
        this.catchUp();
      },
      closed: () => {
        this.connection = t("connecting");
        this.renew();
        api.me().then((me) => me.enrol && this.enter(me), (refusal) => this.refused(problem(refusal)));
      },
      conversation: (row) => this.changed(row),
      message: (line) => this.talk.add(line),
      typing: ({ conversation }) => this.talk.visitorTypes(conversation),
      presence: (presence) => this.talk.tells(presence),
      draft: (piece) => this.talk.drafted(piece),
      erased: ({ conversation }) => this.erase(conversation),
      settings: () => this.catchUp(),
      team: () => this.team.readColleagues(true),
      heartbeat: () => (this.talk.id ? this.talk.watch() : api.present()).catch((refusal) => this.refused(problem(refusal))),
    });
    const looking = window.setInterval(() => this.look(), LOOK);
    const { stop } = this;
    this.stop = () => {
      clearInterval(looking);
      stop();
    };
    this.renew();
  }

  /** @param {string} why @param {Me | null} [enrolling] */
  leave(why, enrolling = null) {
    this.stop();
    this.stop = () => {};
    this.model.clear();
    this.reading = false;
    this.talk.close(); // whoever sees the page next may not read it
    this.me = null;
    this.enrolling = enrolling;
    this.known = true;
    this.why = why;
    this.toasts.forget();
    this.announce("");
    this.team.forget();
    this.finder.forget();
    this.renew();
  }

  async logout() {
    const out = await api.logout().catch(problem);
    if (out instanceof Error) {
      this.connection = out.message;
      return this.renew();
    }
    if (out.next) location.assign(out.next); // at the provider of single sign-on, too
    drafts.forget();
    outbox.forget();
    this.finder.clear();
    this.leave("");
  }

  /** What somebody should think of before they log out. */
  get left() {
    const mine = this.model.list("mine", 0).length;
    return [...(outbox.any || drafts.any ? [t("unsentWords")] : []), ...(mine ? [t("stillHave", { count: mine })] : [])];
  }

  /** @param {import("./api.js").Problem} refusal */
  refused(refusal) {
    if (refusal.status === 401 || refusal.secondFactor === "demanded") this.start();
  }

  /** What was done in a conversation did not happen. @param {string} id @param {import("./api.js").Problem} refusal */
  refusedIn(id, refusal) {
    if (this.talk.id === id) this.talk.notice = refusal.told;
    else this.toasts.say(t("failedIn", { visitor: this.model.rows.get(id)?.visitor ?? t("conversation"), why: refusal.told }));
    this.refused(refusal);
    this.renew();
  }

  /** @param {string} text */
  announce(text) {
    this.announced = { text, number: this.announced.number + 1 };
  }

  // --- what happens ---

  /** What happened while there was no feed is read from the lists. */
  async catchUp() {
    this.connection = "";
    const read = this.model.begin();
    const refusal = await this.readLists(read).catch(problem);
    if (refusal) {
      this.connection = refusal.message;
      if (refusal.status !== 401) window.setTimeout(() => this.me && this.catchUp(), AGAIN);
      this.refused(refusal);
    } else {
      this.model.end(read);
    }
    this.renew();
    this.team.readColleagues();
    this.team.readAnswers();
    if (this.talk.id) this.talk.open(this.talk.id);
    this.finder.resume();
  }

  /** @param {Map<string, Row>} read */
  async readLists(read) {
    await Promise.all(VIEWS.map(async (view) => {
      const whole = view !== "live" && view !== "resolved";
      let next = /** @type {number | null} */ (null);
      for (let page = 0; page < (whole ? PAGES : 1) && (page === 0 || next !== null); page += 1) {
        const found = await api.list(view, next);
        next = this.model.next[view] = found.next;
        if (this.model.reading !== read) return;
        for (const row of found.conversations) this.model.put(row);
      }
    }));
  }

  /** @param {import("./types").View} view */
  async more(view) {
    const page = await api.list(view, this.model.next[view]).catch(problem);
    if (page instanceof Error) return this.refused(page);
    this.model.next[view] = page.next;
    for (const row of page.conversations) this.model.put(row);
    this.renew();
  }

  /** @param {Row} row @param {string} text */
  tell(row, text) {
    tell(row, text, (id) => this.choose(id));
  }

  /** Snoozes end without an event. */
  look() {
    const now = Date.now();
    for (const row of this.model.rows.values()) {
      if (row.snoozed_until) this.tell(row, news(row, row, this.model.me, now, this.looked));
    }
    this.looked = now;
    this.renew();
  }

  /** @param {Row} row */
  changed(row) {
    this.model.put(row);
    this.talk.update(row);
    this.renew();
  }

  /** @param {DeskDetail} desk */
  noted(desk) {
    this.talk.noted(desk);
    const row = this.model.rows.get(desk.conversation);
    if (!row || desk.noted < row.noted || desk.position < row.position) return; // an event has told more
    const { notes: _notes, variables: _variables, conversation: _id, position: _position, ...noted } = desk;
    this.changed({ ...row, ...noted });
  }

  /** @param {string} conversation */
  erase(conversation) {
    this.finder.erase(conversation);
    this.announce("");
    this.model.remove(conversation);
    drafts.drop(conversation);
    outbox.drop(conversation);
    this.talk.erase(conversation);
    this.renew();
  }

  /** @param {string} id */
  choose(id) {
    this.reading = true;
    this.announce("");
    this.talk.open(id);
    this.team.readColleagues();
  }

  back() {
    this.reading = false;
    this.renew();
  }

  // --- what is done ---

  /** Carry an act out on a conversation. @param {string} id @param {string} name @param {any} [value] */
  async act(id, name, value) {
    if (!id) return; // it was erased meanwhile
    const kind = actOf(name);
    const before = this.model.rows.get(id) ?? (this.talk.id === id ? this.talk.row : null);
    this.acting = true;
    this.renew();
    const answer = await kind.run(id, value).catch(problem);
    this.acting = false;
    if (answer instanceof Error) {
      this.refusedIn(id, answer);
    } else {
      if (this.talk.id === id) this.talk.notice = "";
      if ("conversation" in answer) this.noted(answer);
      else this.changed(answer);
      const undo = before && kind.undo?.(before, value);
      if (kind.done) this.toasts.say(kind.done(value), undo ? () => this.act(id, ...undo) : undefined);
    }
    this.renew();
  }
}
