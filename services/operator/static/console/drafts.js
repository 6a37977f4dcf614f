// What the operator has written and not sent, for each conversation. It outlives a login that ends, and the
// page, in this tab alone; another operator who logs in here never sees it.

import { Kept } from './kept.js';

class Drafts {
  constructor() {
    this.kept = new Kept('switchboard.drafts', { open: '', texts: {} });
  }

  // Whose drafts these are.
  of(name) {
    this.kept.of(name);
  }

  // The conversation that was open last.
  get open() {
    return this.kept.value.open;
  }

  get any() {
    return Object.keys(this.kept.value.texts).length > 0;
  }

  show(id) {
    this.kept.value.open = id;
    this.kept.write();
  }

  at(id) {
    return this.kept.value.texts[id] ?? '';
  }

  keep(id, text) {
    if (!id) return;
    if (text) this.kept.value.texts[id] = text;
    else delete this.kept.value.texts[id];
    this.kept.write();
  }

  // The operator logs out: whoever comes next is somebody else.
  forget() {
    this.kept.forget();
  }
}

export const drafts = new Drafts();
