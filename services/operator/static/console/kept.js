// What one operator leaves in this tab: it outlives the page, and another operator never sees it.

export class Kept {
  constructor(key, empty) {
    this.key = key;
    this.empty = empty;
    try {
      this.value = { of: '', ...structuredClone(empty), ...JSON.parse(sessionStorage.getItem(key)) };
    } catch {
      this.value = { of: '', ...structuredClone(empty) }; // nothing there, or no place to keep it
    }
  }

  // Whose it is.
  of(name) {
    if (this.value.of !== name) this.value = { ...structuredClone(this.empty), of: name };
    this.write();
  }

  forget() {
    this.value = { of: '', ...structuredClone(this.empty) };
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
