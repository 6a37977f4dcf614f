// `window.switchboard`: what the page may ask of the chat.

import { on } from "./events.js";
import { current, replace } from "./keeper.js";
import { version } from "./loader.js";

/** What `setPage` takes, each by the name of its attribute. */
const NAMES = ["flow", "language", "title", "greeting", "color", "side", "share"];

/** Puts the interface into the page, and tells whoever waits for it. */
export function offer() {
  const given = (window.switchboard ??= {});
  /** @type {import("../types").Switchboard} */
  const api = Object.assign(given, {
    version,
    open: () => current()?.open(),
    close: () => current()?.close(),
    toggle: () => (current()?.isOpen ? api.close() : api.open()),
    reset: () => current()?.reset(),
    setPage,
    on,
  });
  if (location.hash === "#switchboard") api.open(); // a mail's link led back here
  given.ready?.(api);
}

/** @param {import("../widget").SwitchboardPage} page */
function setPage(page) {
  /** @type {Record<string, string | undefined>} */
  const changes = {};
  for (const [name, value] of Object.entries(page)) {
    if (NAMES.includes(name)) changes[name] = value === null ? undefined : String(value);
    else console.warn(`Switchboard: setPage takes ${NAMES.join(", ")}, not "${name}".`);
  }
  const chat = current();
  if (chat && !chat.change(changes)) replace(chat.replaced());
}
