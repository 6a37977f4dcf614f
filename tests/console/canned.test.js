import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, filled, fitting } from "../../services/operator/static/console/canned.js";

/** @param {string} title @param {string} text */
const answer = (title, text) => ({ id: title, title, text, by: "ada" });

test("a slash as the first sign asks for them", () => {
  assert.equal(asked("/"), "");
  assert.equal(asked("/Ref und"), "ref und");
  for (const text of ["", "a /", " /a", "/a\nb", `/${"a".repeat(80)}`]) assert.equal(asked(text), null);
});

test("those fit in which all words stand, in the title first", () => {
  const all = [answer("Delay", "Your refund is late"), answer("Refund", "It is on its way"), answer("Hello", "Hi!")];
  const titles = (/** @type {string} */ query) => fitting(all, query).map((each) => each.title);
  assert.deepEqual(titles("refund"), ["Refund", "Delay"]);
  assert.deepEqual(titles("refund way"), ["Refund"]);
  assert.deepEqual(titles(""), ["Delay", "Hello", "Refund"]);
  assert.deepEqual(titles("nothing"), []);
});

test("what is known is filled in, what is not stays to be filled in", () => {
  assert.equal(filled("{{ visitor }}, {{me}}: {{order}} {{Email}}", { visitor: "Grace", me: "Ada", email: "g@e.org" }), "Grace, Ada: {{order}} g@e.org");
  assert.equal(filled("{{cart}} {{none}} {{no}}", { cart: { a: 1 }, none: null, no: 0 }), "{{cart}} {{none}} 0");
  assert.equal(filled("{{visitor}}", { visitor: "{{me}}", me: "Ada" }), "{{me}}"); // a visitor's words are no template
  assert.equal(filled("{{constructor}} {{__proto__}}", {}), "{{constructor}} {{__proto__}}");
});
