// The connection with a socket that this file plays the server of; time is node:test's own.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Connection } from "../../services/proxy/widget/chat/transport/connection.js";

/** @type {Socket[]} */
let sockets = [];

class Socket {
  /** @type {any} */
  onmessage = null;
  /** @type {any} */
  onclose = null;
  /** @type {any[]} */
  sent = [];
  closed = false;

  /** @param {URL} url */
  constructor(url) {
    this.asked = url.searchParams;
    sockets.push(this);
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  /** @param {object} frame */
  says(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @param {number} code */
  ends(code, reason = "") {
    this.onclose?.({ code, reason });
  }
}

Object.assign(globalThis, { WebSocket: Socket, document: { hidden: false } });

/** @param {unknown} [kept] */
function begin(kept = null, known = false) {
  /** @type {any[]} */
  const told = [];
  /** @type {any} */
  let stored = kept;
  const store = { read: () => stored, write: (/** @type {unknown} */ value) => (stored = value) };
  const connection = new Connection("ws://c.example/ws", () => ({ flow: "shop", lang: undefined }), known, store, {
    frame: (frame, message) => told.push(message ? [frame.kind, message.id] : [frame.kind]),
    status: (state) => told.push(state),
    away: (code) => told.push(["away", code]),
    lost: (cookie) => told.push(["lost", cookie]),
  });
  connection.connect();
  return { connection, told, stored: () => stored };
}

const socket = () => /** @type {Socket} */ (sockets.at(-1));
const RESUMED = { kind: "Resumed", cursor: null, reset: true };
const text = (/** @type {string} */ id) => ({ kind: "UserText", id, sessionId: 1, content: id });

beforeEach(() => {
  sockets = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});

test("a new visitor's wishes are asked for, and nothing is sent before the server resumed", () => {
  const { connection } = begin();
  assert.equal(socket().asked.get("flow"), "shop");
  assert.equal(socket().asked.get("begin"), null);
  connection.send(text("a"));
  assert.deepEqual(socket().sent, []);
  socket().says(RESUMED);
  assert.deepEqual(socket().sent.map(({ id }) => id), ["a"]);
});

test("a known conversation is not begun", () => {
  begin(null, true);
  assert.equal(socket().asked.get("begin"), "no");
});

test("what is not acknowledged is kept, sent again on the next socket in order, and settled once", () => {
  const { connection, told, stored } = begin();
  socket().says(RESUMED);
  connection.send(text("a"));
  connection.send(text("b"));
  socket().says({ kind: "Ack", id: "a", cursor: "1" });
  assert.deepEqual(stored().map((/** @type {any} */ frame) => frame.id), ["b"]);
  socket().ends(1006);
  mock.timers.tick(30_000);
  assert.equal(sockets.length, 2);
  assert.equal(socket().asked.get("cursor"), "1");
  socket().says({ kind: "Resumed", cursor: "1", reset: false });
  assert.deepEqual(socket().sent.map(({ id }) => id), ["b"]);
  socket().says({ kind: "Ack", id: "b", cursor: "2" });
  assert.deepEqual(stored(), []);
  assert.deepEqual(told.filter((each) => each[0] === "Ack"), [["Ack", "a"], ["Ack", "b"]]);
});

test("what an earlier page left is sent", () => {
  begin([text("old")]);
  assert.equal(socket().asked.get("begin"), "no");
  socket().says(RESUMED);
  assert.deepEqual(socket().sent.map(({ id }) => id), ["old"]);
});

test("a fact that comes twice is told once", () => {
  const { told } = begin();
  socket().says(RESUMED);
  socket().says({ kind: "BotText", cursor: "1", content: "Hi" });
  socket().says({ kind: "BotText", cursor: "1", content: "Hi" });
  assert.equal(told.filter(([kind]) => kind === "BotText").length, 1);
});

test("a link that stays silent is doubted, and then given up for another", () => {
  const { told } = begin();
  socket().says(RESUMED);
  assert.equal(told.at(-1)[0], "Resumed");
  mock.timers.tick(15_000);
  assert.deepEqual(socket().sent, [{ kind: "Ping" }]);
  mock.timers.tick(1_000);
  assert.equal(told.at(-1), "connecting");
  mock.timers.tick(4_000);
  mock.timers.tick(500);
  assert.equal(sockets[0].closed, true);
  assert.equal(sockets.length, 2);
});

test("an answer ends the doubt", () => {
  const { told } = begin();
  socket().says(RESUMED);
  mock.timers.tick(15_000);
  mock.timers.tick(1_000);
  assert.equal(told.at(-1), "connecting");
  socket().says({ kind: "Pong" });
  assert.equal(told.at(-2), "connected");
  mock.timers.tick(5_000);
  assert.equal(sockets.length, 1);
});

test("an older server that takes a Ping for an error is not asked again", () => {
  begin();
  socket().says(RESUMED);
  mock.timers.tick(15_000);
  socket().ends(1007);
  mock.timers.tick(1_000);
  socket().says(RESUMED);
  mock.timers.tick(60_000);
  assert.deepEqual(socket().sent, []);
});

test("an older server that takes a Presence for an error is not told again, but is asked for its pulse", () => {
  const { connection } = begin();
  assert.equal(connection.present('{"kind":"Presence"}'), false); // not before the server resumed
  socket().says(RESUMED);
  assert.equal(connection.present('{"kind":"Presence"}'), true);
  socket().ends(1007);
  mock.timers.tick(1_000);
  socket().says(RESUMED);
  assert.equal(connection.present('{"kind":"Presence"}'), true); // there is nothing more to tell
  mock.timers.tick(15_000);
  assert.deepEqual(socket().sent, [{ kind: "Ping" }]);
});

test("closings after which it stays away, and those after which it comes back", () => {
  for (const code of [1000, 1003, 1008, 1009]) {
    const { told } = begin();
    socket().says(RESUMED);
    socket().ends(code);
    mock.timers.tick(60_000);
    assert.deepEqual(told.at(-1), ["away", code]);
  }
  const count = sockets.length;
  begin();
  socket().says(RESUMED);
  socket().ends(1012);
  mock.timers.tick(1_000);
  assert.equal(sockets.length, count + 2);
});

test("a cursor that no longer holds is not sent again", () => {
  begin();
  socket().says(RESUMED);
  socket().says({ kind: "BotText", cursor: "1", content: "Hi" });
  socket().ends(4000);
  mock.timers.tick(1_000);
  assert.equal(socket().asked.get("cursor"), null);
});

test("the time that the server names is waited for, also when somebody hurries", () => {
  const { connection } = begin();
  socket().says(RESUMED);
  socket().ends(4029, "come back in 20 s");
  mock.timers.tick(19_000);
  connection.hurry();
  assert.equal(sockets.length, 1);
  mock.timers.tick(2_000);
  assert.equal(sockets.length, 2);
});

test("without a conversation to come back to it says so, and whether the cookie came", () => {
  const { told } = begin(null, true);
  socket().ends(4001, "no cookie");
  assert.deepEqual(told.at(-1), ["lost", false]);
});

test("three attempts that fail are offline", () => {
  const { told } = begin();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    socket().ends(1006);
    mock.timers.tick(30_000);
  }
  assert.equal(told.at(-1), "offline");
});

test("the visitor's own reset is told as a new beginning once it is stored", () => {
  const { connection, told } = begin();
  socket().says(RESUMED);
  connection.send({ kind: "ResetSession", id: "r" });
  socket().says({ kind: "Ack", id: "r", cursor: "5" });
  assert.deepEqual(told.slice(-2), [["Ack", "r"], ["Resumed"]]);
});
