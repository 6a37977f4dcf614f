/**
 * The chat button's interface to the page: `window.switchboard`.
 *
 * Before the script has run, `window.switchboard` may be set to `{ ready: (chat) => ..., texts: {...} }`:
 * `ready` is called once, with the whole interface.
 */
export interface Switchboard {
  /** Opens the chat. A conversation begins, if there is none. */
  open(): void;
  /** Closes the panel. The conversation goes on. */
  close(): void;
  toggle(): void;
  /** Begins the conversation anew, without asking the visitor. Does nothing where there is none. */
  reset(): void;
  /** Says what the page is now: for pages that change without being loaded. What is not named stays. */
  setPage(page: SwitchboardPage): void;
  /** Calls the listener whenever this happens, until the function that it gives back is called. */
  on<Name extends keyof SwitchboardEvents>(
    name: Name,
    listener: (data: SwitchboardEvents[Name]) => void,
  ): () => void;
  /** The build, as in its versioned address. */
  readonly version: string;
  /** The chat's own words, where the page has others. Read when the chat is loaded. */
  texts?: Record<string, string>;
  ready?: (chat: Switchboard) => void;
}

/** The same as the attributes of the script tag. `null` takes what the tag said back. */
export interface SwitchboardPage {
  /** The flow of new conversations. */
  flow?: string | null;
  /** One tag or several, best first, as "fr-CA, en". */
  language?: string | null;
  title?: string | null;
  greeting?: string | null;
  /** Any colour that CSS knows. */
  color?: string | null;
  side?: "left" | "right" | null;
  /** What operators may be told of the visitor, as "page referrer". */
  share?: string | null;
}

export interface SwitchboardEvents {
  open: undefined;
  close: undefined;
  /** A message of either side, when it is stored. Those of before are not told again. */
  message: { from: "visitor" | "bot" | "assistant" | "operator"; name?: string; text: string; time?: string };
  /** How many messages nobody has read, when that changes. */
  unread: { count: number };
  /** Who speaks to the visitor, when that changes. */
  speaker: { kind: "bot" | "assistant" | "queue" | "operator"; name?: string };
}

declare global {
  interface Window {
    switchboard?: Partial<Switchboard>;
  }
}
