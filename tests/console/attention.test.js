import assert from "node:assert/strict";
import { test } from "node:test";
import { news } from "../../services/operator/static/console/attention.js";


const NOW = Date.parse("2026-11-27T12:00:00Z");

/** @param {Partial<import("../../services/operator/static/console/types").Row>} given */
const row = (given) => /** @type {import("../../services/operator/static/console/types").Row} */ ({
  id: "a", visitor: "Grace", owner: "bot", operator: "", queue: "sales", status: "open", waiting_since: null,
  snoozed_until: null, spam: false, ...given,
});
const queued = { owner: /** @type {const} */ ("queue") };
const mine = { owner: /** @type {const} */ ("operator"), operator: "ada" };
const WAITS = "2026-11-27T11:59:00Z";

test("somebody who begins to wait in a queue is news once", () => {
  assert.equal(news(row(queued), row({}), "ada", NOW), "Grace waits in “sales”");
  assert.equal(news(row(queued), undefined, "ada", NOW), "Grace waits in “sales”");
  assert.equal(news(row(queued), row(queued), "ada", NOW), "");
  assert.equal(news(row({ ...queued, spam: true }), row({}), "ada", NOW), "");
});

test("a visitor who writes to me is news, one who writes to a colleague is not", () => {
  assert.equal(news(row({ ...mine, waiting_since: WAITS }), row(mine), "ada", NOW), "Grace has written");
  assert.equal(news(row({ ...mine, waiting_since: WAITS }), row({ ...mine, waiting_since: WAITS }), "ada", NOW), "");
  assert.equal(news(row({ ...mine, waiting_since: WAITS }), row(mine), "bob", NOW), "");
});

test("a snooze that is over is news", () => {
  const until = "2026-11-27T11:59:58Z";
  const before = NOW - 5000;
  for (const [whose, text] of /** @type {const} */ ([[mine, "Grace is no longer snoozed"], [queued, "Grace waits in “sales”"]])) {
    const snoozed = row({ ...whose, snoozed_until: until });
    assert.equal(news(snoozed, snoozed, "ada", NOW, before), text);
    assert.equal(news(snoozed, snoozed, "ada", NOW + 5000, NOW), ""); // it was told
    assert.equal(news(snoozed, snoozed, "ada", before, before - 5000), ""); // it is to come
  }
});
