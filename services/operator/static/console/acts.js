// What an operator does with a conversation: one request, what is said of it afterwards, and how it is undone.

import { api } from "./api.js";
import { shortly, t } from "./words.js";

/** @typedef {import("./types").Row} Row */
/** @typedef {import("./types").DeskDetail} DeskDetail */
/** @typedef {[string, any?]} Act */
/**
 * @typedef {object} Kind
 * @property {(id: string, value: any) => Promise<Row | DeskDetail>} run
 * @property {(value: any) => string} [done] what is said of it
 * @property {(row: Row, value: any) => Act | undefined} [undo] the act that undoes it; `row` is that from before
 */

/** @type {Record<string, Kind>} */
const ACTS = {
  claim: { run: (id) => api.claim(id) },
  takeFrom: { run: (id, from) => api.claim(id, from) },
  give: {
    run: (id, { operator, from }) => api.give(id, operator, from),
    done: ({ display }) => t("didTransfer", { name: display }),
  },
  handback: {
    run: (id, state) => api.handback(id, state),
    done: () => t("didHandback"),
    undo: () => ["claim"],
  },
  release: {
    run: (id) => api.transfer(id, {}),
    done: () => t("didRelease"),
    undo: () => ["claim"],
  },
  transfer: {
    run: (id, { to }) => api.transfer(id, to),
    done: ({ display }) => t("didTransfer", { name: display }),
  },
  resolve: {
    run: (id, unjoined) => api.resolve(id, unjoined),
    done: () => t("didResolve"),
    undo: () => ["reopen"],
  },
  askAddress: { run: (id) => api.askAddress(id), done: () => t("didAskAddress") },
  askRating: { run: (id) => api.askRating(id), done: () => t("didAskRating") },
  reopen: { run: (id) => api.reopen(id) },
  snooze: {
    run: (id, until) => api.note(id, "snooze", { until }),
    done: (until) => t("didSnooze", { time: shortly(until) }),
    undo: () => ["unsnooze"],
  },
  unsnooze: {
    run: (id) => api.note(id, "unsnooze", {}),
    done: () => t("didUnsnooze"),
    undo: (row) => (row.snoozed_until ? ["snooze", row.snoozed_until] : undefined),
  },
  spam: { run: (id) => api.note(id, "spam", {}), done: () => t("didSpam"), undo: () => ["unspam"] },
  unspam: { run: (id) => api.note(id, "unspam", {}), done: () => t("didUnspam"), undo: () => ["spam"] },
  priority: {
    run: (id, priority) => api.note(id, "priority", { priority }),
    done: (/** @type {import("./types").Priority} */ priority) => t("didPriority", { priority: t(priority) }),
    undo: (row) => ["priority", row.priority],
  },
  label: {
    run: (id, label) => api.note(id, "label", { label }),
    done: (label) => t("didLabel", { label }),
    undo: (_row, label) => ["unlabel", label],
  },
  unlabel: {
    run: (id, label) => api.note(id, "unlabel", { label }),
    done: (label) => t("didUnlabel", { label }),
    undo: (_row, label) => ["label", label],
  },
  assign: {
    run: (id, to) => api.note(id, "assign", meant(to)),
    done: (to) => (to ? t("didAssign", { name: Object.values(meant(to))[0] }) : t("didUnassign")),
    undo: (row) => ["assign", assigned(row)],
  },
  removeNote: {
    run: (id, note) => api.note(id, "remove-note", { note }),
    done: () => t("didRemoveNote"),
  },
};

/** @param {string} name */
export const actOf = (name) => ACTS[name];

/** What "operator:ada" or "queue:sales" means to the API; nothing is nobody. @param {string} to @returns {Record<string, string>} */
function meant(to) {
  const at = to.indexOf(":");
  return at < 0 ? {} : { [to.slice(0, at)]: to.slice(at + 1) };
}

/** @param {Row} row */
function assigned({ assigned: to }) {
  return to?.operator ? `operator:${to.operator}` : to?.queue ? `queue:${to.queue}` : "";
}
