// What the operator has written and not sent, for each conversation. It outlives a login that ends, and the
// page, in this tab alone; another operator who logs in here never sees it.

const KEY = 'switchboard.drafts';
const EMPTY = { of: '', open: '', texts: {} };

function read() {
  try {
    return { ...EMPTY, ...JSON.parse(sessionStorage.getItem(KEY)) };
  } catch {
    return { ...EMPTY }; // nothing there, or no place to keep it
  }
}

class Drafts {
  constructor() {
    this.kept = read();
  }

  // Whose drafts these are.
  of(name) {
    if (this.kept.of !== name) this.kept = { of: name, open: '', texts: {} };
    this.write();
  }

  // The conversation that was open, if something is to be sent there.
  get open() {
    return this.at(this.kept.open) ? this.kept.open : '';
  }

  get any() {
    return Object.keys(this.kept.texts).length > 0;
  }

  show(id) {
    this.kept.open = id;
    this.write();
  }

  at(id) {
    return this.kept.texts[id] ?? '';
  }

  keep(id, text) {
    if (!id) return;
    if (text) this.kept.texts[id] = text;
    else delete this.kept.texts[id];
    this.write();
  }

  // The operator logs out: whoever comes next is somebody else.
  forget() {
    this.kept = { ...EMPTY, texts: {} };
    this.write();
  }

  write() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(this.kept));
    } catch {
      // no place to keep it: it lasts as long as the page
    }
  }
}

export const drafts = new Drafts();
