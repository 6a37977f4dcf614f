// The operator API: requests, and the feed of live events.

export class Problem extends Error {
  constructor(status, body) {
    super(body.error || `the service answers ${status}`);
    this.status = status;
    this.operatorName = body.operator_name;
  }
}

// A request that hangs has met a link that is dead without a word: the feed asks at once whether its own is.
const SLOW = 5000;
const PATIENCE = 15000;
const slow = new EventTarget();

async function request(method, path, body) {
  let response;
  const patience = setTimeout(() => slow.dispatchEvent(new Event('slow')), SLOW);
  try {
    response = await fetch(path, {
      method,
      signal: AbortSignal.timeout(PATIENCE),
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, { error: 'the service cannot be reached' });
  } finally {
    clearTimeout(patience);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

const path = (id, command = '') => `/api/conversations/${encodeURIComponent(id)}${command}`;

export const api = {
  me: () => request('GET', '/api/me'),
  login: (name, password) => request('POST', '/api/login', { name, password }),
  logout: () => request('POST', '/api/logout'),
  list: (view, before) =>
    request('GET', `/api/conversations?view=${view}&limit=100${before == null ? '' : `&before=${before}`}`),
  conversation: (id) => request('GET', path(id)),
  claim: (id) => request('POST', path(id, '/claim')),
  handback: (id, state) => request('POST', path(id, '/handback'), state ? { state } : {}),
  release: (id) => request('POST', path(id, '/transfer'), {}),
  present: () => request('POST', '/api/presence'),
  resolve: (id) => request('POST', path(id, '/resolve')),
  typing: (id) => request('POST', path(id, '/typing')),

  // The message's id makes it safe to send again what seemed to fail: it is stored once.
  async say(id, text, message) {
    const body = { text, id: message };
    let doubt = false; // an earlier try may have been stored
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await request('POST', path(id, '/say'), body);
      } catch (problem) {
        problem.doubt = doubt;
        doubt = true;
        if (attempt >= 4 || ![0, 503].includes(problem.status)) throw problem;
        await new Promise((resume) => setTimeout(resume, 500 * 2 ** attempt));
      }
    }
  },
};

// randomUUID exists only on secure origins; a console on plain http in a local network is none.
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

// The service says something at least every 10 s; after more than two of its heartbeats the feed is dead.
const SILENCE = 22000;
// How long a new feed may take before the console says that it is connecting, and before another try.
const DOUBT = 1500;
const OPENING = 10000;

// Calls `on.open` after each connect (read the lists then: events may have been missed), `on.closed`
// while there is none, and `on.conversation`, `on.message`, `on.typing`, `on.erased` with
// each event.
// Returns a function that ends it.
export function listen(on) {
  let source = null; // the feed that counts
  let next = null; // the one that shall take its place
  let heard = Date.now();
  let timer;
  let doubt;
  let opening;
  let ended = false;

  const closed = () => !ended && on.closed();

  // Opens a feed; the old one goes when this one is open, so that nobody is told of a link that was well.
  const renew = () => {
    if (ended || next) return;
    clearTimeout(timer);
    const feed = new EventSource('/api/events');
    next = feed;
    doubt = setTimeout(closed, source ? DOUBT : 0);
    opening = setTimeout(() => failed(feed), OPENING);
    feed.addEventListener('open', () => {
      if (ended || feed !== next) return;
      source?.close();
      source = feed;
      next = null;
      heard = Date.now();
      clearTimeout(doubt);
      clearTimeout(opening);
      on.open();
    });
    for (const kind of ['conversation', 'message', 'typing', 'erased', 'heartbeat']) {
      feed.addEventListener(kind, (event) => {
        if (feed !== source) return;
        heard = Date.now();
        on[kind]?.(JSON.parse(event.data));
      });
    }
    // The browser would try again by itself, but not after an answer other than 200, nor out of a silence.
    feed.addEventListener('error', () => failed(feed));
  };

  const failed = (feed) => {
    feed.close();
    if (feed === next) next = null;
    else if (feed === source) source = null;
    else return;
    clearTimeout(doubt);
    clearTimeout(opening);
    if (ended) return;
    closed();
    clearTimeout(timer);
    timer = setTimeout(renew, 1000 + Math.random() * 2000);
  };

  const stirred = ({ type }) => {
    if (document.hidden && type !== 'online') return;
    if (next && type === 'online') failed(next); // it began on the old network
    renew();
  };
  const watch = setInterval(() => {
    if (source && Date.now() - heard > SILENCE) failed(source);
  }, 1000);
  const stirs = [
    [window, 'online'], [window, 'offline'], [window, 'pageshow'], [document, 'visibilitychange'],
    [document, 'resume'], [slow, 'slow'],
  ];
  for (const [target, name] of stirs) target.addEventListener(name, stirred);
  renew();
  return () => {
    ended = true;
    clearInterval(watch);
    for (const waiting of [timer, doubt, opening]) clearTimeout(waiting);
    for (const [target, name] of stirs) target.removeEventListener(name, stirred);
    source?.close();
    next?.close();
  };
}
