// One button for a page, for as long as the page lasts. It stands beside the body, not in it: routers
// replace bodies (Turbo, single-page applications), and a hidden body hides what is in it. A chat that
// belongs into a place of the page's own is there whenever that place is.

/** @typedef {import("./element.js").SwitchboardChat} SwitchboardChat */

const NAME = "switchboard-chat";

/** @type {SwitchboardChat | null} */
let chat = null;
/** The document's element when the button came into it. @type {Element | null} */
let root = null;
let missed = 0; // how often somebody took the button away, and nothing else

/** The one chat of this page. */
export const current = () => chat;

const keeper = new MutationObserver((changes) => {
  if (!chat || chat.isConnected) return;
  const gone = changes.flatMap(({ removedNodes }) => [...removedNodes]);
  const replaced =
    root !== document.documentElement || gone.some((node) => /^(body|html)$/i.test(node.nodeName));
  // Clean-up scripts take what they do not know; the second time it is meant.
  if (replaced || chat.given.attach || missed++ === 0) settle();
});

function settle() {
  if (!document.documentElement) return; // `document.open`: the keeper sees the next one
  root = document.documentElement;
  chat ??= document.querySelector(NAME) ?? create();
  const shown = chat.retired();
  if (shown !== null) chat = create();
  put(chat, shown === true);
}

/** @param {boolean} open */
export function replace(open) {
  chat = create();
  put(chat, open);
}

const create = () => /** @type {SwitchboardChat} */ (document.createElement(NAME));

/**
 * @param {SwitchboardChat} chosen
 * @param {boolean} open
 */
function put(chosen, open) {
  const { attach } = chosen.given;
  const place = attach ? document.querySelector(attach) : document.documentElement;
  if (place && chosen.parentNode !== place) place.append(chosen);
  if (open) chosen.open();
  for (const other of document.querySelectorAll(NAME)) if (other !== chosen) other.remove();
  keeper.disconnect();
  keeper.observe(document, { childList: true, subtree: attach !== undefined });
  keeper.observe(document.documentElement, { childList: true, subtree: attach !== undefined });
}

/** The tag ran, once more or for the first time. */
export function appear() {
  missed = 0;
  if (document.readyState !== "loading") settle();
  else document.addEventListener("DOMContentLoaded", settle, { once: true });
}

/**
 * One that was written into the page by hand: it is the page's chat, unless there is one.
 *
 * @param {SwitchboardChat} other
 */
export function adopt(other) {
  if (chat === other) return true;
  if (chat) return false; // one is enough
  chat = other;
  queueMicrotask(appear);
  return true;
}
