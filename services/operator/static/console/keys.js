// One letter does one thing, unless somebody writes, or has switched that off.

import { settings } from "./settings.js";

/** @type {[string, import("./words.js").Name][]} */
export const KEYS = [
  ["1 – 5", "keyQueue"],
  ["j", "keyDown"],
  ["k", "keyUp"],
  ["c", "keyClaim"],
  ["r", "keyReply"],
  ["n", "keyNote"],
  ["e", "keyResolve"],
  ["a", "keyAskAddress"],
  ["v", "keyAskRating"],
  ["h", "keyHandback"],
  ["q", "keyRelease"],
  ["t", "keyTransfer"],
  ["s", "keySnooze"],
  ["l", "keyLabel"],
  ["p", "keyPriority"],
  ["u", "keyUndo"],
  ["f", "keyFind"],
  ["w", "keyHistory"],
  ["g", "keySuggest"],
  ["m", "keySummary"],
  ["?", "keyHelp"],
];

/** The key that was meant for the console, or "". @param {KeyboardEvent} event */
export function keyOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return "";
  const { target } = event;
  if (target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog[open]")) return "";
  if (!settings.get("keys") && event.key !== "?") return "";
  return event.key;
}
