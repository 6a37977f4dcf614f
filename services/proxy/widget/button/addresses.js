// Where the chat's server is, and where the rest of this script. Without DOM.

/** The script's address of one build, which never changes its content. */
const VERSIONED = /\/widget\/[^/]+\/widget\.js$/;

/**
 * The address of the chat's WebSocket: `data-server`, or next to the script.
 *
 * @param {string | undefined} given
 * @param {string} script the script's own address
 * @param {string} page the page's
 * @returns {string}
 */
export function serverAddress(given, script, page) {
  const url = given ? new URL(given, page) : new URL("ws", home(script));
  if (given && url.pathname === "/") url.pathname = "/ws";
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url.href;
}

/**
 * The address of a file of this build.
 *
 * @param {string} name as "chat.js"
 * @param {string} version
 * @param {string} script the script's own address
 * @returns {string}
 */
export const fileAddress = (name, version, script) => new URL(`widget/${version}/${name}`, home(script)).href;

/** @param {string} script */
function home(script) {
  const url = new URL(script);
  return new URL(VERSIONED.test(url.pathname) ? "../../" : ".", url).href;
}
