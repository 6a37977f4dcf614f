// The editor: what is typed, how long it may be, and what is sent of it.

import { fill, MAX_TEXT, outgoing } from "../core/text.js";

/** A text of this share of what may be sent shows how long it is. */
const SHOWN_FROM = 0.8;
const TYPING_EVERY = 2_000; // ms

/** @param {number} bytes */
const kibibytes = (bytes) => Math.ceil(bytes / 102.4) / 10;

export class Composer {
  #panel;
  #texts;
  #unsent;
  #typing;
  #typed = 0;

  /**
   * @param {import("./panel.js").Panel} panel
   * @param {import("../../types").Texts} texts
   * @param {import("../../store.js").Store} unsent keeps what is typed over page views
   * @param {() => boolean} typing the visitor types, told now and then; false: nobody wants to know
   */
  constructor(panel, texts, unsent, typing) {
    this.#panel = panel;
    this.#texts = texts;
    this.#unsent = unsent;
    this.#typing = typing;
    panel.editor.value = unsent.read() ?? "";
  }

  /** The visitor has changed the text. */
  typed() {
    this.#unsent.write(this.#panel.editor.value);
    this.arrange();
    if (Date.now() - this.#typed >= TYPING_EVERY && this.#typing()) this.#typed = Date.now();
  }

  /**
   * What shall be sent, and the editor is empty; null where nothing can be.
   *
   * @returns {string | null}
   */
  take() {
    const { editor, error } = this.#panel;
    const { content, bytes } = outgoing(editor.value);
    if (editor.disabled || !bytes) return null;
    if (bytes > MAX_TEXT) {
      error.textContent = fill(this.#texts.tooLong, { size: kibibytes(bytes) });
      error.hidden = false;
      return null;
    }
    editor.value = "";
    this.#unsent.write("");
    this.arrange();
    return content;
  }

  /**
   * Puts a text back that was not sent, unless something is typed.
   *
   * @param {string} text
   */
  giveBack(text) {
    this.#panel.editor.value ||= text;
    this.arrange();
  }

  /**
   * What the editor takes; null for nothing.
   *
   * @param {string | null} prompt
   * @param {string} closed what it says then
   */
  offer(prompt, closed) {
    const { editor } = this.#panel;
    editor.disabled = prompt === null;
    editor.placeholder = prompt ?? closed;
    editor.setAttribute("aria-label", editor.placeholder);
    this.#panel.send.disabled = editor.disabled || !editor.value.trim();
  }

  /** Height, limit and button, as the text is. */
  arrange() {
    const { editor, error, limit, send } = this.#panel;
    error.hidden = true;
    const { length } = editor.value;
    // A character has at most three bytes for each of its units: what is shorter is not counted.
    const bytes = length * 3 < MAX_TEXT * SHOWN_FROM ? 0 : outgoing(editor.value).bytes;
    limit.hidden = bytes < MAX_TEXT * SHOWN_FROM;
    limit.textContent = fill(this.#texts.limit, { size: kibibytes(bytes) });
    limit.toggleAttribute("data-over", bytes > MAX_TEXT);
    editor.style.height = "auto";
    editor.style.height = `${editor.scrollHeight + 2}px`;
    send.disabled = editor.disabled || !editor.value.trim();
  }
}

/**
 * Whether a key sends what is typed. While an input method composes, Enter picks a candidate.
 *
 * @param {KeyboardEvent} event
 */
export const sends = (event) =>
  event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
