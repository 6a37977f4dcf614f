// What was done, for some seconds, and what undoes it.

/** For how long it can be undone (ms). */
const SHOWN = 10000;

export class Toasts {
  constructor() {
    /** @type {{text: string, undo?: () => void} | null} */
    this.shown = null;
    this.timer = 0;
    this.changed = () => {};
  }

  /** @param {string} text @param {() => void} [undo] */
  say(text, undo) {
    clearTimeout(this.timer);
    this.shown = { text, undo };
    this.timer = window.setTimeout(() => this.forget(), SHOWN);
    this.changed();
  }

  undo() {
    const { shown } = this;
    this.forget();
    shown?.undo?.();
  }

  forget() {
    clearTimeout(this.timer);
    this.shown = null;
    this.changed();
  }
}
