/**
 * How HTML and addresses of scripts reach the page where it asks for Trusted Types. A page that allows no policy
 * of this name has neither: HTML is shown as text then, and the rest of the script is imported without its hash.
 */
export let policy = {
  createHTML: (/** @type {string} */ html) => html,
  createScriptURL: (/** @type {string} */ url) => url,
};
try {
  policy = /** @type {any} */ (window).trustedTypes?.createPolicy("switchboard", policy) ?? policy;
} catch {
  // Not allowed: using it throws, which those who use it expect.
}
