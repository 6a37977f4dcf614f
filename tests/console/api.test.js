import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem, api } from "../../services/operator/static/console/api.js";


/** The service answers with these, one after the other. @param {import("node:test").TestContext} given @param {...Response} answers */
function answering(given, ...answers) {
  return given.mock.method(globalThis, "fetch", async () => answers.shift() ?? new Response("{}"));
}

/** An answer that ends before it is whole. */
function cut() {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"conversations": ['));
      setTimeout(() => controller.error(new TypeError("network error")));
    },
  });
  return new Response(body);
}

/** @param {number} status */
const refusal = (status) => (/** @type {unknown} */ error) => error instanceof Problem && error.status === status;

test("an answer that breaks off is no answer", async (given) => {
  answering(given, cut());
  await assert.rejects(api.answers(), refusal(0));
});

test("what something in between answers in the service's place is no answer", async (given) => {
  answering(given, new Response("<html>Sign in to the guests' network</html>"));
  await assert.rejects(api.list("queue"), refusal(0));
});

test("a message whose answer broke off is sent again, with its id", async (given) => {
  const fetch = answering(given, cut(), new Response('{"id": "c"}'));
  assert.equal((await api.say("c", "Hello", "m1")).id, "c");
  const sent = fetch.mock.calls.map((call) => JSON.parse(String(call.arguments[1]?.body)));
  assert.deepEqual(sent, [{ text: "Hello", id: "m1" }, { text: "Hello", id: "m1" }]);
});

test("a refusal is told by its status where its words are none", async (given) => {
  answering(given, new Response("Bad gateway", { status: 502 }));
  await assert.rejects(api.me(), refusal(502));
});
