// What the page asks for, checked. Without DOM.

/** @typedef {import("../types").Given} Given */

const NO = /^(no|off|false|0)$/i;
const YES = /^(|yes|on|true|1)$/i;
const SHARE = /^(page|query|referrer|browser|nothing|[\s,])*$/;

/**
 * The options, and what is wrong with them in words for the page's author: a wrong one counts as not given.
 *
 * @param {Given} given
 * @returns {{options: import("../types").Options, problems: string[]}}
 */
export function readOptions(given) {
  /** @type {string[]} */
  const problems = [];
  /** @param {string} name @param {(value: string) => boolean} right @param {string} may */
  const checked = (name, right, may) => {
    const value = given[name]?.trim();
    if (value === undefined || right(value)) return value;
    const attribute = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    problems.push(`data-${attribute}="${value}" is not understood: it may be ${may}.`);
    return undefined;
  };
  const flag = (/** @type {string} */ value) => NO.test(value) || YES.test(value);
  checked("side", (value) => /^(left|right)$/.test(value), "left or right");
  checked("color", (value) => !globalThis.CSS || CSS.supports("color", value), "any colour of CSS, as #2f5bea");
  const openAfter = checked("openAfter", (value) => /^\d+(\.\d+)?$/.test(value), "a number of seconds, as 10");
  const fullPage = checked("fullPage", flag, "yes or no");
  const sound = checked("sound", flag, "on or off");
  const share = checked("share", (value) => SHARE.test(value), "page, query, referrer, browser or nothing");
  if (given.attach && fullPage !== undefined && !NO.test(fullPage)) {
    problems.push("data-attach and data-full-page exclude each other: data-full-page is not followed.");
  }
  return {
    problems,
    options: {
      flow: given.flow,
      language: given.language ?? given.lang,
      greeting: given.greeting?.trim(),
      texts: given.texts?.trim(),
      openAfter: openAfter === undefined ? undefined : Number(openAfter),
      mode: given.attach ? "attach" : fullPage !== undefined && !NO.test(fullPage) ? "page" : "float",
      share: share === undefined ? [] : share.split(/[\s,]+/),
      sound: sound === undefined || !NO.test(sound),
    },
  };
}
