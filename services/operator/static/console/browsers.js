// What a browser calls itself, in a few words. The names and their order are those of MDN's page "Browser detection
// using the user agent string": nearly every browser says that it is others too.

/** @type {[string, RegExp][]} */
const BROWSERS = [
  ["Edge", /\bEdg(?:A|iOS)?\/(\d+)/],
  ["Opera", /\bOPR\/(\d+)/],
  ["Samsung Internet", /\bSamsungBrowser\/(\d+)/],
  ["Firefox", /\b(?:Firefox|FxiOS)\/(\d+)/],
  ["Chrome", /\b(?:HeadlessChrome|Chrome|CriOS)\/(\d+)/],
  ["Safari", /\bVersion\/(\d+)\b.*\bSafari\//],
];
/** @type {[string, RegExp][]} */
const SYSTEMS = [
  ["Windows", /\bWindows\b/],
  ["Android", /\bAndroid\b/],
  ["iPhone", /\biPhone\b/],
  ["iPad", /\biPad\b/],
  ["ChromeOS", /\bCrOS\b/],
  ["macOS", /\bMac OS X\b/],
  ["Linux", /\bLinux\b/],
];

/** Such as "Firefox 128, Windows"; of a browser that is not known all that it says. @param {string} userAgent */
export function browserName(userAgent) {
  const browser = BROWSERS.find(([, pattern]) => pattern.test(userAgent));
  if (!browser) return userAgent;
  const [name, pattern] = browser;
  const system = SYSTEMS.find(([, words]) => words.test(userAgent))?.[0];
  return [`${name} ${pattern.exec(userAgent)?.[1]}`, system].filter(Boolean).join(", ");
}
