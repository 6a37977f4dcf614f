// What the conversation stands at: what is asked, who speaks, whether it is over. Without DOM.

import { same } from "./text.js";

/** @typedef {import("../../types").Frame} Frame */
/** @typedef {import("../../types").Id} Id */
/** @typedef {{groupId: Id, choices: import("../../types").Choice[], answered: Id | null}} Group */

/** Facts in which somebody other than the visitor says something. */
const NEWS = new Set(["BotText", "ChoiceRequest", "StartChatSession", "OperatorText"]);

export class Dialogue {
  /** @type {import("../../types").Owner} */
  owner = "bot";
  /** @type {"open" | "resolved"} */
  status = "open";
  /** @type {import("../../types").Waiting} */
  waiting = null;
  /** An operator asked how it was, or was told. @type {import("../../types").Frame["rating"]} */
  rating;
  /** The editor that the flow has opened. @type {{id: Id, prompt?: string | null} | null} */
  session = null;
  /** The newest choices. @type {Group | null} */
  group = null;
  /** The person who joined last. */
  operator = "";
  /** The bot's newest words are an assistant's. */
  assistant = false;

  /**
   * What the server says of the state; it counts more than what the facts let one think.
   *
   * @param {Frame} frame
   */
  state(frame) {
    this.owner = frame.owner ?? "bot";
    this.status = frame.status ?? "open";
    this.waiting = frame.waiting ?? null;
    this.rating = frame.rating;
  }

  /**
   * What happened. False for what is unknown here, a newer server's.
   *
   * @param {Frame} frame
   */
  hear(frame) {
    switch (frame.kind) {
      case "BotText":
        this.assistant = frame.turn !== undefined;
        return true;
      case "ChoiceRequest":
        this.assistant = false;
        this.group = { groupId: frame.groupId ?? "", choices: frame.choices ?? [], answered: null };
        this.waiting = "choice";
        return true;
      case "StartChatSession":
        this.session = { id: frame.sessionId ?? "", prompt: frame.chatPrompt };
        this.waiting = "text";
        return true;
      case "EndChatSession":
        if (this.session && same(this.session.id, frame.sessionId)) this.session = null;
        return true;
      case "ChoiceResponse":
        if (this.answers(frame) && this.group) this.group.answered = frame.id ?? "";
        return true;
      case "OperatorJoined":
        this.operator = frame.name ?? "";
        return true;
      case "OperatorText":
        this.operator = frame.name || this.operator;
        return true;
      case "UserText":
      case "OperatorLeft":
        return true;
      default:
        return false;
    }
  }

  /**
   * Whether a choice that was made answers the newest choices.
   *
   * @param {Frame} frame
   */
  answers(frame) {
    return this.group !== null && same(this.group.groupId, frame.groupId);
  }

  /** The choices can be picked. */
  get choosing() {
    return this.owner === "bot" && this.status !== "resolved" && this.waiting === "choice";
  }

  /** Nothing follows: a person closed the conversation, or the flow is at its end. */
  get over() {
    return this.status === "resolved" || (this.owner === "bot" && this.waiting === "end");
  }

  /**
   * The editor that is open now: the flow's, or the operator's while a person owns or is awaited, and
   * after a person closed the conversation: a text opens it again.
   *
   * @param {{reopen: string, write: string, ask: string}} texts
   * @returns {{id: Id, prompt: string} | null}
   */
  editor(texts) {
    if (this.status === "resolved") return { id: "operator", prompt: texts.reopen };
    if (this.owner !== "bot") return { id: "operator", prompt: texts.write };
    return this.session && { id: this.session.id, prompt: this.session.prompt || texts.ask };
  }

  /** Who speaks to the visitor. @returns {{kind: "bot" | "assistant" | "queue" | "operator", name?: string}} */
  get speaker() {
    if (this.owner === "operator" && this.status !== "resolved") return { kind: "operator", name: this.operator };
    if (this.owner === "queue" && this.status !== "resolved") return { kind: "queue" };
    return { kind: this.assistant ? "assistant" : "bot" };
  }
}

/** @param {Frame} frame */
export const isNews = (frame) => NEWS.has(frame.kind);
