// A peer that is gone without a word is noticed by its silence only: whether the link is alive.

const HEARTBEAT = 15_000; // ms; a visible page asks after so much silence whether the link is alive
const DOUBT_SHOWN = 1_000; // without an answer to that, it is told
const DOUBT_MOST = 5_000; // and then the link is given up

export class Pulse {
  #ask;
  #changed;
  #lost;
  #hidden;
  #heard = 0; // when the server last said anything
  #beat = /** @type {any} */ (0);
  #doubt = /** @type {any} */ (0); // the timer of an unanswered question
  doubted = false; // it was not answered soon

  /**
   * @param {object} on
   * @param {() => boolean} on.ask sends the question; false where that cannot be
   * @param {() => void} on.changed `doubted` is another
   * @param {() => void} on.lost no answer came
   * @param {() => boolean} on.hidden whether nobody sees the page: then it does not ask
   */
  constructor({ ask, changed, lost, hidden }) {
    this.#ask = ask;
    this.#changed = changed;
    this.#lost = lost;
    this.#hidden = hidden;
  }

  /** The server said something. */
  heard() {
    this.#heard = Date.now();
    if (!this.#doubt) return;
    clearTimeout(this.#doubt);
    this.#doubt = 0;
    this.doubted = false;
    this.#changed();
    this.listen();
  }

  /** Waits for silence. A page that nobody sees does not ask: it does when it is seen again. */
  listen() {
    clearTimeout(this.#beat);
    const rest = this.#heard + HEARTBEAT - Date.now();
    if (rest <= 0 && !this.#hidden()) this.ask();
    else this.#beat = setTimeout(() => this.listen(), rest > 0 ? Math.min(rest, HEARTBEAT) : HEARTBEAT);
  }

  ask() {
    if (this.#doubt || !this.#ask()) return;
    this.#doubt = setTimeout(() => {
      this.doubted = true;
      this.#changed();
      this.#doubt = setTimeout(this.#lost, DOUBT_MOST - DOUBT_SHOWN);
    }, DOUBT_SHOWN);
  }

  stop() {
    clearTimeout(this.#beat);
    clearTimeout(this.#doubt);
    this.#doubt = 0;
    this.doubted = false;
  }
}
