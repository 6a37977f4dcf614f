// The console's words and times, in the operator's language and zone.

import ENGLISH from "./texts/en.js";

/** @typedef {keyof typeof ENGLISH} Name */

const words = /** @type {Record<Name, string | Record<string, string>>} */ (ENGLISH);
const plurals = new Intl.PluralRules("en");
const LANGUAGES = navigator.languages;

/**
 * A text with its values in it. With a `count` it has the form that this number needs.
 *
 * @param {Name} name
 * @param {Record<string, string | number>} [values]
 */
export function t(name, values = {}) {
  const found = words[name];
  const text = typeof found === "string" ? found : found[plurals.select(Number(values.count))] ?? found.other;
  return text.replace(/\{(\w+)\}/g, (whole, value) => String(values[value] ?? whole));
}

const time = new Intl.DateTimeFormat(LANGUAGES, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(LANGUAGES, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const short = new Intl.DateTimeFormat(LANGUAGES, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(LANGUAGES, { dateStyle: "full", timeStyle: "medium" });
const date = new Intl.DateTimeFormat(LANGUAGES);

/** @param {string} when RFC 3339 */
export const timeOf = (when) => time.format(new Date(when));
/** @param {string} when RFC 3339 */
export const exactly = (when) => exact.format(new Date(when));
/** @param {string} when RFC 3339 */
export const shortly = (when) => short.format(new Date(when));

/** The day of a moment, in words. @param {string} when RFC 3339 */
export function dayOf(when) {
  const moment = new Date(when);
  const now = new Date();
  if (moment.toDateString() === now.toDateString()) return t("today");
  now.setDate(now.getDate() - 1);
  return moment.toDateString() === now.toDateString() ? t("yesterday") : day.format(moment);
}

/** How long ago that is. @param {string} when RFC 3339 */
export function since(when) {
  const seconds = Math.max(0, (Date.now() - Date.parse(when)) / 1000);
  return seconds < 86400 ? lasting(seconds) : date.format(new Date(when));
}

/** @param {number} seconds */
export function lasting(seconds) {
  if (seconds < 60) return t("seconds", { count: Math.floor(seconds) });
  if (seconds < 3600) return t("minutes", { count: Math.floor(seconds / 60) });
  return t("hours", { count: Math.floor(seconds / 3600) });
}

/** By when, or for how long that is over. @param {string} when RFC 3339 */
export function left(when) {
  const seconds = (Date.parse(when) - Date.now()) / 1000;
  if (seconds >= 43200) return t("dueAt", { time: shortly(when) });
  return seconds > 0 ? t("dueIn", { time: lasting(seconds) }) : t("overBy", { time: lasting(-seconds) });
}
