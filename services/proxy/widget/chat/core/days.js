// Times and days as the visitor's browser writes them. Without DOM.

/**
 * The day of a moment in the browser's time zone, as its midnight (ms).
 *
 * @param {string | number} time
 */
export const dayOf = (time) => new Date(time).setHours(0, 0, 0, 0);

/**
 * "Today", "yesterday", or the date.
 *
 * @param {number} time
 * @param {string | readonly string[]} languages
 * @param {number} today
 */
export function dayName(time, languages, today = Date.now()) {
  const [then, now] = [new Date(time), new Date(today)];
  /** @param {Date} date */
  const midnight = (date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  const days = (midnight(then) - midnight(now)) / 86_400_000;
  if (days === 0 || days === -1) {
    return new Intl.RelativeTimeFormat(/** @type {any} */ (languages), { numeric: "auto" }).format(days, "day");
  }
  return then.toLocaleDateString(/** @type {any} */ (languages), {
    weekday: "long", day: "numeric", month: "long",
    ...(then.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }),
  });
}

/**
 * The time of day.
 *
 * @param {string | number} time
 * @param {string | readonly string[]} languages
 */
export const clock = (time, languages) =>
  new Date(time).toLocaleTimeString(/** @type {any} */ (languages), { hour: "numeric", minute: "2-digit" });

/**
 * Day and time in full.
 *
 * @param {string | number} time
 * @param {string | readonly string[]} languages
 */
export const moment = (time, languages) =>
  new Date(time).toLocaleString(/** @type {any} */ (languages), { dateStyle: "full", timeStyle: "short" });
