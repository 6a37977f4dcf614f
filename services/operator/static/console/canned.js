// Canned answers: which fit what is typed behind a "/", and what becomes of the variables in them.

/** @typedef {import("./types").CannedAnswer} CannedAnswer */

const SHOWN = 8;
export const BLANK = /\{\{\s*([^{}]{1,80}?)\s*\}\}/;

/** What is looked for among them, or null: they are asked for with a "/" as the first sign. @param {string} text */
export const asked = (text) => (/^\/[^\n]{0,60}$/.test(text) ? text.slice(1).trim().toLowerCase() : null);

/**
 * Those in which each word stands, in the title rather than in the text.
 *
 * @param {CannedAnswer[]} answers @param {string} query
 */
export function fitting(answers, query) {
  const words = query.split(/\s+/).filter(Boolean);
  const rank = (/** @type {CannedAnswer} */ { title, text }) =>
    words.every((word) => title.toLowerCase().includes(word)) ? 0
      : words.every((word) => `${title} ${text}`.toLowerCase().includes(word)) ? 1 : 2;
  return answers.map((answer) => ({ answer, rank: rank(answer) })).filter((each) => each.rank < 2)
    .sort((a, b) => a.rank - b.rank || a.answer.title.localeCompare(b.answer.title))
    .slice(0, SHOWN).map((each) => each.answer);
}

/**
 * The text with what is known; what is not stays as it is, to be filled in.
 *
 * @param {string} text @param {Record<string, unknown>} values
 */
export function filled(text, values) {
  const known = new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]));
  return text.replace(new RegExp(BLANK, "g"), (whole, name) => {
    const value = known.get(name.toLowerCase());
    return value === undefined || value === null || typeof value === "object" ? whole : String(value);
  });
}
