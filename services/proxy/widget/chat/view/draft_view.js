import { make } from "../../button/dom.js";
import { Draft } from "../core/draft.js";

/** @typedef {import("../../types").Frame} Frame */
/** @typedef {(text: string, growing: boolean) => Node} DrawMarkdown */

/** The assistant's words while it makes them, in a place of their own. */
export class DraftView {
  // Announced when they are committed, once.
  place = make("div", { "aria-live": "off" });
  #interrupted;
  #load;
  /** What draws Markdown, once it is there: until then its signs are shown. @type {DrawMarkdown | null} */
  #draw = null;
  /** @type {Draft | null} */
  #draft = null;
  /** @type {HTMLElement | null} */
  #row = null;
  #drawing = 0; // many pieces are drawn once

  /**
   * @param {string} interrupted what is said of words that were not finished
   * @param {() => Promise<DrawMarkdown>} load only sites with an assistant need it
   */
  constructor(interrupted, load) {
    this.#interrupted = interrupted;
    this.#load = load;
  }

  /** An assistant begins to answer. */
  async prepare() {
    if (this.#draw) return;
    try {
      this.#draw = await this.#load();
      if (this.#draft) this.#show(true);
    } catch {
      // The words themselves are there; the next ones try again.
    }
  }

  /**
   * @param {Frame} frame
   * @param {() => HTMLElement} makeRow
   * @returns {boolean} whether a draft is shown
   */
  add(frame, makeRow) {
    if (this.#draft?.turn !== frame.turn) {
      if (frame.offset !== 0) return false; // its beginning was not for us
      this.drop();
      this.#draft = new Draft(frame);
      this.#row = makeRow();
      this.#row.dataset.role = "draft";
      this.place.append(this.#row);
      void this.prepare();
    }
    if (this.#draft?.add(frame)) this.#drawing ||= requestAnimationFrame(() => this.#show(true));
    return true;
  }

  /**
   * The turn's message is stored: it takes the draft's place.
   *
   * @param {string | undefined} turn
   */
  become(turn) {
    return turn !== undefined && this.#draft?.turn === turn && this.drop();
  }

  /** @returns {boolean} whether there was one */
  drop() {
    if (!this.#draft) return false;
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
    this.#row?.remove();
    this.#draft = this.#row = null;
    return true;
  }

  /**
   * What was read stays to be read; it never was a message, so the next page does not show it.
   *
   * @param {string | undefined} turn
   * @returns {HTMLElement | undefined} the row, which is no draft any more
   */
  interrupt(turn) {
    const row = this.#row;
    if (!row || this.#draft?.turn !== turn) return undefined;
    this.#show(false);
    this.drop();
    row.setAttribute("data-interrupted", "true");
    row.setAttribute("aria-live", "off");
    row.append(make("span", { class: "note" }, this.#interrupted));
    return row;
  }

  /** @param {boolean} growing */
  #show(growing) {
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
    const bubble = this.#row?.querySelector(".bubble");
    const text = this.#draft?.text ?? "";
    bubble?.classList.add(this.#draw ? "drawn" : "plain");
    bubble?.replaceChildren(this.#draw ? this.#draw(text, growing) : text);
  }
}
