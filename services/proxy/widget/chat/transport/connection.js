// The socket and what must survive it: the cursor, and the messages that are not acknowledged yet.

import { Backoff } from "./backoff.js";
import { Outbox } from "./outbox.js";
import { Pulse } from "./pulse.js";

/** @typedef {import("../../types").Frame} Frame */
/** @typedef {import("../../types").Message} Message */
/** @typedef {import("../../types").ConnectionState} ConnectionState */

/** Entries of the log that are told at first, and each time somebody looks further back. */
const WINDOW = 50;
const STABLE = 10_000; // ms; a connection that held this long lets the backoff begin anew
const PATIENCE = 20_000; // for an acknowledgement, before the socket is given up
const CONNECT_PATIENCE = 10_000; // for a new socket's first frame
const OVERDUE = 5_000; // a message without its acknowledgement: "Connecting ..."

/** No cookie came, or the log has nothing of it: there is nothing to come back to. */
export const UNKNOWN = 4001;
/** Close codes after which coming back by itself would not help. */
const STAY_AWAY = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009]);

/**
 * @typedef {object} Listener
 * @property {(frame: Frame, message?: Frame) => void} frame each that is new; `message` for those that settle one
 * @property {(state: ConnectionState) => void} status
 * @property {(code: number) => void} away it will not come back by itself
 * @property {(cookie: boolean) => void} lost there is no conversation to come back to; false: no cookie was sent
 */

export class Connection {
  outbox;
  brought = false; // the browser brought the cookie back: there was something to come back to
  #address;
  #wishes;
  #on;
  #known; // there is a conversation: connecting must not begin another
  #backoff = new Backoff();
  #pulse;
  /** @type {WebSocket | null} */
  #socket = null;
  #live = false; // the server has said Resumed on this socket
  #fresh = true; // this socket began without a cursor
  /** @type {string | null} */
  #cursor = null;
  #seen = new Set(); // the cursors of all facts shown: an old Ack may set #cursor back
  #sent = new Set(); // ids sent on this socket
  #retry = /** @type {any} */ (0);
  #told = false; // the server named the time to come back
  #stable = /** @type {any} */ (0);
  #patience = /** @type {any} */ (0);
  #overdue = /** @type {any} */ (0); // the timer of a message that is not acknowledged
  #late = false; // it ran out
  #said = ""; // the state that was told last
  #asked = 0; // frames sent that older servers do not know, until the first answer to one
  #mute = false; // an older server, which takes a Ping or an Earlier for an error
  #presented = false; // what was sent last of these is a Presence
  #shy = false; // an older server, which takes it for an error

  /**
   * @param {string} address
   * @param {() => Record<string, string | undefined>} wishes what a new conversation shall be like: {flow, lang}
   * @param {boolean} known
   * @param {import("./outbox.js").Kept} store where the outbox is kept
   * @param {Listener} on
   */
  constructor(address, wishes, known, store, on) {
    this.#address = address;
    this.#wishes = wishes;
    this.#on = on;
    this.outbox = new Outbox(store);
    this.#known = known || this.outbox.messages.length > 0;
    this.#pulse = new Pulse({
      ask: () => this.#whisperNew('{"kind":"Ping"}'),
      changed: () => this.#tell(),
      lost: () => this.#drop(Math.random() * 500),
      hidden: () => document.hidden,
    });
  }

  /** Has the page tell when its link may have changed. Repeating it does no harm. */
  watch() {
    for (const name of ["online", "offline", "pageshow", "focus"]) window.addEventListener(name, this.#stirred);
    for (const name of ["visibilitychange", "resume"]) document.addEventListener(name, this.#stirred);
  }

  /**
   * The network came or went, or somebody looks at the page again: what was true may not be any more.
   *
   * @param {Event} event
   */
  #stirred = ({ type }) => {
    const network = type === "online" || type === "offline";
    if (document.hidden && !network) return;
    if (this.#retry) this.hurry();
    else if (this.#live) this.#pulse.ask();
    else if (this.#socket && type === "online") this.#drop(0); // it began on the old network
  };

  /** Connects without waiting any longer, unless the server has named the time. */
  hurry() {
    if (!this.#retry || !this.#told) this.connect();
  }

  /** Connects, unless it is connected or connecting already. */
  connect() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    if (this.#socket) return;
    const back = this.#known;
    this.#fresh = !this.#cursor;
    this.#tell();
    let socket;
    try {
      socket = this.#open({ ...this.#wishes(), begin: back ? "no" : "", window: String(WINDOW) });
    } catch {
      this.#say("offline"); // mixed content, or the page's policy forbids the address
      this.#on.away(1008);
      return;
    }
    socket.onmessage = (event) => {
      this.brought ||= back;
      this.#received(event.data);
    };
    socket.onclose = (event) => this.#closed(event.code, event.reason);
    this.#socket = socket;
    this.#wait(CONNECT_PATIENCE);
  }

  /** @param {Record<string, string | undefined>} asked */
  #open(asked) {
    const url = new URL(this.#address);
    for (const [name, value] of Object.entries(asked)) if (value) url.searchParams.set(name, value);
    if (this.#cursor) url.searchParams.set("cursor", this.#cursor);
    return new WebSocket(url, "switchboard.v1");
  }

  /**
   * Asks on a second socket whether the browser brings the cookie back; null where that stays open.
   *
   * @returns {Promise<boolean | null>}
   */
  keeps() {
    return new Promise((tell) => {
      const socket = this.#open({ begin: "no" });
      /** @param {boolean | null} answer */
      const done = (answer) => {
        socket.onmessage = socket.onclose = null;
        socket.close(1000);
        tell(answer);
      };
      socket.onmessage = () => done(true);
      socket.onclose = ({ code }) => done(code === UNKNOWN ? false : null);
    });
  }

  /** Closes for good: the element left the page. */
  leave() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#forget()?.close(1000);
  }

  /**
   * Sends a message, again on each new socket, until the server has settled it.
   *
   * @param {Frame} frame
   */
  send(frame) {
    this.outbox.add(frame);
    this.#flush();
  }

  /**
   * Asks for what was before that cursor.
   *
   * @param {string} before
   * @returns {boolean} false: this server tells no such thing
   */
  look(before) {
    if (this.#whisperNew(JSON.stringify({ kind: "Earlier", before }))) this.#pulse.ask(); // somebody waits
    return !this.#mute;
  }

  /**
   * Sends what may be lost.
   *
   * @param {Frame} frame
   */
  whisper(frame) {
    if (this.#live) this.#socket?.send(JSON.stringify(frame));
  }

  /**
   * Tells how things are with the visitor. False: it is to be told again.
   *
   * @param {string} frame
   */
  present(frame) {
    if (this.#shy || !this.#whisperNew(frame)) return this.#shy;
    return (this.#presented = true);
  }

  /**
   * Sends what an older server takes for an error.
   *
   * @param {string} frame
   */
  #whisperNew(frame) {
    if (!this.#live || this.#mute) return false;
    this.#asked += 1;
    this.#presented = false;
    this.#socket?.send(frame);
    return true;
  }

  #flush() {
    if (!this.#live) return;
    const { messages } = this.outbox;
    for (const message of messages) {
      if (this.#sent.has(message.frame.id)) continue;
      this.#sent.add(message.frame.id);
      message.tries += 1;
      this.#socket?.send(JSON.stringify(message.frame));
    }
    if (messages.length && !this.#patience) this.#wait(PATIENCE);
    if (messages.length && !this.#overdue) {
      this.#overdue = setTimeout(() => {
        this.#late = true;
        this.#tell();
        this.#pulse.ask();
      }, OVERDUE);
    }
  }

  /** @param {import("../../types").Id | undefined} id */
  #settle(id) {
    const message = this.outbox.settle(id);
    if (!message) return undefined;
    this.#calm();
    this.#flush(); // the next one's time begins
    this.#tell();
    return message;
  }

  /** @param {string} data */
  #received(data) {
    this.#pulse.heard();
    /** @type {Frame} */
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (typeof frame?.kind !== "string") return;
    let message;
    if (frame.kind === "Resumed") {
      frame.reset ||= this.#fresh && !this.#live;
      this.#resumed(frame);
    } else if (frame.kind === "Ack" || frame.kind === "Refused") {
      message = this.#settle(frame.id);
      if (frame.cursor) this.#cursor = frame.cursor;
    } else if (frame.kind === "Pong" || frame.kind === "Earlier") {
      this.#asked = 0;
    } else if (frame.cursor) {
      this.#known = true;
      if (this.#seen.has(frame.cursor)) return;
      this.#seen.add(frame.cursor);
      this.#cursor = frame.cursor;
      if (frame.id !== undefined) message = this.#settle(frame.id);
    }
    this.#on.frame(frame, message?.frame);
    if (frame.kind === "Resumed") this.#flush();
    if (frame.kind === "Ack" && message?.frame.kind === "ResetSession") this.#anew(message);
  }

  /** @param {Frame} frame */
  #resumed(frame) {
    if (!this.#live) {
      this.#live = true;
      this.#calm();
      this.#stable = setTimeout(() => this.#backoff.rest(), STABLE);
      this.#tell();
      this.#pulse.listen();
    }
    if (!frame.reset) return;
    this.#cursor = null; // until the first fact: a replay may be cut off in its middle
    this.#seen.clear();
    for (const message of this.outbox.messages) message.reset = this.#sent.has(message.frame.id);
  }

  /**
   * This tab's own reset is stored: what follows is the new conversation.
   *
   * @param {Message} message
   */
  #anew(message) {
    if (message.reset) return; // the server has said so itself
    if (message.tries > 1) {
      // An earlier copy may have been the one that counted, and what is shown may be new already.
      this.#cursor = null;
      this.#drop(0);
    } else {
      this.#seen.clear();
      this.#on.frame({ kind: "Resumed", reset: true });
    }
  }

  /** @param {number} patience */
  #wait(patience) {
    this.#calm();
    this.#patience = setTimeout(() => this.#drop(this.#backoff.next()), patience);
  }

  #calm() {
    clearTimeout(this.#patience);
    clearTimeout(this.#overdue);
    this.#patience = this.#overdue = 0;
    this.#late = false;
  }

  #tell() {
    this.#say(this.#live && !this.#pulse.doubted && !this.#late ? "connected"
      : !this.#live && this.#backoff.attempts > 2 ? "offline" : "connecting");
  }

  /** @param {ConnectionState} state */
  #say(state) {
    if (state === this.#said) return;
    this.#said = state;
    this.#on.status(state);
  }

  /** @param {number} delay in ms */
  #drop(delay) {
    this.#forget()?.close(1000);
    this.#later(delay);
  }

  #forget() {
    const socket = this.#socket;
    if (socket) socket.onmessage = socket.onclose = null;
    this.#calm();
    clearTimeout(this.#stable);
    this.#pulse.stop();
    this.#sent.clear();
    this.#socket = null;
    this.#live = false;
    return socket;
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    const wasLive = this.#live;
    this.#forget();
    this.#told = false;
    if (code === 1007 && (this.#asked || this.#presented)) {
      if (this.#presented) this.#shy = true;
      else this.#mute = true;
      this.#presented = false;
      this.#asked = 0;
      this.#later(Math.random() * 1000);
      return;
    }
    if (code === UNKNOWN) {
      this.#known = false;
      this.#cursor = null;
      this.#say("offline");
      this.#on.lost(!/cookie/.test(reason));
      return;
    }
    if (STAY_AWAY.has(code)) {
      this.#say("offline");
      this.#on.away(code);
      return;
    }
    const seconds = /\d+(\.\d+)?/.exec(reason);
    if (code === 4000 && this.#cursor) {
      this.#cursor = null;
      this.#later(Math.random() * 1000);
    } else if (code === 1012 && wasLive) {
      this.#later(Math.random() * 1000);
    } else if (code === 4029 && seconds) {
      this.#told = true;
      this.#later((Number(seconds[0]) + Math.random() * 0.5) * 1000);
    } else {
      this.#later(this.#backoff.next());
    }
  }

  /** @param {number} delay in ms */
  #later(delay) {
    this.#tell();
    this.#retry = setTimeout(() => this.connect(), delay);
  }

  /**
   * The newest message of this kind that is on its way.
   *
   * @param {(frame: Frame) => boolean} fits
   */
  pending(fits) {
    return this.outbox.messages.findLast(({ frame }) => fits(frame))?.frame;
  }
}
