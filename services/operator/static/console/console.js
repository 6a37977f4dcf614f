// The console: logging in, and the lists and the reader kept up to date by one feed of events.

import { api, listen } from './api.js';
import { drafts } from './drafts.js';
import { Lists } from './lists.js';
import { outbox } from './outbox.js';
import { Reader } from './reader.js';

const part = (role) => document.querySelector(`[data-role=${role}]`);
const desk = part('desk');
const reader = new Reader(desk, (row) => (row ? changed(row) : start()));
const lists = new Lists(desk, choose);
const ENDED = 'Your login has ended. Log in to go on.';
let stopListening = () => {};

outbox.changed = (id) => reader.showUnsent(id);
outbox.stored = changed;
outbox.refused = (problem) => problem.status === 401 && start();

function changed(row) {
  lists.put(row);
  reader.update(row);
}

function choose(id) {
  lists.select(id);
  desk.classList.add('reading');
  reader.open(id);
}

async function start() {
  stopListening();
  stopListening = () => {};
  try {
    enter(await api.me());
  } catch (problem) {
    if (problem.status === 401) {
      leave(desk.hidden ? '' : `${ENDED}${drafts.any || outbox.any ? ' What you were writing is kept.' : ''}`);
    } else {
      say(problem.message);
      setTimeout(start, 2000);
    }
  }
}

function say(text) {
  part('connection').textContent = text;
  if (desk.hidden) {
    part('login').hidden = false;
    part('login-error').textContent = text;
  }
}

function enter(me) {
  part('login').hidden = true;
  part('login-error').textContent = '';
  desk.hidden = false;
  lists.me = me.name;
  reader.me = me.name;
  drafts.of(me.name);
  outbox.of(me.name);
  part('me').textContent = me.display;
  const left = drafts.at(drafts.open) || outbox.at(drafts.open).length; // something is to be sent there
  if (left && !reader.row) choose(drafts.open);
  stopListening();
  stopListening = listen({
    async open() {
      say('');
      // What happened while there was no feed is read from the lists.
      await lists.load().catch((problem) => problem.status === 401 && start());
      if (reader.row) reader.open(reader.row.id);
    },
    closed() {
      say('Connecting …');
      api.me().catch((problem) => problem.status === 401 && start());
    },
    conversation: changed,
    heartbeat: () => api.present().catch((problem) => problem.status === 401 && start()),
    message: (line) => reader.add(line),
    typing: ({ conversation }) => reader.visitorTypes(conversation),
    erased({ conversation }) {
      lists.remove(conversation);
      drafts.keep(conversation, '');
      outbox.drop(conversation);
      reader.erased(conversation);
    },
  });
}

function leave(why) {
  stopListening();
  stopListening = () => {};
  lists.clear();
  reader.close();
  desk.hidden = true;
  desk.classList.remove('reading');
  part('login').hidden = false;
  part('login-error').textContent = why;
  part('login-name').focus();
}

part('login-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  part('login-submit').disabled = true;
  try {
    enter(await api.login(part('login-name').value.trim(), part('login-password').value));
    part('login-password').value = '';
  } catch (problem) {
    part('login-error').textContent = problem.message;
  } finally {
    part('login-submit').disabled = false;
  }
});
function logout() {
  api.logout().then(() => {
    drafts.forget();
    outbox.forget();
    leave('');
  }, (problem) => say(problem.message));
}

part('logout').addEventListener('click', () => {
  const mine = lists.shown('mine').length;
  const questions = [];
  if (outbox.any || drafts.any) questions.push('Something you wrote is not sent. If you log out, it is gone.');
  if (mine) {
    const [what, them] = mine === 1 ? ['a conversation', 'it'] : [`${mine} conversations`, 'them'];
    questions.push(`You still have ${what}. Hand ${them} back, put ${them} into the queue or resolve ${them}`
      + ' first, so that nobody waits for you.');
  }
  if (questions.length) {
    part('unsent-question').textContent = questions.join(' ');
    part('unsent-dialog').returnValue = '';
    part('unsent-dialog').showModal();
  } else {
    logout();
  }
});
part('unsent-dialog').addEventListener('close', () => {
  if (part('unsent-dialog').returnValue === 'leave') logout();
});
part('back').addEventListener('click', () => desk.classList.remove('reading'));

start();
