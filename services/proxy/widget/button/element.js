// <switchboard-chat>: the round button, and all that a page sees of the chat before somebody opens it.

import { stores } from "../store.js";
import { serverAddress } from "./addresses.js";
import { icon, make } from "./dom.js";
import { emit } from "./events.js";
import { adopt, appear } from "./keeper.js";
import { chooseLanguage, wishes } from "./languages.js";
import { load } from "./loader.js";
import { policy } from "./policy.js";
import { OPEN } from "./words.js";
import STYLE from "./button.css";

/** @typedef {import("../types").ChatPart} ChatPart */

const CHAT = "M20 11.5a7.5 7.5 0 0 1-7.5 7.5c-1.3 0-2.6-.3-3.7-.9L4 19.5l1.4-4.3A7.5 7.5 0 1 1 20 11.5z";
const DOWN = "M6 9.5l6 6 6-6";
const SOON = 1_500; // ms

/** The page's own tag. */
const tag = /** @type {HTMLScriptElement | null} */ (
  document.currentScript ?? document.querySelector('script[src*="/widget.js"]'));
const base = tag?.src || document.baseURI;

/** What `setPage` has said since, by the attributes' names. @type {import("../types").Given} */
const page = {};

export class SwitchboardChat extends HTMLElement {
  static appear = appear;

  /** @type {ChatPart | null} */
  #chat = null;
  /** @type {Promise<void> | null} */
  #loading = null;
  #wantsOpen = false;
  #language = "en";
  #own = new CSSStyleSheet(); // the page's colour, and what answers its zoom
  #ui = /** @type {{frame: HTMLElement, launcher: HTMLButtonElement, unread: HTMLElement}} */ ({});
  // A page may register a name (@property) so that nothing inherits it: ours cannot be guessed.
  #prefix = `--sb-${Math.random().toString(36).slice(2)}-`;

  /** What the page says, by the attributes' names. @returns {import("../types").Given} */
  get given() {
    return { ...tag?.dataset, ...this.dataset, ...page };
  }

  get #floats() {
    return this.getAttribute("mode") === "float";
  }

  connectedCallback() {
    if (!adopt(this)) return;
    if (!this.#ui.frame) this.#begin();
    const { frame } = this.#ui;
    if (frame.popover && typeof frame.showPopover === "function" && !frame.matches(":popover-open")) frame.showPopover();
    // Again whenever it comes into the page: `document.open` takes all listeners away. Twice has no effect.
    window.addEventListener("resize", this.#dress);
    this.#dress();
    if (this.#chat) this.#chat.enter();
    else if (!this.#floats || this.#knows()) this.#load();
  }

  disconnectedCallback() {
    // It may only be on its way to another place in the page.
    setTimeout(() => {
      if (!this.isConnected) this.#chat?.leave();
    });
  }

  /**
   * `document.open` takes every listener away, also from what is inside this element: then another
   * has to take its place. Whether this one's dialog was open, or null where it works.
   */
  retired() {
    const { frame } = this.#ui;
    if (!frame || !frame.dispatchEvent(new Event("switchboard-alive", { cancelable: true }))) return null;
    return this.replaced();
  }

  /** Leaves for another to take its place: whether it was open. */
  replaced() {
    this.#chat?.leave();
    this.remove();
    return this.isOpen;
  }

  get isOpen() {
    return this.#chat ? this.#chat.isOpen : this.#wantsOpen;
  }

  open() {
    this.#wantsOpen = true;
    if (this.#chat) this.#chat.open(true);
    this.#load();
  }

  close() {
    this.#wantsOpen = false;
    this.#chat?.close();
  }

  async reset() {
    if (!this.#knows()) return;
    await this.#load();
    this.#chat?.reset();
  }

  /**
   * What the page is now.
   *
   * @param {import("../types").Given} changes
   * @returns {boolean} false: its language is another, which needs a new element
   */
  change(changes) {
    Object.assign(page, changes);
    if (!this.#ui.frame) return true;
    this.#dress();
    this.#chat?.change();
    return chooseLanguage(wishes(this.given)) === this.#language;
  }

  #begin() {
    const { given } = this;
    const { attach, fullPage } = given;
    const mode = attach ? "attach" : fullPage !== undefined && !/^(no|off|false|0)$/i.test(fullPage) ? "page" : "float";
    this.#language = chooseLanguage(wishes(given));
    this.setAttribute("mode", mode);
    const ui = this.#ui;
    ui.unread = make("span", { class: "unread", "data-role": "unread", "aria-hidden": "true", hidden: true });
    const load = () => this.#load();
    ui.launcher = make("button",
      { type: "button", class: "launcher", part: "launcher", "data-role": "launcher", "aria-haspopup": "dialog",
        "aria-expanded": "false", "aria-label": this.#label, hidden: mode !== "float",
        onclick: () => (this.isOpen ? this.close() : this.open()), onpointerenter: load, onfocus: load },
      icon("chat", CHAT), icon("down", DOWN), ui.unread);
    ui.frame = make("div",
      { class: "frame", lang: this.#language,
        "onswitchboard-alive": (/** @type {Event} */ event) => event.preventDefault() },
      ui.launcher);
    if (mode !== "attach") ui.frame.popover = "manual";
    const root = this.attachShadow({ mode: "open" });
    this.#sheet(STYLE);
    root.adoptedStyleSheets.push(this.#own);
    root.append(ui.frame);
    // Both are the second step's; the page itself comes first.
    if (given.greeting || given.openAfter) setTimeout(load, SOON);
  }

  get #label() {
    return window.switchboard?.texts?.open ?? this.given.open ?? OPEN[this.#language];
  }

  /** @param {string} css */
  #sheet(css) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css.replaceAll("--sb-", this.#prefix));
    this.shadowRoot?.adoptedStyleSheets.push(sheet);
  }

  /** Side and colour, as the page wants them. The root element's zoom is the one thing that reaches into the top layer. */
  #dress = () => {
    const { color, side } = this.given;
    if (side) this.setAttribute("side", side);
    const zoom = /** @type {{currentCSSZoom?: number}} */ (document.documentElement).currentCSSZoom ?? 1;
    this.#own.replaceSync((zoom === 1 ? "" : `.frame{zoom:${1 / zoom}}`)
      + (color && CSS.supports("color", color) ? `.frame{${this.#prefix}page:${color}}` : ""));
  };

  get #address() {
    return serverAddress(this.given.server, base, document.baseURI);
  }

  /** There is a conversation, or the beginning of one. */
  #knows() {
    const { memory, outbox } = stores(this.#address);
    return memory.read() !== null || outbox.read()?.length > 0;
  }

  #load() {
    return (this.#loading ??= this.#enter());
  }

  /** The second step. Where it cannot be had the button says so, and asks again when it is pressed. */
  async #enter() {
    const { frame, launcher, unread } = this.#ui;
    launcher.setAttribute("aria-busy", "true");
    try {
      const { createChat } = await load("chat.js", WIDGET_HASHES["chat.js"], tag);
      const element = this;
      const chat = await createChat(/** @type {import("../types").Host} */ ({
        element, frame, launcher, unread, policy, emit,
        language: this.#language,
        address: this.#address,
        get given() {
          return element.given;
        },
        dress: (css) => this.#sheet(css),
        load: (name, integrity) => load(name, integrity, tag),
      }));
      this.#chat = chat;
      unread.hidden = true;
      chat.start();
      chat.enter();
      if (this.#wantsOpen || !this.#floats) chat.open(this.#wantsOpen);
    } catch (error) {
      console.warn("Switchboard: the chat could not be loaded.", error);
      this.#loading = null;
      if (!this.#wantsOpen) return;
      this.#wantsOpen = false;
      unread.dataset.count = "!";
      unread.hidden = false;
    } finally {
      launcher.removeAttribute("aria-busy");
    }
  }
}
