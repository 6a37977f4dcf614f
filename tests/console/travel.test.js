import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem, api } from "../../services/operator/static/console/api.js";
import { NEWEST, Travel } from "../../services/operator/static/console/travel.js";

/** A conversation of so many entries, each at ten times its number. @param {import("node:test").TestContext} given @param {number} total */
function conversation(given, total) {
  const point = (/** @type {number} */ position) => {
    const number = Math.min(Math.floor(position / 10), total);
    return /** @type {any} */ ({
      number, total, position: number * 10,
      previous: number > 1 ? (number - 1) * 10 : null, next: number < total ? (number + 1) * 10 : null,
    });
  };
  const at = given.mock.method(api, "historyAt", async (/** @type {string} */ _, /** @type {number} */ position) => point(position));
  const pages = given.mock.method(api, "history", async (/** @type {string} */ _, /** @type {number} */ first, /** @type {number} */ limit) => ({
    total,
    entries: Array.from({ length: Math.min(limit, total - first + 1) }, (_entry, index) => /** @type {any} */ ({ position: (first + index) * 10 })),
  }));
  return { at, pages };
}

test("it begins at the newest entry, and steps beside it take one request", async (given) => {
  const { at, pages } = conversation(given, 1000);
  const travel = new Travel();
  await travel.start("c", NEWEST);
  assert.equal(travel.point?.number, 1000);
  await travel.go(999);
  assert.equal(travel.point?.position, 9990);
  assert.deepEqual([at.mock.callCount(), pages.mock.callCount()], [2, 0]);
});

test("who drags past a hundred entries is shown the last that was wanted", async (given) => {
  const { at } = conversation(given, 1000);
  const travel = new Travel();
  await travel.start("c", NEWEST);
  const first = travel.go(700);
  for (let number = 699; number >= 600; number -= 1) travel.go(number);
  await first;
  assert.deepEqual([travel.point?.number, travel.wanted, travel.busy], [600, 600, false]);
  assert.equal(at.mock.callCount(), 3, "the newest, the first that was wanted, the last");
});

test("there is nothing before the first entry, or behind the last", async (given) => {
  conversation(given, 3);
  const travel = new Travel();
  await travel.start("c", 10);
  await travel.go(0);
  assert.equal(travel.point?.number, 1);
  await travel.go(9);
  assert.equal(travel.point?.number, 3);
});

test("what comes for a conversation that was left is not shown", async (given) => {
  const travel = new Travel();
  conversation(given, 3);
  const late = travel.start("erased", NEWEST);
  travel.leave();
  await late;
  assert.deepEqual([travel.point, travel.id], [null, ""]);
});

test("an entry that cannot be had is told, and the one that is shown stays", async (given) => {
  const { at } = conversation(given, 3);
  const travel = new Travel();
  await travel.start("c", NEWEST);
  at.mock.mockImplementationOnce(async () => {
    throw new Problem(404, { detail: "no such conversation" });
  });
  await travel.go(2);
  assert.deepEqual([travel.point?.number, travel.wanted, travel.busy], [3, 3, false]);
  assert.match(travel.why, /no such/);
  await travel.go(2);
  assert.deepEqual([travel.point?.number, travel.why], [2, ""]);
});

test("a long conversation is asked for until it is read", async (given) => {
  const { at } = conversation(given, 3);
  const travel = new Travel();
  at.mock.mockImplementationOnce(async () => {
    throw new Problem(503, { detail: "this conversation is long, 500 entries are read: ask again" });
  });
  /** @type {Set<string>} */
  const told = new Set();
  travel.changed = () => told.add(travel.why);
  await travel.start("c", NEWEST);
  assert.deepEqual([travel.point?.number, travel.why], [3, ""]);
  assert.ok([...told].some((why) => why.includes("500 entries")));
});
