// Messages that the server has not settled yet: kept over page views, in order.

import { same } from "../core/text.js";

/** @typedef {import("../../types").Frame} Frame */
/** @typedef {import("../../types").Message} Message */
/** @typedef {{read(): any, write(value: unknown): void}} Kept */

export class Outbox {
  /** @type {Message[]} */
  messages;
  #store;

  /** @param {Kept} store */
  constructor(store) {
    this.#store = store;
    const kept = store.read();
    // What an earlier page left may or may not have been sent.
    this.messages = (Array.isArray(kept) ? kept : []).map((frame) => ({ frame, tries: 1, reset: false }));
  }

  /** @param {Frame} frame */
  add(frame) {
    this.messages.push({ frame, tries: 0, reset: false });
    this.#save();
  }

  /**
   * Takes out what the server has settled.
   *
   * @param {import("../../types").Id | undefined} id
   * @returns {Message | undefined}
   */
  settle(id) {
    const index = this.messages.findIndex((message) => same(message.frame.id, id));
    if (index < 0) return undefined;
    const [message] = this.messages.splice(index, 1);
    this.#save();
    return message;
  }

  /** Takes out all; their frames. */
  abandon() {
    const frames = this.messages.splice(0).map(({ frame }) => frame);
    this.#save();
    return frames;
  }

  /**
   * @param {string} kind
   * @returns {boolean} whether one of this kind is on its way
   */
  has(kind) {
    return this.messages.some(({ frame }) => frame.kind === kind);
  }

  #save() {
    this.#store.write(this.messages.map(({ frame }) => frame));
  }
}
