// What tells an operator who looks elsewhere: the page's title, a sound, a notification of the browser.

import { isIn } from "./model.js";
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
 * Of a row that has changed: whether it is news for this operator, and what it is.
 *
 * @param {Row} row @param {Row | undefined} before @param {string} me @param {number} now
 */
function news(row, before, me, now) {
  if (isIn("queue", row, me, now) && !(before && isIn("queue", before, me, now)) && !row.spam) {
    return t("someoneWaits", { visitor: row.visitor, queue: row.queue });
  }
  const mine = isIn("mine", row, me, now);
  return mine && row.waiting_since && !before?.waiting_since && before ? t("someoneWrites", { visitor: row.visitor }) : "";
}

/**
 * Tell the operator of a row that has changed, as they wish.
 *
 * @param {Row} row @param {Row | undefined} before @param {string} me @param {(id: string) => void} choose
 */
export function tell(row, before, me, choose) {
  const text = news(row, before, me, Date.now());
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
