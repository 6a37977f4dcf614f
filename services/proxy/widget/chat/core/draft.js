// The assistant's words while it makes them. Without DOM.

/** @typedef {import("../../types").Frame} Frame */

export class Draft {
  text = "";
  #attempt;
  #length = 0; // in characters (code points), as offsets count

  /** @param {Frame} frame the first of an attempt, or what there is of it so far */
  constructor(frame) {
    this.turn = frame.turn;
    this.#attempt = frame.attempt;
  }

  /**
   * The next words. An offset of 0 begins the next attempt, which replaces what there was.
   *
   * @param {Frame} frame
   * @returns {boolean} whether they fit: others are of an attempt that was given up
   */
  add(frame) {
    if (frame.offset === 0) {
      this.text = "";
      this.#length = 0;
      this.#attempt = frame.attempt;
    }
    if (frame.attempt !== this.#attempt || frame.offset !== this.#length) return false;
    this.text += frame.text;
    this.#length += [...(frame.text ?? "")].length;
    return true;
  }
}
