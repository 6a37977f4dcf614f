// The second step: what is needed once somebody opens the chat, or has talked before.

import { fileAddress } from "./addresses.js";
import { policy } from "./policy.js";

/** Of this build; build.js puts it in. */
export const version = WIDGET_VERSION;

/** @type {Map<string, Promise<any>>} */
const modules = new Map();
let failures = 0;

/**
 * A module of this build. Fails where it cannot be had; the next try asks again.
 *
 * @param {string} name as "chat.js"
 * @param {string} integrity its hash
 * @param {HTMLScriptElement | null} tag the page's own: its nonce is passed on
 * @returns {Promise<any>}
 */
export function load(name, integrity, tag) {
  let module = modules.get(name);
  if (!module) {
    let url = fileAddress(name, version, tag?.src || document.baseURI);
    if (failures) url += `?try=${failures}`; // a browser remembers that a module failed
    module = verify(url, integrity, tag).then(() => import(url));
    modules.set(name, module);
    module.catch(() => {
      failures += 1;
      modules.delete(name);
    });
  }
  return module;
}

/**
 * Loads a module by its hash. What is imported after that is the very same, and is not loaded again.
 *
 * @param {string} url
 * @param {string} integrity
 * @param {HTMLScriptElement | null} tag
 */
function verify(url, integrity, tag) {
  return new Promise((done, fail) => {
    const script = document.createElement("script");
    try {
      script.src = policy.createScriptURL(url);
    } catch {
      done(0);
      return;
    }
    script.type = "module";
    script.integrity = integrity;
    script.crossOrigin = "";
    script.nonce = tag?.nonce ?? "";
    script.onload = done;
    script.onerror = fail;
    document.documentElement.append(script);
    script.remove();
  });
}
