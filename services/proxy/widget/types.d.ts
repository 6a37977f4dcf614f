// What the modules of the chat button hand to each other.

import type { Switchboard, SwitchboardEvents } from "./widget";

export type { Switchboard, SwitchboardEvents };

/** An id as the flow's author wrote it; compared as text. */
export type Id = string | number;

export interface Choice {
  itemId: Id;
  content: string;
}

/** A frame of the subprotocol switchboard.v1, in either direction: docs/protocol.md says which fields each kind has. */
export interface Frame {
  kind: string;
  id?: Id;
  cursor?: string | null;
  /** RFC 3339, UTC. */
  time?: string;
  content?: string;
  name?: string;
  /** The assistant's turn, of a draft and of the message that it became. */
  turn?: string;
  groupId?: Id;
  itemId?: Id;
  question?: string;
  choices?: Choice[];
  sessionId?: Id;
  chatPrompt?: string | null;
  chatText?: string | null;
  owner?: Owner;
  status?: "open" | "resolved";
  waiting?: Waiting;
  /** Of an operator who asked how it was, in this matter. */
  rating?: "asked" | "given";
  who?: string;
  attempt?: number;
  /** In characters (code points). */
  offset?: number;
  text?: string;
  end?: string;
  reset?: boolean;
  before?: string;
  frames?: Frame[];
  earlier?: string | null;
  score?: number;
}

export type Owner = "bot" | "queue" | "operator";
export type Waiting = "choice" | "text" | "person" | "end" | null;

/** A frame on its way to the server. */
export interface Message {
  frame: Frame;
  /** How often it was sent, over all sockets. */
  tries: number;
  /** The server said that the conversation began anew while this one was on its way. */
  reset: boolean;
}

export type ConnectionState = "connected" | "connecting" | "offline";

/** What the page says: the attributes of its tag by their names in `dataset`, and what `setPage` has said since. */
export type Given = Record<string, string | undefined>;

/** The same, checked. */
export interface Options {
  /** The flow of new conversations. */
  flow?: string;
  /** The language of new conversations, as the page gave it. */
  language?: string;
  greeting?: string;
  /** The address of a JSON file with words of the chat. */
  texts?: string;
  /** Seconds after which it opens by itself. */
  openAfter?: number;
  mode: Mode;
  /** What operators may be told of the visitor. */
  share: string[];
  /** Whether a new message may sound, until the visitor says otherwise. */
  sound: boolean;
}

/** Beside the page with a button, in a place of the page's own, or all of the page. */
export type Mode = "float" | "attach" | "page";

/** The chat's own words, by their names in texts/en.json. */
export type Texts = Record<keyof typeof import("./texts/en.json"), string>;

/** What the button gives the chat: its place in the page. */
export interface Host {
  element: HTMLElement;
  frame: HTMLElement;
  launcher: HTMLButtonElement;
  /** The sign on the button. */
  unread: HTMLElement;
  policy: { createHTML(html: string): string };
  /** The WebSocket's address. */
  address: string;
  /** Of the chat's own words. */
  language: string;
  /** What the page says now. */
  readonly given: Given;
  /** Adds a stylesheet, in the button's own names of properties. */
  dress(css: string): void;
  /** A module of the same build. */
  load(name: string, integrity: string): Promise<any>;
  emit<Name extends keyof SwitchboardEvents>(name: Name, data: SwitchboardEvents[Name]): void;
}

/** What the chat gives the button. */
export interface ChatPart {
  readonly isOpen: boolean;
  /** The page's greeting, and what it wants to happen later. */
  start(): void;
  /** Has come into the page: for the first time or again. */
  enter(): void;
  /** Has left it for good. */
  leave(): void;
  open(focus: boolean): void;
  close(): void;
  /** Begins the conversation anew, without asking. */
  reset(): void;
  /** The page says something else. */
  change(): void;
}

export type CreateChat = (host: Host) => Promise<ChatPart>;

/** What the build puts in: its version, and the hashes of the modules that this one loads. */
declare global {
  const WIDGET_VERSION: string;
  const WIDGET_HASHES: Record<string, string>;
}
