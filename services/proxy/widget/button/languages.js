// In which of its languages the chat shows its own words. It is CLDR's matching, as the bot's flows have it
// (shared/flow/language/locales.py): a test compares the two.

/** Languages with texts of their own, besides English. Chinese has two, told apart by their script. */
const OWN = new Set("en de es fr pt it nl pl tr ar he hi ja ko".split(" "));

/** Whose speakers read it: the same language under another name, or one that is near. */
const NEAR = { ar: "aeb apc apd arq ars ary arz avl shu", de: "gsw lb" };

/** Whose speakers mostly know it: taken only if nothing nearer is there for any wish. */
const FAR = {
  de: "rm",
  en: "cy ga gd haw is mi pcm",
  es: "ay ca eu gl gn",
  fr: "br co crs ht oc",
  hi: "mai",
  it: "la",
  nl: "af fy",
};

const CHINESE = new Set("zh gan hak hsn lzh nan wuu yue".split(" "));

/**
 * The language that fits best: "en" where none does.
 *
 * @param {readonly string[]} wishes language tags, best first; what is no tag fits nothing
 * @returns {string}
 */
export function chooseLanguage(wishes) {
  const read = wishes.map(parts);
  for (const wish of read) {
    const { language, script } = wish;
    if (CHINESE.has(language) && /^Han[st]$/.test(script)) return `zh-${script}`;
    if (OWN.has(language)) return language;
    const near = wish.usual && relative(NEAR, language);
    if (near) return near;
  }
  for (const wish of read) {
    const far = wish.usual && relative(FAR, wish.language);
    if (far) return far;
  }
  return "en";
}

/**
 * The languages that are wished for, best first: the page's, then the browser's.
 *
 * @param {{language?: string, lang?: string}} given
 */
export const wishes = ({ language, lang }) => [...(language ?? lang ?? "").split(","), ...navigator.languages];

/** @param {string} wish */
function parts(wish) {
  try {
    const tag = new Intl.Locale(wish.trim().replace(/_/g, "-"));
    const { language, script = "" } = tag.language ? tag.maximize() : tag;
    // Spelt in another script than its speakers' usual one, a relative does not read ours.
    return { language, script, usual: script === new Intl.Locale(language || "und").maximize().script };
  } catch {
    return { language: "", script: "", usual: false };
  }
}

/**
 * @param {Record<string, string>} table
 * @param {string} language
 */
const relative = (table, language) =>
  Object.keys(table).find((own) => table[own].split(" ").includes(language));
