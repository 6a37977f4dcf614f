// What tells somebody who does not look: the count on the button and in the page's title, the preview, a sound.

import { CROSS, icon, make } from "../../button/dom.js";

const PREVIEW_MOST = 160; // characters

export class Attention {
  #host;
  #texts;
  #choices;
  #opened;
  #count = 0;
  /** @type {AudioContext | null} */
  #audio = null;
  #title = ""; // what was put before the page's title
  #sound;
  place = make("div", { role: "status" });

  /**
   * @param {import("../../types").Host} host
   * @param {import("../../types").Texts} texts
   * @param {{choices: import("../../store.js").Store, opened: import("../../store.js").Store}} kept
   * @param {boolean} sound until the visitor says otherwise
   */
  constructor(host, texts, { choices, opened }, sound) {
    this.#sound = sound;
    this.#host = host;
    this.#texts = texts;
    this.#choices = choices;
    this.#opened = opened;
  }

  get sound() {
    return this.#choices.read()?.sound ?? this.#sound;
  }

  set sound(on) {
    this.#choices.write({ sound: on });
    if (on) this.ring(true);
  }

  /**
   * How many messages nobody has read.
   *
   * @param {number} count
   * @param {boolean} open the panel is
   */
  unread(count, open) {
    const { openUnread, open: opens, close } = this.#texts;
    const label = open ? close : count ? `${openUnread} (${count})` : opens;
    if (this.#host.launcher.getAttribute("aria-label") !== label) this.#host.launcher.setAttribute("aria-label", label);
    this.#countInTitle(document.hidden ? count : 0);
    if (count === this.#count) return;
    this.#count = count;
    const { unread } = this.#host;
    unread.hidden = count === 0;
    unread.dataset.count = count > 99 ? "99+" : String(count);
    this.#host.emit("unread", { count });
    if (!count) this.preview("", "");
  }

  /** The page's own title is left alone while somebody sees the page. @param {number} count */
  #countInTitle(count) {
    const sign = count ? `(${count}) ` : "";
    if (sign === this.#title) return;
    const own = document.title.startsWith(this.#title) ? document.title.slice(this.#title.length) : document.title;
    this.#title = sign;
    document.title = sign + own;
  }

  /**
   * Shows a message beside the closed button, until somebody opens or dismisses it.
   *
   * @param {string} from "" for the page's own
   * @param {string} words "" takes it away
   */
  preview(from, words) {
    this.place.replaceChildren();
    if (!words) return;
    const shown = words.length > PREVIEW_MOST ? `${words.slice(0, PREVIEW_MOST)} …` : words;
    this.place.append(
      make("div", { class: "bubble-out", part: "preview", "data-role": "preview" },
        make("button", { type: "button", onclick: () => this.#host.launcher.click() },
          ...(from ? [make("b", {}, from)] : []), make("span", { class: "words", dir: "auto" }, shown)),
        make("button",
          { type: "button", class: "dismiss", "data-role": "dismiss", "aria-label": this.#texts.dismiss,
            onclick: () => this.#dismiss() },
          icon("cross", CROSS))));
  }

  #dismiss() {
    this.preview("", "");
    this.#opened.write(true); // the page's greeting does not come again in this visit
    this.#host.launcher.focus();
  }

  /** Browsers let a page sound only after the visitor did something there: this is such a moment. */
  prepare() {
    if (!this.sound) return;
    try {
      this.#audio ??= new AudioContext();
      if (this.#audio.state === "suspended") void this.#audio.resume();
    } catch {
      // No sound here.
    }
  }

  /** A short tone of two. */
  ring(prepare = false) {
    if (prepare) this.prepare();
    const audio = this.#audio;
    if (!this.sound || audio?.state !== "running") return;
    for (const [index, pitch] of [660, 880].entries()) {
      const [tone, volume] = [audio.createOscillator(), audio.createGain()];
      const begin = audio.currentTime + index * 0.12;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0, begin);
      volume.gain.linearRampToValueAtTime(0.08, begin + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.3);
      tone.connect(volume).connect(audio.destination);
      tone.start(begin);
      tone.stop(begin + 0.32);
    }
  }
}
