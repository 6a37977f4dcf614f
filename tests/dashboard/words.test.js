import assert from "node:assert/strict";
import { test } from "node:test";
import { basis, change, groupName, level, shown, span } from "../../services/analytics/static/page/words.js";

/** @param {number | null} value @returns {import("../../services/analytics/static/page/types").Value} */
const of = (value, rows = 10, parts = 0) => ({ value, rows, parts, p90: null, p95: null });

test("each unit is told as people say it", () => {
  assert.equal(shown(1234, "count"), "1,234");
  assert.equal(shown(0.0412, "share"), "4.1 %");
  assert.equal(shown(0.41, "share"), "41 %");
  assert.equal(shown(0, "share"), "0 %");
  assert.equal(shown(0.0021, "seconds"), "2.1 ms");
  assert.equal(shown(95, "seconds"), "2 min");
  assert.equal(shown(7200, "seconds"), "2.0 h");
  assert.equal(shown(3.25, "score"), "3.3 of 5");
  assert.equal(shown(null, "share"), "–");
});

test("a change says how much, and whether that is good", () => {
  assert.deepEqual(change(of(110), of(100), "count", ""), { text: "▲ 10 %", sense: "" });
  assert.deepEqual(change(of(0.3), of(0.4), "share", "less"), { text: "▼ 10.0 points, better", sense: "better" });
  assert.deepEqual(change(of(4.1), of(4.4), "score", "more"), { text: "▼ 0.3, worse", sense: "worse" });
  assert.deepEqual(change(of(5), of(5), "count", "less"), { text: "as before", sense: "" });
  assert.deepEqual(change(of(5), of(0), "count", ""), { text: "▲ from 0", sense: "" });
  assert.deepEqual(change(of(null), of(0.4), "share", "less"), { text: "", sense: "" });
});

test("what a number was told of", () => {
  assert.equal(basis(of(0.3, 10, 3), "share"), "3 of 10");
  assert.equal(basis(of(null, 0), "share"), "nothing to tell it of");
});

test("names are words, and what has none is told", () => {
  assert.equal(groupName("stale_answer", "reason"), "stale answer");
  assert.equal(groupName("", "operator"), "the bot");
  assert.equal(groupName("other", "queue"), "all others");
  assert.equal(groupName("0123456789abcdef", "version"), "01234567");
});

test("a period's end is not a part of it", () => {
  assert.equal(span("2026-10-31T23:00:00Z", "2026-11-07T23:00:00Z", "Europe/Berlin").replaceAll(/\s/g, " "), "1 – 7 Nov 2026");
});

test("five steps, and none for nothing", () => {
  assert.deepEqual([0, 1, 20, 21, 100].map((value) => level(value, 100)), [0, 1, 1, 2, 5]);
  assert.equal(level(3, 0), 0);
});
