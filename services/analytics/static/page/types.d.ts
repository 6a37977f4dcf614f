// What the dashboard's API answers; services/analytics/transports/schemas.py says what it means.

export type Unit = "count" | "share" | "seconds" | "score" | "tokens" | "cost";
export type Group = "door" | "flow" | "version" | "queue" | "operator" | "reason" | "state" | "outcome" | "goal" | "score";

export interface SeenBy {
  name: string;
  display: string;
  role: "operator" | "supervisor" | "admin";
  names: "all" | "own" | "none";
  rows: boolean;
  console: string;
}

export interface NumberDefinition {
  id: string;
  version: number;
  current: boolean;
  name: string;
  topic: "visitors" | "bot" | "people" | "assistant";
  unit: Unit;
  says: string;
  of: string[];
  better: "" | "more" | "less";
  working: boolean;
  groups: Group[];
}

export interface Value {
  value: number | null;
  rows: number;
  parts: number;
  p90: number | null;
  p95: number | null;
}

export interface AboutNumbers {
  since: string;
  until: string;
  before_since: string;
  before_until: string;
  zone: string;
  counted_until: string | null;
}

export interface ToldNumber {
  id: string;
  version: number;
  value: Value | null;
  before: Value | null;
  why: string;
}

export interface AllNumbers {
  about: AboutNumbers;
  numbers: ToldNumber[];
}

export interface ChartPoint {
  begin: string;
  value: Value;
}

export interface NumberSeries {
  about: AboutNumbers;
  step: "hour" | "day" | "week" | "month";
  points: ChartPoint[];
  before: ChartPoint[];
}

export interface NumberGroup {
  name: string;
  value: Value;
  before: Value | null;
}

export interface NumberGroups {
  about: AboutNumbers;
  by: Group;
  groups: NumberGroup[];
}

export interface NumberWeek {
  about: AboutNumbers;
  hours: { day: number; hour: number; value: Value }[];
}

export interface NumberRow {
  time: string;
  conversation: string;
  link: string;
  matter: number;
  position: number;
  value: number;
  part: boolean;
}

export interface NumberRows {
  about: AboutNumbers;
  total: number;
  rows: NumberRow[];
}

export interface CountedStream {
  stream: number;
  counted: number;
  end: number | null;
  counted_until: string | null;
}

export interface NumbersState {
  complete: boolean;
  position: number;
  lag: number | null;
  counted_until: string | null;
  streams: CountedStream[];
  missing: string[];
}

export interface StateNumbers {
  state: string;
  reached: number;
  asked: number;
  left: number;
  drop_off: number | null;
}

export interface DrawnPart {
  scope: string;
  width: number;
  height: number;
  boxes: { state: string; look: string; x: number; y: number; width: number; height: number; lines: [string, string][] }[];
  arrows: { path: string; dashed: boolean; x: number; y: number; width: number; height: number; lines: string[] }[];
}

export interface BegunVersions {
  about: AboutNumbers;
  versions: { flow: string; version: string; started: number }[];
}

export interface FlowFunnel {
  about: AboutNumbers;
  flow: string;
  version: string;
  started: number;
  states: StateNumbers[];
  parts: DrawnPart[];
  why: string;
}

/** What is looked at: all of it stands in the address bar. */
export interface Choices {
  period: "today" | "yesterday" | "7" | "28" | "month" | "own";
  since: string;
  until: string;
  zone: string;
  door: string;
  flow: string;
  version: string;
  queue: string;
  operator: string;
  number: string;
  by: string;
  named: string | null;
  parts: boolean;
  hours: "" | "working";
  funnel: string;
  other: string;
}
