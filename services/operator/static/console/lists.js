// The lists on the left: which conversations there are, kept up to date by events.

import { api } from './api.js';

const EMPTY = {
  queue: 'Nobody is waiting.',
  mine: 'You have no conversations.',
  live: 'There are no conversations yet.',
  resolved: 'Nothing has been resolved yet.',
};
const SHOWN = 500;

export class Lists {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    this.view = 'queue';
    this.rows = new Map();
    this.items = new Map(); // conversation -> its element in the list
    this.next = {};
    this.me = '';
    this.current = '';
    this.drawing = false;
    for (const tab of root.querySelectorAll('[data-role=tab]')) {
      tab.addEventListener('click', () => this.show(tab.dataset.view));
    }
    this.part('more').addEventListener('click', () => this.more());
    setInterval(() => this.draw(), 5000); // the waiting times go on
  }

  part(role) {
    return this.root.querySelector(`[data-role=${role}]`);
  }

  // Read all lists anew. Events that arrive meanwhile are newer than what is read.
  async load() {
    this.rows.clear();
    this.loading = true;
    const views = Object.keys(EMPTY);
    const pages = await Promise.all(views.map(async (view) => [view, await api.list(view)])).finally(() => {
      this.loading = false;
    });
    for (const [view, page] of pages) {
      this.next[view] = page.next;
      for (const row of page.conversations) this.put(row);
    }
    this.draw();
  }

  clear() {
    this.rows.clear();
    this.items.clear();
    this.current = '';
    this.draw();
  }

  async more() {
    const page = await api.list(this.view, this.next[this.view]).catch(() => null);
    if (!page) return;
    this.next[this.view] = page.next;
    for (const row of page.conversations) this.put(row);
    this.draw();
  }

  put(row) {
    const known = this.rows.get(row.id);
    if (!known || known.position <= row.position) this.rows.set(row.id, row);
    this.draw();
  }

  remove(id) {
    this.rows.delete(id);
    this.draw();
  }

  show(view) {
    this.view = view;
    this.draw();
  }

  select(id) {
    this.current = id;
    this.draw();
  }

  in(view, row) {
    if (view === 'resolved') return row.status === 'resolved';
    if (row.status === 'resolved') return false;
    if (view === 'queue') return row.owner === 'queue';
    if (view === 'mine') return row.owner === 'operator' && row.operator === this.me;
    return true;
  }

  shown(view) {
    const rows = [...this.rows.values()].filter((row) => this.in(view, row));
    if (view === 'queue') return rows.sort((a, b) => (a.waiting_since < b.waiting_since ? -1 : 1));
    return rows.sort((a, b) => b.position - a.position);
  }

  // Many events in one frame are drawn once.
  draw() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (!this.loading) this.redraw();
    });
  }

  redraw() {
    for (const tab of this.root.querySelectorAll('[data-role=tab]')) {
      tab.setAttribute('aria-selected', String(tab.dataset.view === this.view));
    }
    for (const view of ['queue', 'mine']) {
      const count = this.shown(view).length;
      this.root.querySelector(`[data-role=count][data-view=${view}]`).textContent = count || '';
      if (view === 'queue') document.title = count ? `(${count}) Switchboard` : 'Switchboard';
    }
    const rows = this.shown(this.view).slice(0, SHOWN);
    const list = this.part('list');
    const items = rows.map((row) => this.item(row));
    // An element that is moved while it is pressed gets no click: only what changed its place moves.
    items.forEach((item, place) => {
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    });
    while (list.children.length > items.length) list.lastChild.remove();
    this.part('empty').textContent = EMPTY[this.view];
    this.part('empty').hidden = rows.length > 0;
    this.part('more').hidden = this.next[this.view] == null;
  }

  item(row) {
    let item = this.items.get(row.id);
    if (!item) {
      item = document.createElement('li');
      const button = element('button', '', { role: 'row', id: row.id });
      button.append(
        element('span', '', { role: 'row-owner' }, 'state'),
        element('span', '', { role: 'row-when' }),
        element('span', '', { role: 'last-line' }, 'line'),
      );
      button.lastChild.dir = 'auto';
      button.addEventListener('click', () => this.choose(row.id));
      item.append(button);
      this.items.set(row.id, item);
    }
    const [button] = item.children;
    const [owner, when, line] = button.children;
    button.dataset.owner = row.owner;
    button.setAttribute('aria-current', String(row.id === this.current));
    owner.textContent = ownerOf(row, this.me);
    when.textContent = row.waiting_since ? `waits ${since(row.waiting_since)}` : since(row.updated);
    when.className = row.waiting_since ? 'when waits' : 'when';
    line.textContent = row.last_line || '…';
    return item;
  }
}

// Everything that a person wrote goes through textContent.
export function element(tag, text, data = {}, className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  Object.assign(made.dataset, data);
  return made;
}

export function ownerOf(row, me) {
  if (row.status === 'resolved') return 'Resolved';
  if (row.owner === 'queue') return `Waiting in “${row.queue}”`;
  if (row.owner === 'operator') return row.operator === me ? 'With you' : `With ${row.operator_name || row.operator}`;
  return row.place ? `With the bot, at “${row.place}”` : 'With the bot';
}

function since(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return new Date(time).toLocaleDateString(navigator.languages);
}
