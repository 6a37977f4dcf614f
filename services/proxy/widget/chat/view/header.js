// The head of the panel: who speaks, and whether there is a connection.

import { icon } from "../../button/dom.js";
import { initials } from "../core/text.js";
import { ICONS } from "./icons.js";

/** @typedef {import("../../types").ConnectionState} ConnectionState */

export class Header {
  #panel;
  #texts;
  #shown = "";
  /** @type {ConnectionState} */
  #state = "offline";
  #speaker = "";

  /**
   * @param {import("./panel.js").Panel} panel
   * @param {() => import("../../types").Texts} texts as they are now
   */
  constructor(panel, texts) {
    this.#panel = panel;
    this.#texts = texts;
  }

  /** @param {ConnectionState} state */
  connection(state) {
    this.#state = state;
    this.#panel.status.dataset.state = state;
    this.#say();
  }

  /** @param {{kind: "bot" | "assistant" | "queue" | "operator", name?: string}} speaker */
  speaker({ kind, name }) {
    const { title, waiting, person, assistant, bot } = this.#texts();
    const shown = JSON.stringify([kind, name, title]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const { face } = this.#panel;
    const letters = kind === "operator" && name ? initials(name) : "";
    face.replaceChildren(letters || icon(kind, kind === "operator" || kind === "queue" ? ICONS.person : ICONS.bot));
    this.#panel.title.textContent = kind === "operator" ? name || person : title;
    this.#panel.dialog.setAttribute("aria-label", title);
    this.#speaker = { operator: person, queue: waiting, assistant, bot }[kind];
    this.#say();
  }

  #say() {
    const { connecting, offline } = this.#texts();
    const said = { connected: this.#speaker, connecting, offline }[this.#state];
    if (this.#panel.status.textContent !== said) this.#panel.status.textContent = said;
  }
}
