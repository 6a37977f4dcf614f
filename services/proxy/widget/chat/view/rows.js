// The parts of the conversation as elements.

import { make } from "../../button/dom.js";
import { clock, dayName, moment } from "../core/days.js";

/** @typedef {import("../../types").Frame} Frame */

/** How times and days are written: as the browser has it, whatever the chat's own language is. */
const languages = () => navigator.languages;

/**
 * A message.
 *
 * @param {"visitor" | "bot" | "operator"} from
 * @param {Node | string} content
 * @param {{time?: string}} frame
 * @param {boolean} plain its line ends are shown
 */
export function messageRow(from, content, { time }, plain) {
  const bubble = make("div", { class: plain ? "bubble plain" : "bubble", part: "bubble", dir: "auto" }, content);
  if (time) bubble.title = moment(time, languages());
  const row = make("div", { class: `row ${from}`, "data-role": "message", "data-from": from }, bubble);
  if (time) addTime(row, time);
  return row;
}

/**
 * When it was; of several messages in a row only the last one shows it.
 *
 * @param {HTMLElement} row
 * @param {string} time
 */
export function addTime(row, time) {
  row.append(make("time", { class: "note", datetime: time }, clock(time, languages())));
}

/**
 * What happened to somebody. The sentence has a direction of its own, whatever script the name is in.
 *
 * @param {string} text with `{name}`
 * @param {string} name
 */
export function eventRow(text, name) {
  const [before, after] = text.split("{name}");
  return make("div", { class: "row system", "data-role": "message", "data-from": "system" },
    make("span", { dir: "auto" }, before, make("bdi", {}, name), after ?? ""));
}

/** @param {number} day its midnight */
export const dayRow = (day) =>
  make("div", { class: "row system day", "data-role": "day", dir: "auto" }, dayName(day, languages()));

/**
 * @param {HTMLElement} row
 * @param {string} text
 */
export function markRefused(row, text) {
  row.setAttribute("data-refused", "true");
  row.querySelector("time")?.remove();
  row.append(make("span", { class: "note", "data-role": "refused" }, text));
}
