// What was before the newest part of the conversation, when somebody looks back.

/** @typedef {import("../types").Frame} Frame */

export class Earlier {
  #connection;
  #lines;
  #scrolling;
  #show;
  /** The cursor before which there is more; null where all is shown. @type {string | null} */
  #before = null;
  /** What has come of it since it was asked for. @type {Frame[] | null} */
  #told = null;
  /** Waits for what was asked for. @type {(() => void) | null} */
  #done = null;

  /**
   * @param {import("./transport/connection.js").Connection} connection
   * @param {import("./view/lines.js").Lines} lines
   * @param {import("./view/scrolling.js").Scrolling} scrolling
   * @param {(more: boolean, looking: boolean) => void} show whether there is more, and whether it is on its way
   */
  constructor(connection, lines, scrolling, show) {
    this.#connection = connection;
    this.#lines = lines;
    this.#scrolling = scrolling;
    this.#show = show;
  }

  /** The conversation is told from its newest part. @param {string | null} [before] null: it is all there is */
  begin(before = null) {
    this.#before = before;
    this.#told = null;
    this.#offer();
  }

  /** Somebody wants to see more. */
  look() {
    if (!this.#told) this.#ask();
  }

  /** There is another link: what was asked for is asked for again. */
  resume() {
    if (this.#told) this.#ask();
  }

  /** A part of what was asked for. @param {Frame} frame */
  hear({ before, frames, earlier }) {
    if (!this.#told || before !== this.#before) return;
    const told = this.#told;
    told.push(...(frames ?? []));
    if (earlier === undefined) return; // more of it follows
    this.#before = earlier;
    this.#told = null;
    this.#scrolling.hold(this.#lines.rows.find((row) => !row.matches(".day")), () => {
      this.#lines.tellEarlier(told);
      this.#offer();
    });
  }

  /** Until all of it is shown. */
  async all() {
    while (this.#before !== null) {
      await new Promise((/** @type {(value?: unknown) => void} */ done) => {
        this.#done = done;
        this.look();
      });
    }
  }

  #ask() {
    if (this.#before === null) return;
    this.#told = []; // without a link it is asked for when there is one
    if (!this.#connection.look(this.#before)) this.#before = this.#told = null;
    this.#offer();
  }

  #offer() {
    this.#show(this.#before !== null, this.#told !== null);
    if (this.#told) return;
    this.#done?.();
    this.#done = null;
  }
}
