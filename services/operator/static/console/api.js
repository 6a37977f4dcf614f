// The operator API: requests, and the feed of live events.

export class Problem extends Error {
  constructor(status, body) {
    super(body.error || `the service answers ${status}`);
    this.status = status;
    this.operatorName = body.operator_name;
  }
}

async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, { error: 'the service cannot be reached' });
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
  resolve: (id) => request('POST', path(id, '/resolve')),
  typing: (id) => request('POST', path(id, '/typing')),

  // The id makes it safe to send again what seemed to fail: it is stored once.
  async say(id, text) {
    const body = { text, id: crypto.randomUUID?.() ?? fallbackId() };
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await request('POST', path(id, '/say'), body);
      } catch (problem) {
        if (attempt >= 4 || ![0, 503].includes(problem.status)) throw problem;
        await new Promise((resume) => setTimeout(resume, 500 * 2 ** attempt));
      }
    }
  },
};

// randomUUID exists only on secure origins; a console on plain http in a local network is none.
function fallbackId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

// Calls `on.open` after each connect (read the lists then: events may have been missed), `on.closed`
// while there is none, and `on.conversation`, `on.message`, `on.typing` with each event.
// Returns a function that ends it.
export function listen(on) {
  let source;
  let timer;
  let ended = false;
  const connect = () => {
    source = new EventSource('/api/events');
    source.addEventListener('open', () => on.open());
    for (const kind of ['conversation', 'message', 'typing']) {
      source.addEventListener(kind, (event) => on[kind](JSON.parse(event.data)));
    }
    source.addEventListener('error', () => {
      if (ended) return;
      on.closed();
      // The browser tries again by itself after a break, but not after an answer other than 200.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, 1000 + Math.random() * 2000);
    });
  };
  connect();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
}
