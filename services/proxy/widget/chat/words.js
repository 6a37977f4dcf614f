// The chat's own words.

import ENGLISH from "../texts/en.json";

/** @typedef {import("../types").Texts} Texts */
/** @typedef {Record<string, string | undefined>} Words */

const RIGHT_TO_LEFT = /^(ar|he|fa|ur|yi|ps|sd|ug|ckb|dv)\b/;

/**
 * The words of the visitor's language and those of the page's JSON file. Without them the chat speaks English.
 *
 * @param {import("../types").Host} host
 * @returns {Promise<Words>}
 */
export async function loadWords({ language, given, load }) {
  const file = `texts-${language}.js`;
  const own = language === "en" ? {} : load(file, WIDGET_HASHES[file]).then((module) => module.default);
  const pages = given.texts ? fetch(new URL(given.texts, document.baseURI)).then((answer) => answer.json()) : {};
  const read = await Promise.allSettled([own, pages]);
  for (const each of read) {
    if (each.status === "rejected") console.warn("Switchboard: the chat's texts could not be loaded.", each.reason);
  }
  return Object.assign({}, ...read.map((each) => (each.status === "fulfilled" ? each.value : {})));
}

/**
 * The page's own words, else those that were loaded, else the English ones.
 *
 * @param {Words} loaded
 * @param {Words} given
 * @returns {Texts}
 */
export function chosenWords(loaded, given) {
  const pages = { ...loaded, ...window.switchboard?.texts, ...given };
  return /** @type {Texts} */ (
    Object.fromEntries(Object.entries(ENGLISH).map(([name, text]) => [name, pages[name] ?? text])));
}

/**
 * The direction of the words' language, or of the page as its markup says; what a stylesheet says does not count.
 *
 * @param {string} language
 */
export const direction = (language) =>
  RIGHT_TO_LEFT.test(language) || (document.body?.dir || document.documentElement.dir) === "rtl" ? "rtl" : "ltr";
