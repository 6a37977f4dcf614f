import assert from "node:assert/strict";
import { test } from "node:test";
import { fileAddress, serverAddress } from "../../services/proxy/widget/button/addresses.js";
import { readOptions } from "../../services/proxy/widget/chat/options.js";
import { presence } from "../../services/proxy/widget/chat/presence.js";

const PAGE = "https://shop.example/a/b";

test("the server is next to the script, whichever address the script has", () => {
  assert.equal(serverAddress(undefined, "https://chat.example/x/widget.js?v=1", PAGE), "wss://chat.example/x/ws");
  assert.equal(serverAddress(undefined, "http://c.example/x/widget/0a1b/widget.js", PAGE), "ws://c.example/x/ws");
});

test("a server that the page names counts", () => {
  assert.equal(serverAddress("https://other.example", "https://c.example/widget.js", PAGE), "wss://other.example/ws");
  assert.equal(serverAddress("/chat/ws#x", "https://c.example/widget.js", PAGE), "wss://shop.example/chat/ws");
});

test("the files of a build are below the script", () => {
  const address = "https://chat.example/x/widget/0a1b/chat.js";
  assert.equal(fileAddress("chat.js", "0a1b", "https://chat.example/x/widget.js"), address);
  assert.equal(fileAddress("chat.js", "0a1b", "https://chat.example/x/widget/0a1b/widget.js"), address);
});

test("without attributes it floats, and may sound", () => {
  const { options, problems } = readOptions({});
  assert.deepEqual(problems, []);
  assert.equal(options.mode, "float");
  assert.equal(options.sound, true);
  assert.equal(options.openAfter, undefined);
});

test("attributes are read", () => {
  const { options, problems } = readOptions(
    { lang: "de", flow: "shop", openAfter: "2.5", sound: "off", fullPage: "", greeting: " Hi! " });
  assert.deepEqual(problems, []);
  assert.deepEqual([options.language, options.flow, options.openAfter, options.sound, options.mode, options.greeting],
    ["de", "shop", 2.5, false, "page", "Hi!"]);
});

test("what is wrong is told with what would be right, and does not count", () => {
  const { options, problems } = readOptions({ side: "top", openAfter: "soon", fullPage: "maybe", attach: "#a" });
  assert.deepEqual(problems, [
    'data-side="top" is not understood: it may be left or right.',
    'data-open-after="soon" is not understood: it may be a number of seconds, as 10.',
    'data-full-page="maybe" is not understood: it may be yes or no.',
  ]);
  assert.equal(options.openAfter, undefined);
  assert.equal(options.mode, "attach");
});

test("a place in the page and the whole page exclude each other", () => {
  assert.match(readOptions({ attach: "#a", fullPage: "yes" }).problems[0], /exclude each other/);
});

test("what operators may be told of the visitor is a list of words", () => {
  assert.deepEqual(readOptions({}).options.share, []);
  assert.deepEqual(readOptions({ share: "page, referrer" }).options.share, ["page", "referrer"]);
  const { options, problems } = readOptions({ share: "everything" });
  assert.deepEqual(problems, ['data-share="everything" is not understood: it may be page, query, referrer, browser or nothing.']);
  assert.deepEqual(options.share, []);
});

test("of the page only that is told which its tag allows, and nothing behind the path unless it says so", () => {
  Object.assign(globalThis, {
    document: { hidden: false, title: "Reset", referrer: "https://mail.example/inbox?user=ann" },
    location: { href: "https://shop.example/reset?token=secret#form" },
  });
  const told = (/** @type {string[]} */ ...share) => presence(share, "cursor");
  const nothing = { kind: "Presence", visible: true, seen: "cursor" };
  assert.deepEqual(JSON.parse(told()), nothing);
  assert.deepEqual(JSON.parse(told("page", "referrer")), {
    ...nothing, page: "https://shop.example/reset", title: "Reset", referrer: "https://mail.example/inbox" });
  assert.equal(JSON.parse(told("page", "query")).page, "https://shop.example/reset?token=secret#form");
  assert.deepEqual(JSON.parse(told("query")), nothing);
  assert.equal(JSON.parse(told("browser")).browser, navigator.userAgent);
  assert.equal(told("page", "nothing"), "");
});
