// What is looked at, as the address bar holds it: a view can be sent to a colleague.

/** @typedef {import("./types").Choices} Choices */

export const PERIODS = /** @type {const} */ (["today", "yesterday", "7", "28", "month", "own"]);
export const FILTERS = /** @type {const} */ (["door", "flow", "version", "queue", "operator"]);
const TEXTS = /** @type {const} */ (["since", "until", ...FILTERS, "number", "by", "funnel", "other"]);
const DAY = 86_400_000;

/** @param {string} zone @returns {Choices} */
export function usual(zone) {
  return {
    ...{ period: "28", since: "", until: "", zone, door: "", flow: "", version: "", queue: "", operator: "" },
    ...{ number: "conversations", by: "", named: null, parts: false, hours: "", funnel: "", other: "" },
  };
}

/** @param {string} zone */
export function isZone(zone) {
  try {
    return Boolean(zone && new Intl.DateTimeFormat("en", { timeZone: zone }));
  } catch {
    return false;
  }
}

/** What an address says; what it says wrongly is as usual. @param {string} hash @param {string} zone the browser's */
export function read(hash, zone) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const found = usual(zone);
  const period = PERIODS.find((each) => each === given.get("period"));
  if (period) found.period = period;
  for (const name of TEXTS) found[name] = given.get(name) ?? found[name];
  const other = given.get("zone") ?? "";
  if (isZone(other)) found.zone = other;
  found.named = given.get("named");
  found.hours = given.get("hours") === "working" ? "working" : "";
  found.parts = given.get("parts") === "yes";
  const dates = /^\d{4}-\d{2}-\d{2}$/;
  if (found.period !== "own") found.since = found.until = "";
  else if (!dates.test(found.since) || !dates.test(found.until)) found.period = "28";
  return found;
}

/** @param {Choices} choices @returns {string} */
export function address(choices) {
  const said = new URLSearchParams();
  const plain = usual("");
  for (const [name, value] of Object.entries(choices)) {
    const text = name === "parts" ? (value ? "yes" : "") : value;
    if (text !== null && text !== plain[/** @type {keyof Choices} */ (name)] && (text !== "" || name === "named")) said.set(name, String(text));
  }
  return `#${said}`;
}

/** The day of a zone, as 2026-11-27. @param {number} time @param {string} zone */
export function dayOf(time, zone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(time);
}

/** @param {string} day @param {number} days */
function shifted(day, days) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);
}

/** The first and the last day of the chosen period. @param {Choices} choices @param {number} now */
export function days(choices, now) {
  const today = dayOf(now, choices.zone);
  switch (choices.period) {
    case "today":
      return { since: today, until: today };
    case "yesterday":
      return { since: shifted(today, -1), until: shifted(today, -1) };
    case "month":
      return { since: `${today.slice(0, 8)}01`, until: today };
    case "own":
      return { since: choices.since, until: choices.until };
    default:
      return { since: shifted(today, 1 - Number(choices.period)), until: today };
  }
}

/** What the API is asked with. @param {Choices} choices @param {number} now @returns {Record<string, string>} */
export function query(choices, now) {
  const filters = FILTERS.filter((name) => choices[name]).map((name) => [name, choices[name]]);
  return { ...days(choices, now), zone: choices.zone, ...(choices.hours ? { hours: choices.hours } : {}), ...Object.fromEntries(filters) };
}
