// Which conversations there are, and in which list each is: kept up to date by events. No page, no network.

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").View} View */

/** @type {View[]} */
export const VIEWS = ["queue", "mine", "live", "snoozed", "resolved"];

const URGENCY = { urgent: 0, high: 1, normal: 2, low: 3 };

/** What somebody has chosen to be, in words. @type {Record<import("./types").Availability, import("./words.js").Name>} */
export const AVAILABLE = { online: "takesOn", busy: "takesBusy", away: "takesAway" };

const NEVER = "~"; // comes after every time

/** How an agreed time stands: well, nearly over, over. @param {Row} row @param {number} now ms since 1970 */
export function dueState({ due }, now) {
  if (!due) return "";
  return Date.parse(due.at) <= now ? "over" : Date.parse(due.mark) <= now ? "soon" : "well";
}

/** The last thing that a row knows of. @param {Row} row */
export const newest = (row) => Math.max(row.position, row.noted);

/** @param {Row} row @param {number} now ms since 1970 */
export const isSnoozed = (row, now) => row.snoozed_until !== null && Date.parse(row.snoozed_until) > now;

/** Whether a row belongs into a list. @param {View} view @param {Row} row @param {string} me @param {number} now */
export function isIn(view, row, me, now) {
  if (view === "resolved") return row.status === "resolved";
  if (row.status === "resolved") return false;
  if (view === "live") return true;
  if (view === "snoozed") return isSnoozed(row, now);
  if (isSnoozed(row, now)) return false;
  return view === "queue" ? row.owner === "queue" : row.owner === "operator" && row.operator === me;
}

/** The visitor has said something that this operator has not seen. @param {Row} row @param {string} me */
export function isUnread(row, me) {
  if (row.owner !== "operator" || row.operator !== me || row.waiting_since === null) return false;
  return (row.read[me] ?? 0) < row.position;
}

/**
 * The order of a list: those who wait come first, the urgent before the others, then by what is agreed, then who
 * waits longest; what is snoozed by when it comes back; all else by what happened last.
 *
 * @param {View} view
 * @returns {(a: Row, b: Row) => number}
 */
function order(view) {
  if (view === "snoozed") return (a, b) => compare(a.snoozed_until ?? "", b.snoozed_until ?? "");
  /** @param {Row} a @param {Row} b */
  const latest = (a, b) => compare(b.updated, a.updated) || compare(a.id, b.id);
  if (view === "live" || view === "resolved") return latest;
  return (a, b) => {
    if ((a.waiting_since === null) !== (b.waiting_since === null)) return a.waiting_since === null ? 1 : -1;
    return URGENCY[a.priority] - URGENCY[b.priority]
      || (a.waiting_since !== null && b.waiting_since !== null
        ? compare(a.due?.at ?? NEVER, b.due?.at ?? NEVER) || compare(a.waiting_since, b.waiting_since) : 0)
      || latest(a, b);
  };
}

/** @param {string} a @param {string} b */
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

export class DeskModel {
  constructor() {
    this.me = "";
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** What is read anew, while it is. @type {Map<string, Row> | null} */
    this.reading = null;
    /** What was removed meanwhile. @type {Set<string>} */
    this.gone = new Set();
    /** @type {Partial<Record<View, number | null>>} */
    this.next = {};
    this.changed = /** @param {Row} _row @param {Row | undefined} _before */ (_row, _before) => {};
  }

  clear() {
    this.rows.clear();
    this.reading = null;
    this.next = {};
  }

  /** A row as it is now; an older one than is known changes nothing. @param {Row} row */
  put(row) {
    if (this.reading && this.gone.has(row.id)) return;
    this.reading?.set(row.id, newer(this.reading.get(row.id), row));
    const before = this.rows.get(row.id);
    const after = newer(before, row);
    if (after === before) return;
    this.rows.set(row.id, after);
    this.changed(after, before);
  }

  /** @param {string} id */
  remove(id) {
    this.rows.delete(id);
    this.reading?.delete(id);
    this.gone.add(id);
  }

  /** All lists are read anew. What arrives meanwhile is newer than what is read. */
  begin() {
    this.gone.clear();
    return (this.reading = new Map());
  }

  /** They are read. @param {Map<string, Row>} read what `begin` gave */
  end(read) {
    if (this.reading !== read) return; // they are being read once more
    this.rows = read;
    this.reading = null;
  }

  /** @param {View} view @param {number} now @param {(row: Row) => boolean} [fits] */
  list(view, now, fits = () => true) {
    return [...this.rows.values()].filter((row) => isIn(view, row, this.me, now) && fits(row)).sort(order(view));
  }

  /** How many there are that somebody should look at. @param {number} now */
  counts(now) {
    let queue = 0;
    let mine = 0;
    let unread = 0;
    let snoozed = 0;
    for (const row of this.rows.values()) {
      if (isIn("queue", row, this.me, now)) queue += 1;
      else if (isIn("mine", row, this.me, now)) mine += 1;
      else if (isIn("snoozed", row, this.me, now)) snoozed += 1;
      if (isUnread(row, this.me)) unread += 1;
    }
    return { queue, mine, unread, snoozed };
  }

  /** Values that rows have, sorted. @param {(row: Row) => string[]} of */
  known(of) {
    return [...new Set([...this.rows.values()].flatMap(of))].filter(Boolean).sort((a, b) => a.localeCompare(b));
  }
}

/** @param {Row | undefined} known @param {Row} row */
const newer = (known, row) => (known && newest(known) > newest(row) ? known : row);
