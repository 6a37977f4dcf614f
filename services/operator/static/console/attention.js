// What tells an operator who looks elsewhere: the page's title, a sound, a notification of the browser.

import { isIn, isSnoozed } from "./model.js";
import { settings } from "./settings.js";
import { t } from "./words.js";

/** @typedef {import("./types").Row} Row */

/** @param {number} count */
export function showCount(count) {
  document.title = count ? `(${count}) Switchboard` : "Switchboard";
}

/** @type {AudioContext | null} */
let audio = null;

function ring() {
  try {
    audio ??= new AudioContext();
    const start = audio.currentTime;
    const volume = audio.createGain();
    volume.gain.setValueAtTime(0.12, start);
    volume.gain.exponentialRampToValueAtTime(0.001, start + 0.5);
    volume.connect(audio.destination);
    for (const [pitch, after] of [[660, 0], [880, 0.12]]) {
      const tone = audio.createOscillator();
      tone.frequency.value = pitch;
      tone.connect(volume);
      tone.start(start + after);
      tone.stop(start + 0.5);
    }
  } catch {
    // no sound here, or not before somebody has clicked
  }
}

/**
 * Of a row that has changed, or whose snooze is over: whether it is news for this operator, and what it is.
 *
 * @param {Row} row @param {Row | undefined} before @param {string} me
 * @param {number} now @param {number} then when `before` was looked at
 */
export function news(row, before, me, now, then = now) {
  if (isIn("queue", row, me, now) && !(before && isIn("queue", before, me, then)) && !row.spam) {
    return t("someoneWaits", { visitor: row.visitor, queue: row.queue });
  }
  if (!before || !isIn("mine", row, me, now)) return "";
  if (row.waiting_since && !before.waiting_since) return t("someoneWrites", { visitor: row.visitor });
  return isSnoozed(before, then) ? t("snoozeOver", { visitor: row.visitor }) : "";
}

/**
 * Tell the operator of it, as they wish.
 *
 * @param {Row} row @param {string} text what is news of it, or "" @param {(id: string) => void} choose
 */
export function tell(row, text, choose) {
  if (!text) return;
  if (settings.get("sound")) ring();
  if (!settings.get("notices") || !document.hidden || !("Notification" in window)) return;
  try {
    const shown = new Notification(text, { tag: row.id, icon: "/console/icon.svg" });
    shown.onclick = () => {
      window.focus();
      choose(row.id);
      shown.close();
    };
  } catch {
    // phones let only a service worker show them
  }
}
