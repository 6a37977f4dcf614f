// What an operator has chosen for this browser.

const KEY = "switchboard.settings";
const EMPTY = { sound: true, notices: false, keys: true, summaries: true };

/** @typedef {keyof typeof EMPTY} Setting */

class Settings {
  constructor() {
    this.value = { ...EMPTY };
    try {
      Object.assign(this.value, JSON.parse(localStorage.getItem(KEY) ?? "{}"));
    } catch {
      // no place to keep it
    }
  }

  /** @param {Setting} name */
  get(name) {
    return this.value[name];
  }

  /** @param {Setting} name @param {boolean} value */
  set(name, value) {
    this.value[name] = value;
    try {
      localStorage.setItem(KEY, JSON.stringify(this.value));
    } catch {
      // it lasts as long as the page
    }
  }
}

export const settings = new Settings();
