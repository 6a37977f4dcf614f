import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { chooseLanguage } from "../../services/proxy/widget/button/languages.js";
import { OPEN } from "../../services/proxy/widget/button/words.js";

const TEXTS = new URL("../../services/proxy/widget/texts/", import.meta.url);
const files = readdirSync(TEXTS);
/** @param {string} name @returns {Record<string, string>} */
const read = (name) => JSON.parse(readFileSync(new URL(name, TEXTS), "utf8"));
const holes = (/** @type {string} */ text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

test("each language that can be chosen has texts, and a name for the button", () => {
  const languages = files.map((name) => name.replace(".json", ""));
  assert.deepEqual(Object.keys(OPEN).sort(), languages.sort());
  for (const language of languages) assert.equal(chooseLanguage([language]), language);
});

for (const name of files) {
  test(`${name} has every text, with the same holes as the English one`, () => {
    const [texts, english] = [read(name), read("en.json")];
    assert.deepEqual(Object.keys(texts), Object.keys(english));
    for (const [key, text] of Object.entries(texts)) {
      assert.ok(text.trim(), key);
      assert.deepEqual(holes(text), holes(english[key]), `${key}: ${text}`);
    }
    assert.equal(texts.open, OPEN[name.replace(".json", "")]);
  });
}

test("the first wish that is near counts, before one that is only known", () => {
  assert.equal(chooseLanguage(["ca", "de"]), "de");
  assert.equal(chooseLanguage(["ca", "xx"]), "es");
  assert.equal(chooseLanguage(["gsw", "fr"]), "de");
  assert.equal(chooseLanguage(["zh-TW"]), "zh-Hant");
  assert.equal(chooseLanguage(["pt_BR"]), "pt");
  assert.equal(chooseLanguage(["", "not a tag", "sr"]), "en");
});
