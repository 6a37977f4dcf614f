import assert from "node:assert/strict";
import { test } from "node:test";
import { address, dayOf, days, query, read, usual } from "../../services/analytics/static/page/choices.js";

const ZONE = "Europe/Berlin";
const NOON = Date.parse("2026-11-27T11:00:00Z");

test("what is looked at stands in the address bar, and what is as usual does not", () => {
  const view = "#period=7&queue=sales&number=waiting_time&by=outcome&named=";
  assert.equal(address({ ...read(view, ZONE), zone: "" }), view);
  assert.equal(address(usual("")), "#");
  assert.deepEqual(read("", ZONE), usual(ZONE));
});

test("an address that says nonsense shows what is usual", () => {
  const found = read("#period=forever&zone=Mars/Base&parts=maybe&hours=mine&constructor=1", ZONE);
  assert.deepEqual(found, usual(ZONE));
  assert.equal(read("#period=own&since=yesterday&until=2026-11-27", ZONE).period, "28");
  assert.equal(read("#zone=Asia/Kathmandu", ZONE).zone, "Asia/Kathmandu");
});

test("a period is days of the zone that was chosen", () => {
  const late = Date.parse("2026-11-27T23:30:00Z"); // the 28th in Berlin
  assert.equal(dayOf(late, ZONE), "2026-11-28");
  const of = (/** @type {import("../../services/analytics/static/page/types").Choices["period"]} */ period, zone = ZONE) =>
    Object.values(days({ ...usual(zone), period }, late));
  assert.deepEqual(of("today"), ["2026-11-28", "2026-11-28"]);
  assert.deepEqual(of("today", "UTC"), ["2026-11-27", "2026-11-27"]);
  assert.deepEqual(of("yesterday"), ["2026-11-27", "2026-11-27"]);
  assert.deepEqual(of("7"), ["2026-11-22", "2026-11-28"]);
  assert.deepEqual(of("month"), ["2026-11-01", "2026-11-28"]);
});

test("over a change of the clocks seven days are seven days", () => {
  const after = Date.parse("2026-10-27T11:00:00Z");
  assert.deepEqual(days({ ...usual(ZONE), period: "7" }, after), { since: "2026-10-21", until: "2026-10-27" });
});

test("the API is asked for the period, the zone and what is filtered", () => {
  const asked = query({ ...usual(ZONE), period: "today", queue: "sales", hours: "working" }, NOON);
  assert.deepEqual(asked, { since: "2026-11-27", until: "2026-11-27", zone: ZONE, hours: "working", queue: "sales" });
});
