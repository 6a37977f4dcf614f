// What operators who look at the conversation are told of the visitor, as far as the page allows it.

/**
 * @param {string[]} share what the page allows, as `data-share` names it
 * @param {string | null} seen the cursor of the newest that was shown to somebody
 * @returns {string} a frame; "" where nothing may be told
 */
export function presence(share, seen) {
  const may = (/** @type {string} */ word) => share.includes(word);
  // What stands behind the path may be a secret: a token, an order's number.
  const address = (/** @type {string} */ url) => {
    const { origin, pathname, search, hash } = new URL(url);
    return origin + pathname + (may("query") ? search + hash : "");
  };
  const { referrer, title } = document;
  return may("nothing") ? "" : JSON.stringify({
    kind: "Presence",
    visible: !document.hidden,
    ...(may("page") && { page: address(location.href), title }),
    ...(may("referrer") && referrer && { referrer: address(referrer) }),
    ...(may("browser") && { browser: navigator.userAgent }),
    seen,
  });
}
