import assert from "node:assert/strict";
import { test } from "node:test";
import { browserName } from "../../services/operator/static/console/browsers.js";

const WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)";

test("a browser is named by the one of its names that is its own", () => {
  const windows = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT}`;
  assert.equal(browserName(`${windows} Chrome/128.0.0.0 Safari/537.36`), "Chrome 128, Windows");
  assert.equal(browserName(`${windows} Chrome/128.0.0.0 Safari/537.36 Edg/127.0.0.0`), "Edge 127, Windows");
  assert.equal(browserName("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"), "Firefox 128, Linux");
  const phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
  assert.equal(browserName(`${phone} Version/17.5 Mobile/15E148 Safari/604.1`), "Safari 17, iPhone");
});

test("what is not known is shown as it is", () => {
  assert.equal(browserName("Lynx/2.9.2"), "Lynx/2.9.2");
  assert.equal(browserName(""), "");
});
