// What the operator has sent and is not stored yet, for each conversation, in its order. Each message keeps its
// id for ever, so trying again stores it once. Like what is being written it outlives a login that ends and the
// page, in this tab alone.

import { api, newId, problem } from "./api.js";
import { Kept } from "./kept.js";

// A page that comes back goes on sending what was sent so short a time ago (ms); the rest it shows.
const FRESH = 60000;
// These answers look first whether the message is stored: it is not.
const DECIDED = [404, 409];
// These come before anybody looks: this try is not stored, and of an earlier one that says nothing.
const TURNED_AWAY = [400, 401, 403, 413, 422];

/** @typedef {import("./types").Unsent} Unsent */

class Outbox {
  constructor() {
    this.kept = new Kept("switchboard.outbox", { messages: /** @type {Unsent[]} */ ([]) });
    /** Conversations of which one is on its way. @type {Set<string>} */
    this.busy = new Set();
    this.changed = /** @param {string} _conversation */ (_conversation) => {};
    this.stored = /** @param {import("./types").Row} _row */ (_row) => {};
    this.refused = /** @param {import("./api.js").Problem} _problem */ (_problem) => {};
  }

  get messages() {
    return this.kept.value.messages;
  }

  /** Whose messages these are. What an earlier page of theirs has left is gone on with, or shown. @param {string} name */
  of(name) {
    this.kept.of(name);
    for (const message of this.messages) {
      if (message.state !== "sending" || this.busy.has(message.conversation)) continue;
      message.doubt = true; // the page before may have sent it
      if (Date.now() - message.time > FRESH) Object.assign(message, { state: "unknown", why: "the page was closed" });
    }
    for (const { conversation } of this.messages) this.run(conversation);
  }

  /** The operator logs out: whoever comes next is somebody else. */
  forget() {
    this.kept.forget();
  }

  get any() {
    return this.messages.some((message) => message.state !== "sent");
  }

  /** @param {string} conversation */
  at(conversation) {
    return this.messages.filter((message) => message.conversation === conversation);
  }

  /** Something is on its way: what is done to the conversation must wait for it. @param {string} conversation */
  sending(conversation) {
    return this.busy.has(conversation);
  }

  /** @param {string} conversation @param {string} text */
  put(conversation, text) {
    this.messages.push({ id: newId(), conversation, text, time: Date.now(), state: "sending", why: "" });
    this.note(conversation);
    this.run(conversation);
  }

  /** @param {Unsent} message */
  again(message) {
    Object.assign(message, { state: "sending", why: "", time: Date.now() });
    this.note(message.conversation);
    this.run(message.conversation);
  }

  /** @param {Unsent} message */
  remove(message) {
    const place = this.messages.indexOf(message);
    if (place >= 0) this.messages.splice(place, 1);
    this.note(message.conversation);
    this.run(message.conversation); // what waited behind it
  }

  /** The conversation was erased. @param {string} conversation */
  drop(conversation) {
    this.kept.value.messages = this.messages.filter((message) => message.conversation !== conversation);
    this.note(conversation);
  }

  /**
   * These ids are stored; after a reading of the whole conversation so is all that was said to be.
   *
   * @param {string} conversation @param {Set<string | undefined>} ids
   */
  settle(conversation, ids, whole = false) {
    const left = this.messages.filter(
      (message) => message.conversation !== conversation || !(ids.has(message.id) || (whole && message.state === "sent")),
    );
    if (left.length === this.messages.length) return;
    this.kept.value.messages = left;
    this.note(conversation);
    this.run(conversation);
  }

  /** @param {string} conversation */
  note(conversation) {
    this.kept.write();
    this.changed(conversation);
  }

  /** One after the other; what follows a message that is not sent waits for it. @param {string} conversation */
  async run(conversation) {
    if (this.busy.has(conversation)) return;
    this.busy.add(conversation);
    const owner = this.kept.value.of;
    const next = () => this.at(conversation).find((message) => message.state !== "sent");
    for (let message = next(); message?.state === "sending" && this.kept.value.of === owner; message = next()) {
      try {
        const row = await api.say(conversation, message.text, message.id);
        message.state = "sent"; // until its line is there
        this.stored(row);
      } catch (error) {
        const found = problem(error);
        message.doubt ||= found.doubt || ![...DECIDED, ...TURNED_AWAY].includes(found.status);
        message.state = DECIDED.includes(found.status) || !message.doubt ? "refused" : "unknown";
        message.why = found.told;
        this.refused(found);
      }
      this.note(conversation);
    }
    this.busy.delete(conversation);
    this.changed(conversation);
  }
}

export const outbox = new Outbox();
