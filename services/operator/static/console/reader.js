// The conversation on the right: its transcript, and what the operator does in it.

import { api } from './api.js';
import { drafts } from './drafts.js';
import { element, ownerOf } from './lists.js';
import { drawMarkdown } from './markdown.js';
import { outbox } from './outbox.js';

const NAMES = { visitor: 'Visitor', bot: 'Bot', assistant: 'Assistant' };
const TYPING_SHOWN = 5000;
const TYPING_TOLD = 3000;
const MAX_TEXT = 16 * 1024; // bytes of UTF-8, as the service has it

export class Reader {
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.row = null;
    this.last = 0; // the position up to which lines are shown
    this.live = 0; // the position of the last line that came as an event
    this.early = null; // lines that arrive while the transcript is read
    this.missed = null; // the newest row that arrived meanwhile
    this.acting = false;
    this.told = 0;
    this.me = '';
    this.part('claim').addEventListener('click', () => this.act(() => api.claim(this.row.id)));
    this.part('resolve').addEventListener('click', () => this.act(() => api.resolve(this.row.id)));
    this.part('release').addEventListener('click', () => this.act(() => api.release(this.row.id)));
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
      this.row = { id };
      this.part('say-text').value = drafts.at(id);
      this.notice('');
      this.part('transcript').replaceChildren();
      this.part('typing').hidden = true;
      this.showUnsent(id);
      this.arrange(); // nothing of the conversation before is left to act on
    }
    const early = [];
    this.early = early;
    this.missed = null;
    drafts.show(id);
    const detail = await api.conversation(id).catch((problem) => problem);
    // Another one was chosen meanwhile, or this one is read once more: what that reads is newer.
    if (this.row?.id !== id || this.early !== early) return;
    if (detail instanceof Error) {
      const { missed } = this;
      this.early = this.missed = null;
      if (missed && this.row.owner) this.update(missed);
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
    outbox.settle(id, new Set(detail.messages.map((line) => line.id)), true);
    this.showUnsent(id);
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
    const missed = this.missed;
    this.early = this.missed = null;
    this.row = { id }; // of a log that was put back from a copy an older row is the newer one
    this.update(detail);
    if (missed) this.update(missed);
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
    this.arrange();
    this.part('conversation').hidden = true;
    this.part('nothing').hidden = false;
  }

  // All that was said in the conversation was erased: nothing of it may stay on the page.
  erased(id) {
    if (this.row?.id === id) this.close('What was said in this conversation was erased.');
  }

  // The row of the open conversation has changed.
  update(row) {
    if (this.row?.id !== row.id) return;
    if (this.early) {
      this.missed = row;
      return;
    }
    if (row.position < (this.row.position ?? 0)) return;
    const anew = this.session !== row.started; // the visitor began anew: the lines so far are void
    this.row = row;
    this.arrange();
    if (anew) this.open(row.id);
  }

  // Header, buttons and editor are always those of the conversation whose lines are shown; while it is not
  // known how that stands, they are off.
  arrange() {
    const { row } = this;
    const known = row?.owner !== undefined;
    const waits = !known || this.acting || outbox.sending(row.id);
    this.part('title').textContent = row ? `Conversation ${row.id.slice(0, 8)}` : '';
    this.part('owner').textContent = known ? ownerOf(row, this.me) : 'Loading …';
    this.part('owner').dataset.owner = known ? row.owner : '';
    this.part('claim').hidden = !known || this.mine;
    for (const role of ['handback-box', 'release', 'resolve']) this.part(role).hidden = !this.mine;
    // What ends the talk waits for what is said in it.
    this.root.querySelectorAll('.actions button').forEach((button) => { button.disabled = waits; });
    this.part('claim').disabled = !known || this.acting;
    this.part('say-text').disabled = this.part('say-send').disabled = !this.mine;
    this.part('say-text').placeholder = this.mine ? 'Write to the visitor …' : known ? 'Take over to write' : '';
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
    outbox.settle(this.row.id, new Set([line.id]));
    list.insertBefore(this.line(line), list.querySelector('[data-role=unsent]'));
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

  say() {
    const field = this.part('say-text');
    const text = field.value.trim();
    if (!text || !this.mine) return;
    const over = new TextEncoder().encode(text).length - MAX_TEXT;
    if (over > 0) {
      this.notice(`The message is too long, by about ${over} characters. Send it in parts.`);
      return;
    }
    this.told = 0; // the message ends the typing: what is typed next is told at once
    this.notice('');
    field.value = '';
    drafts.keep(this.row.id, '');
    outbox.put(this.row.id, text);
    const list = this.part('transcript');
    list.scrollTop = list.scrollHeight;
    field.focus();
  }

  // What is not stored yet stands behind all lines.
  showUnsent(id) {
    if (this.row?.id !== id) return;
    const list = this.part('transcript');
    const atEnd = this.atEnd(list);
    const focused = document.activeElement?.closest('[data-role=unsent]');
    list.querySelectorAll('[data-role=unsent]').forEach((item) => item.remove());
    let stuck = false;
    for (const message of outbox.at(id)) {
      list.append(this.unsent(message, stuck));
      stuck ||= message.state !== 'sent';
    }
    if (focused) this.part('say-text').focus();
    if (atEnd) list.scrollTop = list.scrollHeight;
    this.arrange();
  }

  unsent(message, waits) {
    const failed = ['refused', 'unknown'].includes(message.state);
    const item = element('li', '', { role: 'unsent', from: 'operator', state: message.state });
    const words = element('p', message.text);
    words.dir = 'auto';
    const about = element('small', {
      sending: waits ? 'Waits for the message before' : 'Sending …',
      sent: 'Sent',
      refused: `Not sent: ${message.why}`,
      unknown: `It is not known whether this was sent: ${message.why}`,
    }[message.state]);
    item.append(about, words);
    if (failed) {
      about.setAttribute('role', 'alert');
      const box = element('div', '', {}, 'remedies');
      const again = element('button', 'Try again', { role: 'again' });
      again.addEventListener('click', () => outbox.again(message));
      const edit = element('button', 'Edit', { role: 'edit' });
      edit.addEventListener('click', () => this.edit(message));
      box.append(again, edit);
      item.append(box);
    }
    return item;
  }

  // Back into the editor, before what was typed since; unless it turns out that it was sent.
  async edit(message) {
    const id = message.conversation;
    if (message.state === 'unknown') {
      const detail = await api.conversation(id).catch((problem) => problem);
      if (detail instanceof Error) {
        if (this.row?.id === id) this.notice(`It cannot be found out whether this was sent: ${detail.message}`);
        return;
      }
      outbox.settle(id, new Set(detail.messages.map((line) => line.id)));
      if (!outbox.at(id).includes(message) && this.row?.id === id) this.open(id); // it was sent: show its line
    }
    if (!outbox.at(id).includes(message) || message.state === 'sending') return;
    const here = this.row?.id === id;
    const field = this.part('say-text');
    const text = [message.text, here ? field.value : drafts.at(id)].filter(Boolean).join('\n');
    drafts.keep(id, text);
    outbox.remove(message);
    if (!here) return;
    field.value = text;
    field.focus();
  }

  // Carry a command out.
  async act(command) {
    const { id } = this.row;
    this.acting = true;
    this.arrange();
    try {
      const row = await command();
      this.notice('');
      this.changed(row);
    } catch (problem) {
      if (this.row?.id === id) {
        this.notice(problem.operatorName ? `Taken by ${problem.operatorName}` : problem.message);
      }
      if (problem.status === 401) this.changed(null);
    } finally {
      this.acting = false;
      this.arrange();
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
