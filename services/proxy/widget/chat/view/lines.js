// The conversation as it is shown: what is stored, what was before it, what is on its way, and the assistant's
// words while it makes them.

import { icon, make } from "../../button/dom.js";
import { dayOf } from "../core/days.js";
import { Dialogue } from "../core/dialogue.js";
import { same } from "../core/text.js";
import { DraftView } from "./draft_view.js";
import { label, rich } from "./html.js";
import { ICONS } from "./icons.js";
import { addTime, dayRow, eventRow, markRefused, messageRow } from "./rows.js";

/** @typedef {import("../../types").Frame} Frame */
/** @typedef {import("../../types").Choice} Choice */
/** @typedef {import("../../types").Id} Id */

const REFUSED_SHOWN = 8_000; // ms

/**
 * A part of the conversation, in order: the newest one, or one that was before it.
 *
 * @typedef {object} Part
 * @property {HTMLElement} rows
 * @property {Dialogue} dialogue
 * @property {HTMLElement | null} choices the newest ones' buttons
 * @property {number} day of the newest line: its midnight
 * @property {number} top of the first one
 * @property {Set<string>} orphans groups that were answered here and asked before
 * @property {boolean} past nothing of it is news
 */

export class Lines {
  #texts;
  #policy;
  #pick;
  /** @type {Part} */
  #now;
  #earlier;
  #messages = make("div", { class: "messages" });
  // Announced when they are stored and move up.
  #pending = make("div", { "aria-live": "off" });
  #avatar = make("span", { class: "avatar", part: "avatar", "data-role": "avatar" }, icon("bot", ICONS.bot));
  /** Rows of the visitor's messages, by id. @type {Map<string, HTMLElement>} */
  #own = new Map();
  #draft;
  /** A conversation is being told again: nothing moves. */
  quiet = false;

  /**
   * @param {Dialogue} dialogue
   * @param {import("../../types").Texts} texts
   * @param {import("./html.js").Policy} policy
   * @param {(choice: Choice) => void} pick
   * @param {() => Promise<import("./draft_view.js").DrawMarkdown>} loadMarkdown
   */
  constructor(dialogue, texts, policy, pick, loadMarkdown) {
    this.#texts = texts;
    this.#policy = policy;
    this.#pick = pick;
    // Not announced: who asked for it goes there and reads.
    this.#earlier = make("div", { class: "earlier", "aria-live": "off" });
    this.#now = part(this.#messages, dialogue);
    this.#draft = new DraftView(texts.interrupted, loadMarkdown);
    this.elements = [this.#earlier, this.#messages, this.#draft.place, this.#pending];
  }

  /** All rows that are stored, from the first that is shown. @returns {HTMLElement[]} */
  get rows() {
    return /** @type {HTMLElement[]} */ ([...this.#earlier.children, ...this.#messages.children]);
  }

  /**
   * What happened, at its place.
   *
   * @param {Frame} frame
   * @param {Part} [at]
   */
  tell(frame, at = this.#now) {
    switch (frame.kind) {
      case "BotText": {
        const drafted = !at.past && this.#draft.become(frame.turn);
        const row = this.#bubble(at, "bot", rich(frame.content, this.#policy), frame);
        if (drafted) row.classList.remove("fresh"); // the words stand there already
        if (frame.turn !== undefined) row.dataset.speaker = "assistant";
        break;
      }
      case "ChoiceRequest":
        this.#choices(at, frame);
        break;
      case "StartChatSession":
        if (frame.chatText) this.#bubble(at, "bot", rich(frame.chatText, this.#policy), frame);
        break;
      case "ChoiceResponse":
      case "UserText":
        this.#visitorFact(at, frame);
        break;
      case "OperatorJoined":
        this.#event(at, this.#texts.joined, frame.name || this.#texts.person, frame);
        break;
      case "OperatorText":
        this.#operatorText(at, frame);
        break;
      case "OperatorLeft":
        this.#event(at, this.#texts.left, at.dialogue.operator || this.#texts.person, frame);
        break;
    }
  }

  /**
   * Above all that is shown, and without an effect on anything else: what is asked, who speaks, what
   * is read and which day it is are of the newest part.
   *
   * @param {Frame[]} frames
   */
  tellEarlier(frames) {
    const now = this.#now;
    const first = this.rows[0];
    const home = this.#avatar.parentElement;
    const past = part(make("div"), new Dialogue(), true);
    for (const frame of frames) {
      this.tell(frame, past);
      past.dialogue.hear(frame);
      if (past.choices) past.choices.hidden = past.dialogue.group?.answered !== null;
    }
    retire(past);
    for (const group of now.orphans) {
      if (!past.choices) past.orphans.add(group);
      else if (same(group, past.dialogue.group?.groupId)) past.choices.hidden = true;
    }
    now.orphans = past.orphans;
    const line = first?.matches(".day");
    if (line && past.day === now.top) first.remove();
    else if (!line && now.top && past.day && past.day !== now.top) past.rows.append(dayRow(now.top));
    now.top = past.top || now.top;
    const name = /** @type {HTMLElement | null} */ (past.rows.lastElementChild)?.dataset.name;
    if (name && first?.dataset.name === name) first.querySelector(".name")?.remove();
    now.day ||= past.day;
    home?.prepend(this.#avatar);
    this.#earlier.prepend(...past.rows.childNodes);
  }

  /** Forgets all that is stored; what is on its way stays. */
  clear() {
    this.#messages.replaceChildren();
    this.#earlier.replaceChildren();
    for (const [id, row] of this.#own) if (!row.isConnected) this.#own.delete(id);
    this.#now = part(this.#messages, this.#now.dialogue);
  }

  /**
   * The assistant's words while it makes them: below what is stored.
   *
   * @param {Frame} frame
   * @returns {boolean} whether something is shown of them
   */
  drafted(frame) {
    const row = frame.end ? this.#draft.interrupt(frame.turn) : undefined;
    if (row) this.#messages.append(row);
    return !frame.end && this.#draft.add(frame, () => this.#row("bot", "", {}, false));
  }

  /** An assistant begins to answer. */
  expectDraft() {
    void this.#draft.prepare();
  }

  /** Takes them away: if it goes on, all of it comes again. */
  dropDraft() {
    if (this.#draft.drop()) [...this.#messages.querySelectorAll(".bot")].at(-1)?.prepend(this.#avatar);
  }

  /**
   * The visitor's message at once; below the stored ones until its place in their order is known.
   *
   * @param {Frame} frame
   */
  showPending(frame) {
    if (frame.kind === "Rate") return;
    let row;
    if (frame.kind === "ResetSession") {
      row = make("div", { class: "row system", "data-role": "message", "data-from": "system" }, this.#texts.resetting);
    } else if (frame.kind === "UserText") {
      row = this.#row("visitor", frame.content ?? "", {}, true);
    } else {
      row = this.#row("visitor", rich(frame.content, this.#policy), {}, false);
    }
    row.setAttribute("data-pending", "true");
    row.title = this.#texts.sending;
    this.#pending.append(row);
    this.#own.set(String(frame.id), row);
  }

  /**
   * The visitor's message is stored.
   *
   * @param {Id | undefined} id
   * @returns {boolean} whether it was on its way
   */
  stored(id) {
    const row = this.#own.get(String(id));
    if (!row?.hasAttribute("data-pending")) return false;
    row.removeAttribute("data-pending");
    row.removeAttribute("title");
    row.classList.remove("fresh");
    const now = new Date();
    this.#dated(this.#now, now.toISOString());
    if (row.dataset.from === "visitor") addTime(row, now.toISOString());
    this.#messages.append(row);
    return true;
  }

  /** @param {Id | undefined} id */
  remove(id) {
    this.#own.get(String(id))?.remove();
  }

  /**
   * The message has no effect: it is shown for a while, and why.
   *
   * @param {Id | undefined} id
   * @returns {boolean} whether it was shown
   */
  refuse(id) {
    const row = this.#own.get(String(id));
    if (!row) return false;
    this.stored(id);
    this.#own.delete(String(id));
    if (row.dataset.from === "system") {
      row.remove();
      return true;
    }
    markRefused(row, this.#texts.refused);
    setTimeout(() => row.remove(), REFUSED_SHOWN);
    return true;
  }

  /** The newest choices, as the conversation stands. */
  arrange() {
    const { choices, dialogue } = this.#now;
    if (!choices) return;
    for (const button of choices.querySelectorAll("button")) button.disabled = !dialogue.choosing;
    choices.hidden = dialogue.group?.answered !== null;
  }

  /** What is shown, as lines of a text. */
  transcript() {
    return this.rows
      .filter((row) => !row.matches(".day, [data-refused], [data-interrupted]"))
      .map((row) => this.#line(row));
  }

  /** The last of what is shown. */
  get newest() {
    const row = /** @type {HTMLElement | null} */ (this.#messages.lastElementChild);
    return row && this.#line(row);
  }

  /** @param {HTMLElement} row @returns {import("../core/transcript.js").Line} */
  #line(row) {
    const { you, bot, assistant } = this.#texts;
    const from = row.dataset.from ?? "";
    const own = from === "visitor" ? you : row.dataset.speaker ? assistant : bot;
    const bubble = /** @type {HTMLElement | null} */ (row.querySelector(".bubble"));
    return {
      from,
      name: from === "system" ? "" : row.dataset.name ?? own,
      text: plain(bubble ?? row),
      time: row.querySelector("time")?.dateTime,
    };
  }

  /**
   * @param {"visitor" | "bot" | "operator"} from
   * @param {Node | string} content
   * @param {Frame | {time?: string}} frame
   * @param {boolean} plain
   */
  #row(from, content, frame, plain, past = false) {
    const row = messageRow(from, content, frame, plain);
    if (!this.quiet && !past) row.classList.add("fresh");
    if (from === "bot") row.prepend(this.#avatar); // there is one: it moves to the last message
    return row;
  }

  /**
   * @param {Part} at
   * @param {"visitor" | "bot" | "operator"} from
   * @param {Node | string} content
   * @param {Frame} frame
   */
  #bubble(at, from, content, frame, plain = false) {
    this.#dated(at, frame.time);
    const row = this.#row(from, content, frame, plain, at.past);
    at.rows.append(row);
    return row;
  }

  /** @param {Part} at @param {string} text @param {string} name @param {Frame} frame */
  #event(at, text, name, { time }) {
    this.#dated(at, time);
    at.rows.append(eventRow(text, name));
  }

  /**
   * The day, above the first line of each. Of a conversation of today nobody needs to be told.
   *
   * @param {Part} at
   * @param {string | undefined} time
   */
  #dated(at, time) {
    if (!time) return;
    const day = dayOf(time);
    if (day <= at.day) return; // an earlier one can only come of a clock that is wrong
    if (at.day || day !== dayOf(Date.now())) at.rows.append(dayRow(day));
    if (!at.day) at.top = day;
    at.day = day;
  }

  /** @param {Part} at @param {Frame} frame */
  #operatorText(at, frame) {
    const previous = /** @type {HTMLElement | null} */ (at.rows.lastElementChild);
    const name = frame.name || at.dialogue.operator || this.#texts.person;
    const row = this.#bubble(at, "operator", String(frame.content), frame, true);
    row.dataset.name = name;
    if (previous?.dataset.name !== name) row.prepend(make("bdi", { class: "name" }, name));
  }

  /** @param {Part} at @param {Frame} frame */
  #choices(at, frame) {
    retire(at);
    const buttons = (frame.choices ?? []).map((choice) =>
      make("button",
        { type: "button", class: "choice", part: "choice", dir: "auto", "data-role": "choice",
          "data-group": frame.groupId, "data-item": choice.itemId, onclick: () => this.#pick(choice) },
        label(choice.content, this.#policy)));
    const row = this.#bubble(at, "bot", rich(frame.question, this.#policy), frame);
    at.choices = make("div", { class: "choices", role: "group" }, ...buttons);
    row.querySelector(".bubble")?.after(at.choices);
  }

  /** @param {Part} at @param {Frame} frame */
  #visitorFact(at, frame) {
    const answers = frame.kind === "ChoiceResponse" && at.dialogue.answers(frame);
    if (frame.kind === "ChoiceResponse" && !answers) at.orphans.add(String(frame.groupId));
    if (this.#own.has(String(frame.id))) {
      this.stored(frame.id);
      return;
    }
    const choice = answers && at.dialogue.group?.choices.find((one) => same(one.itemId, frame.itemId));
    const row = frame.kind === "UserText"
      ? this.#bubble(at, "visitor", String(frame.content), frame, true)
      : this.#bubble(at, "visitor", rich(frame.content ?? (choice ? choice.content : ""), this.#policy), frame);
    if (frame.id !== undefined) this.#own.set(String(frame.id), row);
  }
}

/**
 * @param {HTMLElement} rows
 * @param {Dialogue} dialogue
 * @returns {Part}
 */
const part = (rows, dialogue, past = false) =>
  ({ rows, dialogue, choices: null, day: 0, top: 0, orphans: new Set(), past });

/**
 * The words of an element: as they are shown, or with a line for each block where the chat is closed.
 *
 * @param {HTMLElement} element
 */
function plain(element) {
  if (element.checkVisibility?.() ?? true) return element.innerText.trim();
  const copy = /** @type {HTMLElement} */ (element.cloneNode(true));
  for (const block of copy.querySelectorAll("p, li, br, tr, pre, blockquote, h1, h2, h3, h4, h5, h6")) block.after("\n");
  return (copy.textContent ?? "").trim();
}

/** Older choices that nobody answered stay to be read, not to be clicked. @param {Part} at */
function retire(at) {
  for (const button of at.choices?.querySelectorAll("button") ?? []) button.disabled = true;
}
