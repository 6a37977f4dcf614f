// What the API gives, as services/operator/transports/schemas.py and those beside it have it.

export type View = "queue" | "mine" | "live" | "snoozed" | "resolved";
export type Priority = "low" | "normal" | "high" | "urgent";

export type Availability = "online" | "busy" | "away";

export interface Person {
  name: string;
  display: string;
  role: "operator" | "supervisor" | "admin";
  availability: Availability;
}

export interface Me extends Person {
  enrol: boolean;
  password: boolean;
}

export interface AccountDetail {
  name: string;
  display: string;
  role: Me["role"];
  disabled: boolean;
  second_factor: boolean;
  password: boolean;
  sign_on: boolean;
  created: string;
}

export interface AccountList {
  accounts: AccountDetail[];
}

export interface SavedView {
  id: string;
  name: string;
  wanted: SearchFor;
  by: string;
}

export interface Views {
  shared: SavedView[];
  own: SavedView[];
}

export interface LoginOptions {
  password: boolean;
  sign_on: string | null;
  logout: boolean;
}

export interface SecondFactorState {
  on: boolean;
  since: string | null;
  recovery_codes: number;
  demanded: boolean;
}

export interface SecondFactorSecret {
  secret: string;
  uri: string;
  qr: string;
}

export interface RecoveryCodes {
  codes: string[];
}

export interface SessionDetail {
  id: string;
  began: string;
  used: string;
  browser: string;
  this: boolean;
}

export interface SessionList {
  sessions: SessionDetail[];
}

export interface WebhookEndpointDetail {
  id: string;
  url: string;
  events: string[];
  words: boolean;
  disabled: string;
  since: string;
}

export interface DeadWebhookDetail {
  endpoint: string;
  id: string;
  event: string;
  conversation: string;
  why: string;
  since: string;
}

export interface WebhookOverview {
  endpoints: WebhookEndpointDetail[];
  dead: DeadWebhookDetail[];
  more: boolean;
}

export interface Colleague extends Person {
  here: boolean;
}

export interface OverviewOperator extends Colleague {
  conversations: number;
  capacity: number | null;
}

export interface OverviewQueue {
  name: string;
  waiting: number;
  since: string | null;
  open: boolean;
  late: number;
}

export interface Overview {
  operators: OverviewOperator[];
  queues: OverviewQueue[];
  late: Row[];
}

export interface AssignedTo {
  by: string;
  operator: string | null;
  queue: string | null;
  note: string;
}

export interface Noted {
  noted: number;
  labels: string[];
  priority: Priority;
  snoozed_until: string | null;
  spam: boolean;
  read: Record<string, number>;
  assigned: AssignedTo | null;
}

export interface DueTime {
  goal: "first_response" | "next_response" | "resolution";
  at: string;
  mark: string;
}

export interface Row extends Noted {
  id: string;
  visitor: string;
  known: boolean;
  language: string;
  door: string;
  owner: "bot" | "queue" | "operator";
  operator: string;
  operator_name: string;
  queue: string;
  status: "open" | "resolved";
  ending: "operator" | "visitor" | "silence" | null;
  flow: string;
  place: string | null;
  waiting_since: string | null;
  due: DueTime | null;
  /** Whether the visitor was asked how it was, in this matter. */
  feedback: "" | "asked" | "given";
  last_line: string;
  started: string;
  updated: string;
  position: number;
}

export interface Line {
  position: number;
  time: string;
  from: "visitor" | "bot" | "assistant" | "operator" | "system";
  text: string;
  name?: string;
  id?: string;
}

export interface Told extends Line {
  conversation: string;
}

export interface EntryPoint {
  state: string;
  title: string;
}

/** Where the visitor is, while the console shows the conversation. */
export interface Presence {
  conversation: string;
  /** "unknown" says nothing: they may be there all the same. */
  whereabouts: "online" | "away" | "gone" | "unknown";
  page: string;
  title: string;
  referrer: string;
  browser: string;
  /** The position up to which the visitor has seen the conversation, 0 for not known. */
  seen: number;
}

export interface DraftPiece {
  conversation: string;
  /** In characters (code points); 0 begins anew. */
  offset: number;
  text: string;
  end: boolean;
}

export interface Detail extends Row {
  messages: Line[];
  states: string[];
  entry_points: EntryPoint[];
  /** What is said goes by e-mail to visitors who have left. */
  mails: boolean;
}

/** What was said before the visitor began anew. */
export interface EarlierTalk {
  talk: number;
  started: string;
  ended: string;
  lines: number;
  last_line: string;
}

export interface Earlier {
  talks: EarlierTalk[];
  conversations: Row[];
}

export interface PastMessages {
  messages: Line[];
}

export interface Note {
  id: string;
  position: number;
  time: string;
  operator: string;
  text: string;
  mentions: string[];
}

export interface DeskDetail extends Noted {
  conversation: string;
  /** That of the last entry of the conversation itself. */
  position: number;
  notes: Note[];
  /** What the flow has saved. */
  variables: Record<string, unknown>;
}

export interface CannedAnswer {
  id: string;
  title: string;
  text: string;
  by: string;
}

export interface Answers {
  shared: CannedAnswer[];
  own: CannedAnswer[];
}

export interface SearchFor {
  words?: string;
  who?: "visitor" | "assistant" | "operator" | "note" | "variable" | "rating";
  status?: "open" | "resolved";
  operator?: string;
  queue?: string;
  label?: string;
  rating?: number;
  since?: string;
  until?: string;
  limit?: number;
  after?: number;
}

export interface Match {
  position: number;
  time: string;
  from: "visitor" | "assistant" | "operator" | "note" | "variable" | "rating";
  text: string;
}

export interface FoundRow extends Row {
  matches: Match[];
}

export interface Found {
  conversations: FoundRow[];
  next: number | null;
}

export interface Page {
  conversations: Row[];
  next: number | null;
}

export interface HistoryEntry {
  /** It counts the conversation's entries from 1. */
  number: number;
  position: number;
  time: string;
  author: "visitor" | "bot" | "operator" | "eraser";
  facts: string[];
}

export interface HistoryPage {
  total: number;
  entries: HistoryEntry[];
}

export interface TimerThen {
  id: string;
  at: string;
}

export interface StateThen {
  flow: string;
  version: string;
  place: string | null;
  ended: boolean;
  stack: string[];
  tries: number;
  owner: "bot" | "queue" | "operator";
  operator: string;
  operator_name: string;
  queue: string;
  status: "open" | "resolved";
  waiting_since: string | null;
  started_over: number;
  unanswered: number[];
  timers: TimerThen[];
}

export interface RuleThen {
  state: string;
  rule: "condition" | "otherwise" | "choice" | "words" | "pattern" | "text" | "value" | "tries" | "backend" | "assistant" | "people";
  text: string;
  /** null: nobody can tell, which counts as no. */
  holds: boolean | null;
  why: string;
  values: Record<string, string>;
  to: string | null;
}

export interface Explanation {
  answers: number;
  place: string | null;
  verdict: "same" | "other" | "untold" | "own";
  why: string;
  path: string[];
  rules: RuleThen[];
  more: number;
}

export interface VariableThen {
  name: string;
  value?: unknown;
  change: "same" | "new" | "changed" | "gone";
  before?: unknown;
  /** Only the beginning of its JSON is here. */
  cut?: boolean;
}

export interface HistoryPoint extends HistoryEntry {
  conversation: string;
  total: number;
  previous: number | null;
  next: number | null;
  lines: Line[];
  state: StateThen;
  changed: string[];
  variables: VariableThen[];
  explanation: Explanation | null;
}

/** What an operator has sent and is not seen to be stored yet. */
export interface Unsent {
  id: string;
  conversation: string;
  text: string;
  /** When it was sent (ms since 1970). */
  time: number;
  state: "sending" | "sent" | "refused" | "unknown";
  why: string;
  /** An earlier try may have been stored. */
  doubt?: boolean;
}
