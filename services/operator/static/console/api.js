// The operator API: requests.

/** @typedef {import("./types").Row} Row */

/** The service refused, or could not be reached (status 0). */
export class Problem extends Error {
  /** @param {number} status @param {{error?: string, detail?: string, operator_name?: string, second_factor?: string}} body */
  constructor(status, body) {
    super(body.error || body.detail || `the service answers ${status}`);
    this.status = status;
    this.operatorName = body.operator_name;
    this.secondFactor = body.second_factor; // "needed", "wrong", or "demanded" before anything else
    this.doubt = false;
  }

  /** What an operator is told. */
  get told() {
    return this.operatorName ? `Taken by ${this.operatorName}` : this.message;
  }
}

/** @param {unknown} error @returns {Problem} */
export function problem(error) {
  if (error instanceof Problem) return error;
  throw error; // a fault of this page
}

// A request that hangs has met a link that is dead without a word: the feed asks at once whether its own is.
const SLOW = 5000;
const PATIENCE = 15000;
const LONG = 60000; // what an assistant writes
export const slow = new EventTarget();

/**
 * @param {"GET" | "POST"} method
 * @param {string} path
 * @param {object} [body]
 * @param {number} [patience] how long the answer may take (ms); what may take long says nothing of the link
 * @returns {Promise<any>}
 */
async function request(method, path, body, patience = PATIENCE) {
  /** @type {Response} */
  let response;
  /** @type {any} */
  let answer;
  const slowly = patience > PATIENCE ? 0 : setTimeout(() => slow.dispatchEvent(new Event("slow")), SLOW);
  try {
    response = await fetch(path, {
      method,
      signal: AbortSignal.timeout(patience),
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    answer = await response.json().catch((error) => {
      if (response.ok) throw error; // the link broke within the answer, or something in between has answered
    });
  } catch {
    throw new Problem(0, { error: "the service cannot be reached" });
  } finally {
    clearTimeout(slowly);
  }
  if (!response.ok) throw new Problem(response.status, answer ?? {});
  return answer;
}

// These may have been stored, or could not be: the same id makes it safe to ask again.
const UNCERTAIN = [0, 503];
const TRIES = 5;

/**
 * Ask again what seemed to fail: with the same id it is stored once.
 *
 * @param {string} path
 * @param {{id: string} & Record<string, unknown>} body
 */
async function persist(path, body) {
  let doubt = false; // an earlier try may have been stored
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request("POST", path, body);
    } catch (error) {
      const found = problem(error);
      found.doubt = doubt;
      doubt = true;
      if (attempt >= TRIES || !UNCERTAIN.includes(found.status)) throw found;
      await new Promise((resume) => setTimeout(resume, 250 * 2 ** attempt));
    }
  }
}

/** @param {string} id */
const path = (id, command = "") => `/api/conversations/${encodeURIComponent(id)}${command}`;

/** @param {string} account */
const sessionsOf = (account) => account ? `/api/accounts/${encodeURIComponent(account)}/sessions` : "/api/me/sessions";

// While one's own account changes, the login of before has ended, and the next one's cookie is on its way.
/** @type {Promise<unknown>} */
let changing = Promise.resolve();

/** @param {string} path @param {object} body */
function renewed(path, body) {
  const change = request("POST", path, body);
  changing = change.catch(() => {});
  return change;
}

export const api = {
  /** @returns {Promise<import("./types").Me>} */
  me: () => changing.then(() => request("GET", "/api/me")),
  /** @param {string} name @param {string} password @param {string} code @returns {Promise<import("./types").Me>} */
  login: (name, password, code) => request("POST", "/api/login", { name, password, code }),
  /** @returns {Promise<import("./types").LoginOptions>} */
  loginOptions: () => request("GET", "/api/login/options"),
  /** @returns {Promise<{next: string | null}>} */
  logout: () => request("POST", "/api/logout"),
  present: () => request("POST", "/api/presence"),
  /** @param {import("./types").Availability} availability @returns {Promise<import("./types").Person>} */
  choose: (availability) => request("POST", "/api/availability", { availability }),
  /** @returns {Promise<import("./types").Overview>} */
  overview: () => request("GET", "/api/overview"),
  /** @param {string} id @param {string} operator @param {string} from who has it @returns {Promise<Row>} */
  give: (id, operator, from) => request("POST", path(id, "/give"), { operator, take_from: from }),
  /** @returns {Promise<{operators: import("./types").Colleague[]}>} */
  operators: () => request("GET", "/api/operators"),
  /** @param {string} current @param {string} password @returns {Promise<import("./types").Me>} */
  changePassword: (current, password) => renewed("/api/me/password", { current, password }),
  /** @returns {Promise<import("./types").SecondFactorState>} */
  secondFactor: () => request("GET", "/api/me/second-factor"),
  /** @param {string} password @returns {Promise<import("./types").SecondFactorSecret>} */
  beginSecondFactor: (password) => request("POST", "/api/me/second-factor/begin", { password }),
  /** @param {string} code @returns {Promise<import("./types").RecoveryCodes>} */
  confirmSecondFactor: (code) => renewed("/api/me/second-factor/confirm", { code }),
  /** @param {string} password @param {string} code @returns {Promise<import("./types").RecoveryCodes>} */
  newRecoveryCodes: (password, code) => renewed("/api/me/second-factor/recovery-codes", { password, code }),
  /** @param {string} password @param {string} code @returns {Promise<import("./types").Me>} */
  takeOffSecondFactor: (password, code) => renewed("/api/me/second-factor/off", { password, code }),
  /** @returns {Promise<import("./types").AccountList>} */
  accounts: () => request("GET", "/api/accounts"),
  /** @param {{name: string, password?: string, sign_on: boolean, display: string, role: string}} account @returns {Promise<import("./types").AccountList>} */
  makeAccount: (account) => request("POST", "/api/accounts", account),
  /**
   * @param {string} name @param {"password" | "role" | "disable" | "enable" | "remove" | "second-factor-off"} command @param {object} [body]
   * @returns {Promise<import("./types").AccountList>}
   */
  changeAccount: (name, command, body) => request("POST", `/api/accounts/${encodeURIComponent(name)}/${command}`, body),
  /** @param {string} account "" is one's own @returns {Promise<import("./types").SessionList>} */
  sessions: (account) => request("GET", `${sessionsOf(account)}`),
  /** @param {string} account @param {string} id @returns {Promise<import("./types").SessionList>} */
  endSession: (account, id) => request("POST", `${sessionsOf(account)}/${id}/end`),
  /** All except the one that asks. @param {string} account @returns {Promise<import("./types").SessionList>} */
  endSessions: (account) => request("POST", `${sessionsOf(account)}/${account ? "end-all" : "end-others"}`),
  /** @returns {Promise<import("./types").WebhookOverview>} */
  webhooks: () => request("GET", "/api/webhooks"),
  /** @param {string} endpoint @param {boolean} on @returns {Promise<import("./types").WebhookOverview>} */
  switchWebhooks: (endpoint, on) => request("POST", `/api/webhooks/${on ? "enable" : "disable"}`, { endpoint }),
  /** @param {string} endpoint @param {string} [webhook] @returns {Promise<import("./types").WebhookOverview>} */
  resendWebhooks: (endpoint, webhook) => request("POST", "/api/webhooks/resend", { endpoint, ...(webhook ? { webhook } : {}) }),
  /** @param {import("./types").View} view @param {number | null} [before] @returns {Promise<import("./types").Page>} */
  list: (view, before) =>
    request("GET", `/api/conversations?view=${view}&limit=100${before === null || before === undefined ? "" : `&before=${before}`}`),
  /** @param {import("./types").SearchFor} wanted @returns {Promise<import("./types").Found>} */
  search: (wanted) => request("POST", "/api/search", wanted),
  /** @returns {Promise<import("./types").Answers>} */
  answers: () => request("GET", "/api/answers"),
  /** @param {{id: string, title: string, text: string, shared: boolean}} answer @returns {Promise<import("./types").Answers>} */
  saveAnswer: (answer) => persist("/api/answers", answer),
  /** @param {string} id @param {boolean} shared @returns {Promise<import("./types").Answers>} */
  removeAnswer: (id, shared) => persist("/api/answers/remove", { id, shared }),
  /** @returns {Promise<{offered: boolean}>} */
  suggestionsOffered: () => request("GET", "/api/suggestions"),
  /** @param {string} id @param {"reply" | "summary"} kind @param {string} language @returns {Promise<{text: string, position: number}>} */
  suggest: (id, kind, language) => request("POST", path(id, "/suggestions"), { kind, language }, LONG),
  /** @returns {Promise<import("./types").Views>} */
  views: () => request("GET", "/api/views"),
  /** @param {{id: string, name: string, wanted: import("./types").SearchFor, shared: boolean}} view @returns {Promise<import("./types").Views>} */
  saveView: (view) => persist("/api/views", view),
  /** @param {string} id @param {boolean} shared @returns {Promise<import("./types").Views>} */
  removeView: (id, shared) => persist("/api/views/remove", { id, shared }),
  /** @param {string} id @returns {Promise<import("./types").Detail>} */
  conversation: (id) => request("GET", path(id)),
  /** @param {string} id @returns {Promise<import("./types").Earlier>} */
  earlier: (id) => request("GET", path(id, "/earlier")),
  /** @param {string} id @param {number} talk @returns {Promise<import("./types").PastMessages>} */
  earlierTalk: (id, talk) => request("GET", path(id, `/earlier/${talk}`)),
  /** @param {string} id @returns {Promise<import("./types").DeskDetail>} */
  desk: (id) => request("GET", path(id, "/desk")),
  /** @param {string} id @param {number} first @param {number} limit @returns {Promise<import("./types").HistoryPage>} */
  history: (id, first, limit) => request("GET", path(id, `/history?from=${first}&limit=${limit}`)),
  /** @param {string} id @param {number} position @returns {Promise<import("./types").HistoryPoint>} */
  historyAt: (id, position) => request("GET", path(id, `/history/${position}`)),
  /** @param {string} id @param {string} [from] whom a supervisor takes it from @returns {Promise<Row>} */
  claim: (id, from) => request("POST", path(id, "/claim"), from ? { take_from: from } : {}),
  /** @param {string} id @param {string} [state] @returns {Promise<Row>} */
  handback: (id, state) => request("POST", path(id, "/handback"), state ? { state } : {}),
  /** @param {string} id @param {{operator?: string, queue?: string, note?: string}} to @returns {Promise<Row>} */
  transfer: (id, to) => request("POST", path(id, "/transfer"), to),
  /** @param {string} id @param {boolean} unjoined @returns {Promise<Row>} */
  resolve: (id, unjoined) => request("POST", path(id, "/resolve"), { unjoined }),
  /** @param {string} id @returns {Promise<Row>} */
  reopen: (id) => request("POST", path(id, "/reopen")),
  /** @param {string} id @returns {Promise<Row>} */
  askAddress: (id) => request("POST", path(id, "/ask-address"), {}),
  /** @param {string} id @returns {Promise<Row>} */
  askRating: (id) => request("POST", path(id, "/ask-rating")),
  /** @param {string} id */
  typing: (id) => request("POST", path(id, "/typing")),
  /** @param {string} id @param {string} console the feed that is told more of it */
  watch: (id, console) => request("POST", path(id, "/watch"), { console }),
  /** @param {string} id @param {string} text @param {string} message its id @returns {Promise<Row>} */
  say: (id, text, message) => persist(path(id, "/say"), { text, id: message }),
  /**
   * Note something beside the conversation: `label`, `snooze`, `note` ...
   *
   * @param {string} id @param {string} command @param {object} body @param {string} [once] the request's id
   * @returns {Promise<import("./types").DeskDetail>}
   */
  note: (id, command, body, once = newId()) => persist(path(id, `/${command}`), { ...body, id: once }),
};

/** randomUUID exists only on secure origins; a console on plain http in a local network is none. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
