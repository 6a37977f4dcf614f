// Which messages somebody has read, in any tab of this browser. Without DOM.

export class Reading {
  /** The places of all facts, by their cursors. @type {Map<string, number>} */
  #order = new Map();
  /** The places of what was said, in order. @type {number[]} */
  #news = [];
  /** The cursor of the newest fact. @type {string | null} */
  newest = null;
  /** The cursor of the newest that was shown to somebody. @type {string | null} */
  last = null;

  /** How many facts there are. */
  get size() {
    return this.#order.size;
  }

  /**
   * The newest fact so far.
   *
   * @param {string} cursor
   * @param {boolean} isNews somebody says something in it
   */
  noticed(cursor, isNews) {
    if (isNews) this.#news.push(this.#order.size);
    this.#order.set(cursor, this.#order.size);
    this.newest = cursor;
  }

  /** How many messages nobody has read. */
  get unread() {
    const read = this.#place(this.last);
    let count = 0;
    while (count < this.#news.length && this.#news[this.#news.length - 1 - count] > read) count += 1;
    return count;
  }

  /** All of it is read. Whether that changes anything. */
  readAll() {
    if (this.newest === null || this.last === this.newest) return false;
    this.last = this.newest;
    return true;
  }

  /**
   * Another tab has read up to there: perhaps more than this one.
   *
   * @param {string | null | undefined} cursor
   */
  readElsewhere(cursor) {
    if (cursor && this.#place(cursor) > this.#place(this.last)) this.last = cursor;
  }

  clear() {
    this.#order.clear();
    this.#news = [];
    this.newest = null;
  }

  /** @param {string | null} cursor */
  #place(cursor) {
    return cursor === null ? -1 : this.#order.get(cursor) ?? -1;
  }
}
