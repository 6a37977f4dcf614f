// The chat: takes what the server and the visitor say, and has it shown.

import { moment } from "./core/days.js";
import { Dialogue, isNews } from "./core/dialogue.js";
import { Reading } from "./core/reading.js";
import { fill, isolated, same, uuid } from "./core/text.js";
import { transcript } from "./core/transcript.js";
import { Earlier } from "./earlier.js";
import { explain, isElsewhere, Memory } from "./identity.js";
import { presence } from "./presence.js";
import { Connection, UNKNOWN } from "./transport/connection.js";
import { Attention } from "./view/attention.js";
import { Composer, sends } from "./view/composer.js";
import { Header } from "./view/header.js";
import { Lines } from "./view/lines.js";
import { buildPanel } from "./view/panel.js";
import { save } from "./view/save.js";
import { Scrolling } from "./view/scrolling.js";
import { Window } from "./view/window.js";
import { readOptions } from "./options.js";
import { allStores } from "./stores.js";
import { chosenWords, direction } from "./words.js";
import STYLE from "./chat.css";

/** @typedef {import("../types").Frame} Frame */
/** @typedef {import("../types").Host} Host */
/** @typedef {import("../types").ChatPart} ChatPart */

const TYPING_SHOWN = 4_000; // this and the following in ms
const REPLAY_MOST = 2_000;
const PRESENT_EVERY = 1_000; // what is told of the visitor: many messages at once are seen at once
const READ_AFTER = 3_000; // what stood in front of somebody for so long is read in the other tabs too

/** @implements {ChatPart} */
export class Chat {
  #host;
  #options;
  #words;
  #texts;
  #kept;
  #connection;
  #memory;
  #dialogue = new Dialogue();
  #reading = new Reading();
  #lines;
  #panel;
  #window;
  #header;
  #composer;
  #scrolling;
  #earlier;
  #attention;
  #lost = false; // the conversation that is shown cannot be gone on with
  #telling = /** @type {any} */ (0); // a timer, until other tabs are told what was read
  #replaying = /** @type {any} */ (0); // a timer, in case the replay's end is not told
  #typingShown = /** @type {any} */ (0);
  #speaker = "";
  #presence = ""; // what was told last of the visitor
  #presenting = /** @type {any} */ (0); // a timer

  /**
   * @param {Host} host
   * @param {import("./words.js").Words} words
   */
  constructor(host, words) {
    this.#host = host;
    this.#words = words;
    this.#texts = chosenWords(words, host.given);
    this.#options = this.#read();
    const kept = (this.#kept = allStores(host.address));
    this.#memory = new Memory(kept.memory);
    this.#reading.last = this.#memory.value?.read ?? null;
    this.#connection = new Connection(host.address, 
      () => ({ flow: this.#options.flow, lang: this.#options.language }), this.#memory.value !== null, kept.outbox, {
        frame: (frame, message) => this.#frame(frame, message),
        status: (state) => {
          this.#header.connection(state);
          if (state !== "offline") this.#panel.notice.hidden = true;
        },
        away: (code) => this.#away(code),
        lost: (cookie) => this.#gone(cookie),
      });
    this.#lines = new Lines(this.#dialogue, this.#texts, host.policy, (choice) => this.#pick(choice),
      async () => (await host.load("markdown.js", WIDGET_HASHES["markdown.js"])).drawMarkdown);
    this.#panel = buildPanel(this.#texts, {
      close: () => this.close(),
      sound: () => this.#toggleSound(),
      download: () => void this.#download(),
      ask: (shown) => this.#ask(shown),
      reset: () => this.reset(),
      retry: () => this.#retried(),
      lookBack: () => this.#earlier.look(),
      rate: (score) => this.#rate(score),
      typed: () => this.#composer.typed(),
      editorKey: (event) => {
        if (!sends(event)) return;
        event.preventDefault();
        this.#submit();
      },
      submit: () => this.#submit(),
      dialogKey: (event) => this.#dialogKey(event),
      closed: () => this.#closed(),
    }, this.#floats, this.#lines.elements);
    const { log, content } = this.#panel;
    this.#window = new Window(host, this.#panel, this.#floats);
    this.#header = new Header(this.#panel, () => this.#texts);
    this.#composer = new Composer(this.#panel, this.#texts, kept.unsent, () => this.#types());
    this.#scrolling = new Scrolling(log, content, () => this.#earlier.look());
    this.#earlier = new Earlier(this.#connection, this.#lines, this.#scrolling,
      (more, looking) => this.#offerEarlier(more, looking));
    this.#attention = new Attention(host, this.#texts, kept, this.#options.sound);
    host.dress(STYLE);
    host.frame.dir = direction(host.language);
    host.frame.prepend(this.#panel.dialog, this.#attention.place);
    this.#header.connection("offline");
    for (const { frame } of this.#connection.outbox.messages) this.#lines.showPending(frame);
    this.#arrange();
  }

  get isOpen() {
    return this.#panel.dialog.open;
  }

  get #floats() {
    return this.#options.mode === "float";
  }

  /** What the page asks for; what is wrong with it is told to its author. */
  #read() {
    const { options, problems } = readOptions(this.#host.given);
    for (const problem of problems) console.warn(`Switchboard: ${problem}`);
    return options;
  }

  /** Greeting and opening by itself: once a visit, and the latter not where it would cover the whole page. */
  start() {
    const { greeting, openAfter } = this.#options;
    const { opened } = this.#kept;
    if (!this.#floats || this.isOpen || opened.read()) return;
    if (greeting && !this.#memory.value) this.#attention.preview("", greeting);
    if (openAfter === undefined) return;
    setTimeout(() => {
      if (opened.read() || this.#window.fills || !this.#host.element.isConnected) return;
      this.open(false);
    }, openAfter * 1000);
  }

  enter() {
    // Each of these is added again whenever the element comes into the page: `document.open` takes
    // all listeners away. Adding one twice has no effect.
    this.#connection.watch();
    window.addEventListener("pagehide", this.#leaving);
    window.addEventListener("storage", this.#elsewhere);
    document.addEventListener("visibilitychange", this.#looked);
    this.#window.enter();
    this.#look();
    clearInterval(this.#presenting);
    this.#presenting = setInterval(() => this.#present(), PRESENT_EVERY);
    if (this.#memory.value || this.#connection.outbox.messages.length) this.#connection.connect();
  }

  leave() {
    clearInterval(this.#presenting);
    this.#attention.unread(0, this.isOpen);
    this.#connection.leave();
  }

  /** @param {boolean} focus */
  open(focus) {
    if (this.isOpen) return;
    this.#window.open(focus);
    this.#kept.opened.write(true);
    this.#attention.preview("", "");
    this.#attention.prepare();
    this.#look();
    if (!this.#lost) this.#connection.hurry();
    this.#composer.arrange();
    this.#scrolling.toBottom();
    if (focus) this.#window.focusBest();
    this.#host.emit("open", undefined);
  }

  close() {
    this.#window.close();
  }

  reset() {
    this.#panel.confirm.hidden = true;
    if (this.#window.holdsFocus) this.#panel.log.focus(); // the button is about to go
    if (this.#connection.outbox.has("ResetSession")) return;
    this.#post({ kind: "ResetSession", id: uuid() });
  }

  change() {
    const { greeting } = this.#options;
    this.#options = this.#read();
    this.#texts.title = chosenWords(this.#words, this.#host.given).title;
    this.#arrange();
    if (this.#options.greeting !== greeting) this.start();
  }

  #leaving = () => this.#remember();
  #looked = () => this.#look();
  /** @param {StorageEvent} event */
  #elsewhere = ({ key, newValue }) => {
    if (!this.#memory.holds(key) || !newValue || !this.#memory.value) return;
    this.#reading.last = this.#memory.again()?.read ?? this.#reading.last;
    this.#look();
    this.#arrange();
  };

  // What the server says

  /** @param {Frame} frame @param {Frame} [message] the one that it settles */
  #frame(frame, message) {
    switch (frame.kind) {
      case "Resumed":
        this.#presence = "";
        this.#lines.dropDraft();
        this.#replay(true);
        if (frame.reset) this.#clear(frame.earlier);
        else this.#earlier.resume();
        break;
      case "Earlier":
        this.#earlier.hear(frame);
        return;
      case "State":
        this.#dialogue.state(frame);
        this.#replay(false);
        this.#look();
        if (!this.#dialogue.over && !this.#dialogue.rating && this.#memory.value?.rated) this.#remember({ rated: false });
        break;
      case "Ack":
        if (message?.kind === "ResetSession") this.#lines.remove(message.id);
        else if (this.#lines.stored(frame.id)) this.#told(frame);
        break;
      case "Refused":
        this.#refused(frame);
        break;
      case "Draft":
        if (this.#lines.drafted(frame) || frame.end) this.#showTyping(false);
        if (!frame.end && !this.#dialogue.assistant) {
          this.#dialogue.assistant = true;
          this.#arrange();
        }
        return;
      case "Typing":
        if (frame.who !== "visitor") this.#showTyping(true, frame.who);
        if (frame.who === "assistant") this.#lines.expectDraft();
        return;
      default:
        if (!this.#happened(frame)) return;
    }
    if (frame.cursor && frame.kind !== "Ack" && frame.kind !== "Refused") this.#noticed(frame);
    this.#arrange();
  }

  /** @param {Frame} frame @returns {boolean} false for what is unknown here, a newer server's */
  #happened(frame) {
    const { kind } = frame;
    this.#lines.tell(frame);
    if (!this.#dialogue.hear(frame)) return false;
    const { group } = this.#dialogue;
    if (kind === "ChoiceRequest" && group) {
      const fits = (/** @type {Frame} */ one) => one.kind === "ChoiceResponse" && same(one.groupId, group.groupId);
      group.answered = this.#connection.pending(fits)?.id ?? null;
    }
    if (kind === "OperatorText" || kind === "OperatorLeft" || frame.turn !== undefined) this.#showTyping(false);
    return true;
  }

  /** @param {Frame} frame */
  #refused({ id }) {
    if (!this.#lines.refuse(id)) return;
    const { group } = this.#dialogue;
    if (group && same(group.answered, id)) group.answered = null; // still to be answered
  }

  /** @param {string | null} [before] */
  #clear(before = null) {
    this.#lines.clear();
    Object.assign(this.#dialogue, new Dialogue());
    this.#earlier.begin(before);
    this.#scrolling.atBottom = true;
    this.#reading.clear();
    this.#showTyping(false);
    this.#attention.unread(0, this.isOpen);
  }

  /** While a conversation is replayed nothing moves, and screen readers do not read it all out. @param {boolean} on */
  #replay(on) {
    clearTimeout(this.#replaying);
    this.#replaying = on ? setTimeout(() => this.#replay(false), REPLAY_MOST) : 0;
    this.#lines.quiet = on;
    this.#panel.log.setAttribute("aria-busy", String(on));
  }

  /** @param {boolean} more there is something before @param {boolean} looking and it is on its way */
  #offerEarlier(more, looking) {
    const { earlier, log } = this.#panel;
    if (!more && this.#window.focused === earlier) log.focus({ preventScroll: true });
    earlier.hidden = !more;
    earlier.textContent = looking ? this.#texts.loading : this.#texts.earlier;
    earlier.setAttribute("aria-disabled", String(looking));
  }

  /** Saves all of the conversation as a text: what was before is asked for first. */
  async #download() {
    this.#window.toggleMenu(false);
    await this.#earlier.all();
    const { title } = this.#texts;
    save(`${title}.txt`, transcript(title, this.#lines.transcript(), (time) => moment(time, navigator.languages)));
  }

  // What is read, and what tells somebody who does not look

  /** A fact arrived, the newest so far. @param {Frame} frame */
  #noticed(frame) {
    if (!this.#memory.value) this.#remember({});
    this.#reading.noticed(String(frame.cursor), isNews(frame));
    if (this.#reading.size === 1) void this.#proveIdentity();
    if (this.#replaying) return;
    this.#look();
    if (isNews(frame) || frame.kind === "UserText" || frame.kind === "ChoiceResponse") this.#told(frame);
  }

  /** The newest line is a message, of either side. @param {Frame} frame */
  #told(frame) {
    const said = this.#lines.newest;
    if (!said) return;
    const { from, name, text, time } = said;
    const speaker = /** @type {any} */ (from === "bot" && frame.turn !== undefined ? "assistant" : from);
    this.#host.emit("message", { from: speaker, ...(from === "operator" ? { name } : {}), text, time });
    if (!isNews(frame) || (this.isOpen && !document.hidden)) return;
    this.#attention.ring();
    if (!this.isOpen) this.#attention.preview(name, text);
  }

  /** What is in front of somebody is read; in a hidden tab, or behind a closed dialog, it is not. */
  #look() {
    const seen = this.isOpen && !document.hidden;
    if (seen && this.#reading.readAll()) this.#telling ||= setTimeout(() => this.#remember(), READ_AFTER);
    this.#attention.unread(seen ? 0 : this.#reading.unread, this.isOpen);
  }

  /** Tells how things are with the visitor, where that is news. */
  #present() {
    const told = presence(this.#options.share, this.#reading.last);
    if (told && told !== this.#presence && this.#connection.present(told)) this.#presence = told;
  }

  /** @param {{rated?: number | false}} [changes] */
  #remember(changes) {
    clearTimeout(this.#telling);
    this.#telling = 0;
    if (!changes && !this.#memory.value) return;
    this.#reading.readElsewhere(this.#memory.readElsewhere);
    this.#memory.write({ read: this.#reading.last, ...changes });
  }

  // Who the visitor is

  /** Whether the cookie came to stay is asked at once. */
  async #proveIdentity() {
    if (this.#memory.kept !== null || this.#connection.brought || !isElsewhere(this.#host.address)) return;
    const kept = await this.#connection.keeps();
    this.#memory.kept = kept;
    if (kept !== false) return;
    this.#memory.unkept();
    this.#warn(this.#texts.unkept);
    explain(this.#host.address);
  }

  /** There is no conversation to come back to. One that is shown stays to be read. @param {boolean} cookie */
  #gone(cookie) {
    this.#memory.forget();
    for (const { id, kind, content } of this.#connection.outbox.abandon()) {
      this.#refused({ kind, id });
      if (kind === "UserText") this.#composer.giveBack(content ?? ""); // not to be written once more
    }
    if (!cookie) explain(this.#host.address);
    if (this.#reading.size) {
      this.#lost = true;
      this.#notify(UNKNOWN, this.#texts.lost, this.#texts.restart);
    } else {
      this.#warn(this.#texts.lost);
      if (this.isOpen) this.#connection.connect();
    }
  }

  /** @param {string} text */
  #warn(text) {
    this.#panel.identity.textContent = text;
    this.#panel.identity.hidden = false;
  }

  /** @param {number} code */
  #away(code) {
    this.#notify(code, code === 1008 ? this.#texts.notAllowed : this.#texts.away, this.#texts.retry);
  }

  /** @param {number} code @param {string} text @param {string} remedy */
  #notify(code, text, remedy) {
    const { notice, noticeText, retry } = this.#panel;
    noticeText.textContent = text;
    retry.textContent = remedy;
    notice.dataset.code = String(code);
    notice.hidden = false;
  }

  #retried() {
    this.#lost = false;
    this.#connection.connect();
  }

  // What the visitor does

  /** @param {Frame} frame */
  #post(frame) {
    this.#lines.showPending(frame);
    this.#scrolling.atBottom = true;
    this.#connection.send(frame);
    this.#arrange();
  }

  /** @param {import("../types").Choice} choice */
  #pick({ itemId, content }) {
    const { group } = this.#dialogue;
    if (!group) return;
    const id = uuid();
    group.answered = id;
    if (this.#window.holdsFocus) this.#panel.log.focus(); // the button is about to go
    this.#post({ kind: "ChoiceResponse", id, groupId: group.groupId, itemId, content });
  }

  #submit() {
    const session = this.#dialogue.editor(this.#texts);
    const content = session && this.#composer.take();
    if (content) this.#post({ kind: "UserText", id: uuid(), sessionId: session.id, content });
  }

  #types() {
    if (this.#dialogue.owner !== "operator") return false;
    this.#connection.whisper({ kind: "Typing" });
    return true;
  }

  /** @param {number} score */
  #rate(score) {
    if (this.#memory.value?.rated) return;
    this.#connection.send({ kind: "Rate", id: uuid(), score });
    this.#remember({ rated: score });
    this.#arrange();
  }

  #toggleSound() {
    this.#attention.sound = !this.#attention.sound;
    this.#window.showSound(this.#attention.sound);
  }

  /** @param {boolean} shown */
  #ask(shown) {
    this.#window.ask(shown);
  }

  /** @param {KeyboardEvent} event */
  #dialogKey(event) {
    event.stopPropagation(); // the page's own shortcuts are not meant
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    if (!this.#window.escape() && this.#floats) this.close();
  }

  #closed() {
    if (!this.#window.closed()) return;
    this.#remember();
    this.#look();
    this.#host.emit("close", undefined);
  }

  // What is shown of the state

  #arrange() {
    const { editor, queue, end, closed, rating, stars, restart } = this.#panel;
    const texts = this.#texts;
    const dialogue = this.#dialogue;
    const resolved = dialogue.status === "resolved";

    const session = dialogue.editor(texts);
    const opens = session !== null && editor.disabled;
    const hadFocus = this.#window.holdsFocus;
    // What is disabled loses the focus to the page, where no key is heard.
    if (!session && this.#window.focused === editor) this.#panel.log.focus({ preventScroll: true });
    this.#composer.offer(session && session.prompt, texts.choose);
    this.#lines.arrange();

    queue.hidden = dialogue.owner !== "queue" || resolved;
    const rated = this.#memory.value?.rated || 0;
    end.hidden = !dialogue.over && !(dialogue.rating && (rated || dialogue.rating === "asked"));
    closed.hidden = restart.hidden = !dialogue.over;
    closed.textContent = resolved ? texts.closed : texts.over;
    const given = rated > 0 || dialogue.rating === "given";
    stars.toggleAttribute("data-rated", given);
    rating.textContent = given ? texts.thanks : texts.rate;
    for (const star of stars.querySelectorAll("button")) {
      star.disabled = given;
      star.toggleAttribute("data-lit", Number(star.dataset.score) <= rated);
    }

    this.#window.showSound(this.#attention.sound);
    const { speaker } = dialogue;
    this.#header.speaker(speaker);
    const told = JSON.stringify(speaker);
    if (told !== this.#speaker) {
      if (this.#speaker) this.#host.emit("speaker", speaker);
      this.#speaker = told;
    }
    if (opens && hadFocus && this.#panel.confirm.hidden) this.#window.focusBest();
  }

  /** @param {boolean} shown @param {string} [who] */
  #showTyping(shown, who = "operator") {
    clearTimeout(this.#typingShown);
    const { typing } = this.#panel;
    typing.hidden = !shown;
    const { assistant, person, typing: text } = this.#texts;
    const name = who === "assistant" ? assistant : this.#dialogue.operator || person;
    typing.setAttribute("aria-label", fill(text, { name: isolated(name) }));
    if (shown) this.#typingShown = setTimeout(() => (typing.hidden = true), TYPING_SHOWN);
  }
}
