// The conversation on the right: its transcript, and what the operator does in it.

import { api } from './api.js';
import { drafts } from './drafts.js';
import { element, ownerOf } from './lists.js';
import { drawMarkdown } from './markdown.js';

const NAMES = { visitor: 'Visitor', bot: 'Bot', assistant: 'Assistant' };
const TYPING_SHOWN = 5000;
const TYPING_TOLD = 3000;

export class Reader {
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.row = null;
    this.last = 0; // the position up to which lines are shown
    this.live = 0; // the position of the last line that came as an event
    this.early = null; // lines that arrive while the transcript is read
    this.told = 0;
    this.me = '';
    this.part('claim').addEventListener('click', () => this.act(() => api.claim(this.row.id)));
    this.part('resolve').addEventListener('click', () => this.act(() => api.resolve(this.row.id)));
    this.part('put-back').addEventListener('click', () => this.act(() => api.putBack(this.row.id)));
    this.part('handback').addEventListener('click', () => {
      const state = this.part('handback-state').value;
      this.act(() => api.handback(this.row.id, state));
    });
    this.part('say-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.say();
    });
    this.part('say-text').addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.say();
      }
    });
    this.part('say-text').addEventListener('input', () => {
      drafts.keep(this.row?.id, this.part('say-text').value);
      this.tellTyping();
    });
  }

  part(role) {
    return this.root.querySelector(`[data-role=${role}]`);
  }

  get mine() {
    return this.row?.owner === 'operator' && this.row.operator === this.me;
  }

  // Show a conversation, or read the one that is shown anew.
  async open(id) {
    const other = this.row?.id !== id;
    if (other) {
      this.part('say-text').value = drafts.at(id);
      this.notice('');
      this.part('transcript').replaceChildren();
    }
    const early = [];
    this.early = early;
    this.row = { id };
    drafts.show(id);
    const detail = await api.conversation(id).catch((problem) => problem);
    // Another one was chosen meanwhile, or this one is read once more: what that reads is newer.
    if (this.row?.id !== id || this.early !== early) return;
    if (detail instanceof Error) {
      this.early = null;
      if (detail.status === 404) this.erased(id);
      else this.notice(detail.message);
      return;
    }
    // Read again after each break of the feed: what the operator looks at and has chosen stays.
    const list = this.part('transcript');
    const atEnd = other || this.atEnd(list);
    const place = list.scrollTop;
    const state = other ? '' : this.part('handback-state').value;
    list.replaceChildren(...detail.messages.map((line) => this.line(line)));
    this.last = detail.messages.at(-1)?.position ?? 0;
    this.live = 0;
    this.session = detail.started;
    this.part('nothing').hidden = true;
    this.part('conversation').hidden = false;
    this.part('typing').hidden = true;
    this.part('handback-state').replaceChildren(
      option('', 'where it was'),
      ...detail.states.map((name) => option(name, `at ${name}`)),
    );
    if (detail.states.includes(state)) this.part('handback-state').value = state;
    this.early = null;
    this.update(detail);
    list.scrollTop = atEnd ? list.scrollHeight : place; // what stands beside it has its height by now
    early.forEach((line) => this.add(line));
  }

  atEnd(list) {
    return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  }

  close(why = 'Choose a conversation on the left.') {
    this.row = null;
    this.part('nothing').textContent = why;
    this.part('transcript').replaceChildren(); // whoever sees the page next may not read it
    this.part('say-text').value = '';
    this.part('conversation').hidden = true;
    this.part('nothing').hidden = false;
  }

  // All that was said in the conversation was erased: nothing of it may stay on the page.
  erased(id) {
    if (this.row?.id === id) this.close('What was said in this conversation was erased.');
  }

  // The row of the open conversation has changed.
  update(row) {
    if (this.row?.id !== row.id || this.early || row.position < (this.row.position ?? 0)) return;
    const anew = this.session !== row.started; // the visitor began anew: the lines so far are void
    this.row = row;
    this.part('title').textContent = `Conversation ${row.id.slice(0, 8)}`;
    this.part('owner').textContent = ownerOf(row, this.me);
    this.part('owner').dataset.owner = row.owner;
    this.part('claim').hidden = this.mine;
    this.part('handback-box').hidden = !this.mine;
    this.part('put-back').hidden = !this.mine;
    this.part('resolve').hidden = !this.mine;
    this.part('say-text').disabled = !this.mine;
    this.part('say-send').disabled = !this.mine;
    this.part('say-text').placeholder = this.mine ? 'Write to the visitor …' : 'Take over to write';
    if (anew) this.open(row.id);
  }

  add(line) {
    if (this.row?.id !== (line.conversation ?? this.row?.id)) return;
    if (this.early) {
      this.early.push(line);
      return;
    }
    if (line.position < this.last || (line.position === this.last && this.live !== this.last)) return;
    const list = this.part('transcript');
    const atEnd = this.atEnd(list);
    list.append(this.line(line));
    this.last = this.live = line.position; // an entry's several lines come one after the other
    if (atEnd) list.scrollTop = list.scrollHeight;
    if (line.from === 'visitor') this.part('typing').hidden = true;
  }

  line(line) {
    const when = new Date(line.time);
    const today = when.toDateString() === new Date().toDateString();
    const day = today ? {} : { day: 'numeric', month: 'short', year: 'numeric' };
    const time = when.toLocaleString(navigator.languages, { hour: '2-digit', minute: '2-digit', ...day });
    const name = line.name || NAMES[line.from];
    const item = element('li', '', { role: 'line', from: line.from, position: line.position });
    const about = element('small', '');
    if (name) about.append(element('bdi', name), ', ');
    about.append(time);
    about.title = when.toLocaleString(navigator.languages, { dateStyle: 'full', timeStyle: 'medium' });
    const drawn = line.from === 'assistant';
    const words = drawn ? element('div', '', {}, 'markdown') : element('p', line.text);
    if (drawn) words.append(drawMarkdown(line.text));
    words.dir = 'auto'; // in its own direction, whoever wrote it
    item.append(about, words);
    return item;
  }

  visitorTypes(conversation) {
    if (this.row?.id !== conversation) return;
    this.part('typing').hidden = false;
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => {
      this.part('typing').hidden = true;
    }, TYPING_SHOWN);
  }

  tellTyping() {
    const now = Date.now();
    if (!this.mine || now - this.told < TYPING_TOLD) return;
    this.told = now;
    api.typing(this.row.id).catch(() => {}); // it is a courtesy
  }

  async say() {
    const field = this.part('say-text');
    const text = field.value.trim();
    if (!text || !this.mine || this.saying) return;
    const { id } = this.row;
    this.saying = true;
    this.told = 0; // the message ends the typing: what is typed next is told at once
    field.value = '';
    const done = await this.act(() => api.say(id, text));
    this.saying = false;
    // What was typed since stays too, behind what could not be sent.
    const here = this.row?.id === id;
    const since = here ? field.value : drafts.at(id).trim() === text ? '' : drafts.at(id);
    const left = done ? since : [text, since].filter(Boolean).join('\n');
    drafts.keep(id, left);
    if (here && field.value !== left) field.value = left;
    field.focus();
  }

  // Carry a command out; true if it was.
  async act(command) {
    const { id } = this.row;
    const buttons = this.root.querySelectorAll('.actions button');
    buttons.forEach((button) => { button.disabled = true; });
    try {
      const row = await command();
      this.notice('');
      this.changed(row);
      return true;
    } catch (problem) {
      if (this.row?.id === id) {
        this.notice(problem.operatorName ? `Taken by ${problem.operatorName}` : problem.message);
      }
      if (problem.status === 401) this.changed(null);
      return false;
    } finally {
      buttons.forEach((button) => { button.disabled = false; });
    }
  }

  notice(text) {
    this.part('notice').textContent = text;
    this.part('notice').hidden = !text;
  }
}

function option(value, text) {
  const made = element('option', text);
  made.value = value;
  return made;
}
