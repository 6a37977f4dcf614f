// Numbers and names as people read them.

/** @typedef {import("./types").Unit} Unit */
/** @typedef {import("./types").Value} Value */

const counts = new Intl.NumberFormat("en");
const NONE = "–";

/** @param {string} name */
export const spaced = (name) => name.replaceAll("_", " ");

/** @type {Record<string, string>} */
export const TOPICS = { visitors: "Visitors", bot: "The bot", people: "People", assistant: "The assistant" };
/** @type {Record<string, string>} */
export const PERIOD_NAMES = {
  ...{ today: "Today", yesterday: "Yesterday", 7: "Last 7 days", 28: "Last 28 days", month: "This month", own: "Own …" },
};
/** @type {Record<string, string>} */
export const GROUP_NAMES = {
  ...{ door: "Door", flow: "Flow", version: "Version of the flow", queue: "Queue", operator: "Operator" },
  ...{ reason: "Reason", state: "State of the flow", outcome: "Outcome", goal: "What was agreed", score: "Score" },
};
export const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds === 0) return "0 s";
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 90) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129600 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;
}

/** A number of a unit. @param {number | null | undefined} value @param {Unit} unit */
export function shown(value, unit) {
  if (value === null || value === undefined) return NONE;
  switch (unit) {
    case "share":
      return `${Number((value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0))} %`;
    case "seconds":
      return duration(value);
    case "score":
      return `${value.toFixed(1)} of 5`;
    case "cost":
      return value.toFixed(2);
    default:
      return counts.format(Math.round(value));
  }
}

/** How often. @param {number} count */
export const times = (count) => (count === 1 ? "once" : `${counts.format(count)} times`);

/** What a number was told of. @param {Value} value @param {Unit} unit */
export function basis(value, unit) {
  if (!value.rows) return "nothing to tell it of";
  if (unit === "share") return `${counts.format(value.parts)} of ${counts.format(value.rows)}`;
  if (unit === "seconds") return `median of ${counts.format(value.rows)}; 9 in 10 within ${shown(value.p90, unit)}`;
  return unit === "count" ? "" : `of ${counts.format(value.rows)}`;
}

/**
 * How a number has changed, in words; `sense` says whether that is good.
 *
 * @param {Value | null | undefined} now @param {Value | null | undefined} before @param {Unit} unit @param {string} better
 */
export function change(now, before, unit, better) {
  const [to, from] = [now?.value, before?.value];
  if (to === null || to === undefined || from === null || from === undefined) return { text: "", sense: "" };
  if (to === from) return { text: "as before", sense: "" };
  const arrow = to > from ? "▲" : "▼";
  const sense = better === "" ? "" : (to > from) === (better === "more") ? "better" : "worse";
  const points = unit === "share" ? `${Math.abs((to - from) * 100).toFixed(1)} points` : "";
  const step = unit === "score" ? Math.abs(to - from).toFixed(1) : points;
  const percent = from ? `${counts.format(Math.round(Math.abs(to / from - 1) * 100))} %` : `from ${shown(from, unit)}`;
  return { text: `${arrow} ${step || percent}${sense ? `, ${sense}` : ""}`, sense };
}

/** A name of a group's value. @param {string} name @param {string} group */
export function groupName(name, group) {
  if (name === "other") return "all others";
  if (name === "") return { operator: "the bot", outcome: "not over yet", state: "no question", flow: "no flow", version: "no flow" }[group] ?? "none";
  if (group === "version") return name.slice(0, 8);
  return group === "reason" || group === "outcome" || group === "goal" ? spaced(name) : name;
}

/** @param {string} time @param {string} zone */
export function moment(time, zone) {
  return new Date(time).toLocaleString("en-GB", { timeZone: zone, dateStyle: "medium", timeStyle: "short" });
}

/** The days of a period, its end not included. @param {string} since @param {string} until @param {string} zone */
export function span(since, until, zone) {
  const write = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short", year: "numeric" });
  const [first, last] = [Date.parse(since), Date.parse(until) - 1];
  return first > last ? "nothing" : write.formatRange(first, last);
}

/** When a point of a series begins. @param {string} begin @param {string} step @param {string} zone */
export function beginOf(begin, step, zone) {
  /** @type {Intl.DateTimeFormatOptions} */
  const form = step === "hour"
    ? { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
    : step === "month" ? { month: "long", year: "numeric" } : { weekday: "short", day: "numeric", month: "short" };
  return new Date(begin).toLocaleString("en-GB", { timeZone: zone, ...form });
}

/** The step of a scale of five, 0 for nothing. @param {number} value @param {number} most */
export function level(value, most) {
  return value > 0 && most > 0 ? Math.max(1, Math.ceil((value / most) * 5)) : 0;
}
