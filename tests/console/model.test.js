import assert from "node:assert/strict";
import { test } from "node:test";
import { DeskModel, dueState, isIn, isUnread } from "../../services/operator/static/console/model.js";

const NOW = Date.parse("2026-11-27T12:00:00Z");

/** @param {Partial<import("../../services/operator/static/console/types").Row>} given */
const row = (given) => /** @type {import("../../services/operator/static/console/types").Row} */ ({
  id: "a", visitor: "", known: false, language: "", door: "websocket", owner: "bot", operator: "", operator_name: "",
  queue: "", status: "open", ending: null, flow: "", place: null, waiting_since: null, due: null, last_line: "", started: "",
  updated: "2026-11-27T11:00:00Z", position: 1, noted: 0, labels: [], priority: "normal", snoozed_until: null, spam: false,
  read: {}, assigned: null, ...given,
});

/** @param {Parameters<typeof row>[0][]} given */
function desk(...given) {
  const model = new DeskModel();
  model.me = "ada";
  for (const each of given) model.put(row(each));
  return model;
}

const waiting = { owner: /** @type {const} */ ("queue"), queue: "sales" };
const mine = { owner: /** @type {const} */ ("operator"), operator: "ada" };

test("what waits is in the queue, what I have is mine, all that is open is live", () => {
  const model = desk({ id: "w", ...waiting }, { id: "m", ...mine }, { id: "b" }, { id: "o", ...mine, operator: "bob" },
    { id: "r", status: "resolved" });
  const ids = (/** @type {import("../../services/operator/static/console/types").View} */ view) =>
    model.list(view, NOW).map((each) => each.id).sort();
  assert.deepEqual(ids("queue"), ["w"]);
  assert.deepEqual(ids("mine"), ["m"]);
  assert.deepEqual(ids("live"), ["b", "m", "o", "w"]);
  assert.deepEqual(ids("resolved"), ["r"]);
});

test("what is snoozed is away from queue and mine until its time has come", () => {
  const until = "2026-11-27T13:00:00Z";
  const model = desk({ id: "w", ...waiting, snoozed_until: until }, { id: "m", ...mine, snoozed_until: until });
  assert.deepEqual(model.counts(NOW), { queue: 0, mine: 0, unread: 0, snoozed: 2 });
  assert.deepEqual(model.counts(Date.parse(until)), { queue: 1, mine: 1, unread: 0, snoozed: 0 });
  assert.equal(isIn("live", row({ snoozed_until: until }), "ada", NOW), true);
});

test("the urgent comes first, then who waits longest, then what nobody waits for", () => {
  const model = desk(
    { id: "idle", ...mine, updated: "2026-11-27T11:59:00Z" },
    { id: "late", ...mine, waiting_since: "2026-11-27T11:50:00Z" },
    { id: "early", ...mine, waiting_since: "2026-11-27T11:40:00Z" },
    { id: "urgent", ...mine, waiting_since: "2026-11-27T11:58:00Z", priority: "urgent" },
    { id: "low", ...mine, waiting_since: "2026-11-27T10:00:00Z", priority: "low" },
  );
  assert.deepEqual(model.list("mine", NOW).map((each) => each.id), ["urgent", "early", "late", "low", "idle"]);
});

test("of those who wait, what is due first comes first, and goes through three states", () => {
  const due = (/** @type {string} */ at) => ({ goal: /** @type {const} */ ("first_response"), at, mark: "2026-11-27T12:04:00.000Z" });
  const model = desk(
    { id: "early", ...waiting, waiting_since: "2026-11-27T11:40:00Z" },
    { id: "late", ...waiting, waiting_since: "2026-11-27T11:58:00Z", due: due("2026-11-27T12:05:00.000Z") },
    { id: "later", ...waiting, waiting_since: "2026-11-27T11:57:00Z", due: due("2026-11-27T12:06:00.000Z") },
    { id: "urgent", ...waiting, waiting_since: "2026-11-27T11:59:00Z", priority: "urgent" },
  );
  assert.deepEqual(model.list("queue", NOW).map((each) => each.id), ["urgent", "late", "later", "early"]);
  const state = (/** @type {string} */ id, /** @type {number} */ minutes) =>
    dueState(/** @type {any} */ (model.rows.get(id)), NOW + minutes * 60_000);
  assert.deepEqual([state("late", 3), state("late", 4), state("late", 5), state("early", 9)], ["well", "soon", "over", ""]);
});

test("what is snoozed is in the order in which it comes back", () => {
  const model = desk({ id: "b", snoozed_until: "2026-11-29T08:00:00Z" }, { id: "a", snoozed_until: "2026-11-28T08:00:00Z" });
  assert.deepEqual(model.list("snoozed", NOW).map((each) => each.id), ["a", "b"]);
});

test("an older row changes nothing, whether it is of what was said or of what was noted", () => {
  const model = desk({ position: 5, noted: 7, labels: ["new"] });
  model.put(row({ position: 6, noted: 2, labels: ["old"] }));
  assert.deepEqual(model.rows.get("a")?.labels, ["new"]);
  model.put(row({ position: 8, noted: 7, labels: ["newer"] }));
  assert.deepEqual(model.rows.get("a")?.labels, ["newer"]);
});

test("what arrives while the lists are read is newer than what is read, and what is in none of them is gone", () => {
  const model = desk({ id: "gone" }, { id: "stays", position: 3 });
  const read = model.begin();
  model.put(row({ id: "stays", position: 9 })); // an event
  model.put(row({ id: "stays", position: 4 })); // of a list
  assert.equal(model.rows.has("gone"), true); // until all is read
  model.end(read);
  assert.deepEqual([...model.rows.keys()], ["stays"]);
  assert.equal(model.rows.get("stays")?.position, 9);
});

test("a reading that another one followed has no say", () => {
  const model = desk({ id: "a" });
  const first = model.begin();
  const second = model.begin();
  model.put(row({ id: "b" }));
  model.end(first);
  assert.equal(model.rows.has("a"), true);
  model.end(second);
  assert.deepEqual([...model.rows.keys()], ["b"]);
});

test("what was erased while the lists are read does not come back with them", () => {
  const model = desk({ id: "a" });
  const read = model.begin();
  model.put(row({ id: "a" }));
  model.remove("a");
  model.put(row({ id: "a" })); // of a list that was read before
  model.end(read);
  assert.equal(model.rows.size, 0);
});

test("a row is unread to whoever has it and has not seen the visitor's word", () => {
  const said = { ...mine, waiting_since: "2026-11-27T11:50:00Z", position: 8 };
  assert.equal(isUnread(row(said), "ada"), true);
  assert.equal(isUnread(row(said), "bob"), false);
  assert.equal(isUnread(row({ ...said, read: { ada: 7 } }), "ada"), true);
  assert.equal(isUnread(row({ ...said, read: { ada: 8 } }), "ada"), false);
  assert.equal(isUnread(row({ ...said, waiting_since: null }), "ada"), false);
});

test("whoever listens is told of a row that is new, with what was before", () => {
  const model = desk();
  /** @type {[string, number | undefined][]} */
  const told = [];
  model.changed = (after, before) => told.push([after.id, before?.position]);
  model.put(row({ position: 2 }));
  model.put(row({ position: 3 }));
  model.put(row({ position: 1 }));
  assert.deepEqual(told, [["a", undefined], ["a", 2]]);
});
