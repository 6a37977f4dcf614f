// The feed of live events: one stream that is opened again whenever it may be dead.

import { newId, slow } from "./api.js";

// The service says something at least every 10 s; after more than two of its heartbeats the feed is dead.
const SILENCE = 22000;
// How long a new feed may take before the console says that it is connecting, and before another try.
const DOUBT = 1500;
const OPENING = 10000;

/**
 * @typedef {object} Listener
 * @property {(name: string) => void} open after each connect: read the lists then, since events may have been
 *   missed; the name is that of this feed, for what is told to nobody else
 * @property {() => void} closed while there is no feed
 * @property {(row: import("./types").Row) => void} conversation
 * @property {(line: import("./types").Told) => void} message
 * @property {(typing: {conversation: string}) => void} typing
 * @property {(presence: import("./types").Presence) => void} presence
 * @property {(piece: import("./types").DraftPiece) => void} draft
 * @property {(erased: {conversation: string}) => void} erased
 * @property {() => void} settings what the lists say is to be read anew
 * @property {() => void} team somebody has chosen to be available, or not to be
 * @property {() => void} heartbeat
 */

/**
 * @param {Listener} on
 * @returns {() => void} ends it
 */
export function listen(on) {
  let source = /** @type {EventSource | null} */ (null); // the feed that counts
  let next = /** @type {EventSource | null} */ (null); // the one that shall take its place
  let heard = Date.now();
  let timer = 0;
  let doubt = 0;
  let opening = 0;
  let ended = false;

  const closed = () => !ended && on.closed();

  // Opens a feed; the old one goes when this one is open, so that nobody is told of a link that was well.
  const renew = () => {
    if (ended || next) return;
    clearTimeout(timer);
    const name = newId();
    const feed = new EventSource(`/api/events?console=${name}`);
    next = feed;
    doubt = window.setTimeout(closed, source ? DOUBT : 0);
    opening = window.setTimeout(() => failed(feed), OPENING);
    feed.addEventListener("open", () => {
      if (ended || feed !== next) return;
      source?.close();
      source = feed;
      next = null;
      heard = Date.now();
      clearTimeout(doubt);
      clearTimeout(opening);
      on.open(name);
    });
    for (const kind of /** @type {const} */ (["conversation", "message", "typing", "presence", "draft", "erased", "settings", "team", "heartbeat"])) {
      feed.addEventListener(kind, (event) => {
        if (feed !== source) return;
        heard = Date.now();
        on[kind](JSON.parse(event.data));
      });
    }
    // The browser would try again by itself, but not after an answer other than 200, nor out of a silence.
    feed.addEventListener("error", () => failed(feed));
  };

  /** @param {EventSource} feed */
  const failed = (feed) => {
    feed.close();
    if (feed === next) {
      next = null;
      clearTimeout(doubt);
      clearTimeout(opening);
    } else if (feed === source) {
      source = null;
    } else {
      return;
    }
    if (ended) return;
    closed();
    clearTimeout(timer);
    // The one that is being opened has its own time, and would never be given up without.
    if (!next) timer = window.setTimeout(renew, 1000 + Math.random() * 2000);
  };

  /** @param {Event} event */
  const stirred = ({ type }) => {
    if (document.hidden && type !== "online") return;
    if (next && type === "online") failed(next); // it began on the old network
    renew();
  };
  const watch = setInterval(() => {
    if (source && Date.now() - heard > SILENCE) failed(source);
  }, 1000);
  const stirs = /** @type {[EventTarget, string][]} */ ([
    [window, "online"], [window, "offline"], [window, "pageshow"], [document, "visibilitychange"],
    [document, "resume"], [slow, "slow"],
  ]);
  for (const [target, name] of stirs) target.addEventListener(name, stirred);
  renew();
  return () => {
    ended = true;
    clearInterval(watch);
    for (const waiting of [timer, doubt, opening]) clearTimeout(waiting);
    for (const [target, name] of stirs) target.removeEventListener(name, stirred);
    source?.close();
    next?.close();
  };
}
