// What one operator leaves in this tab: it outlives the page, and another operator never sees it.

/** @template {object} T */
export class Kept {
  /** @param {string} key @param {T} empty */
  constructor(key, empty) {
    this.key = key;
    this.empty = empty;
    /** @type {T & {of: string}} */
    this.value = { of: "", ...structuredClone(empty) };
    try {
      Object.assign(this.value, JSON.parse(sessionStorage.getItem(key) ?? "{}"));
    } catch {
      // no place to keep it
    }
  }

  /** Whose it is. @param {string} name */
  of(name) {
    if (this.value.of !== name) this.value = { ...structuredClone(this.empty), of: name };
    this.write();
  }

  forget() {
    this.value = { ...structuredClone(this.empty), of: "" };
    this.write();
  }

  write() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.value));
    } catch {
      // no place to keep it: it lasts as long as the page
    }
  }
}
