// What the data of the page holds: alerts as JSON, taken apart by alerts/page/__init__.py.

/** A tactic or a technique; what ATT&CK does not know has a name or an id alone. */
interface Named {
  id: string | null;
  name: string | null;
  url?: string | null;
}

interface Rule {
  id: string;
  title: string;
  author: string;
  description?: string;
  false_positives?: string[];
  references?: string[];
  triage?: string[];
}

interface FieldValues {
  field: string;
  values: unknown[];
}

interface FirstEvent {
  error_code: string;
  error_message: string;
  user_agent: string;
  resource: string;
  parameters: FieldValues[];
  matched: FieldValues[];
  /** Where the page has room for it. */
  record?: Record<string, unknown>;
}

interface SourceLocation {
  address: string;
  country: string;
  country_name: string;
  city: string;
  asn: number | null;
  organization: string;
}

interface ChainEvent {
  time: string;
  event: string;
  resource: string;
  error_code: string;
  rules: { title: string }[];
  actor: string;
  source_address: string;
}

type ListOfTexts = "event_names" | "accounts" | "regions" | "actors" | "source_addresses";

/** What all alerts of a rule have in common. */
interface OfRule {
  severity: number;
  rule: Rule;
  tactics: Named[];
  techniques: Named[];
}

/** What an alert is listed, counted and filtered by. */
interface Listed extends Record<ListOfTexts, string[]> {
  first_time: string | null;
  last_time: string | null;
  event_count: number;
  failed_count?: number;
  error_codes?: string[];
  actor_names?: string[];
  source_locations?: SourceLocation[];
}

type Alert = OfRule & Listed;

/** What only an opened alert shows. */
interface Details {
  id: string;
  suppression: { window: string; key: Record<string, string | null> };
  events: { id: string; place: string }[];
  first_event?: FirstEvent | null;
  correlation?: { type: string; timespan: string; chain: ChainEvent[] };
}

interface About {
  searched: string;
  since: string | null;
  until: string | null;
  records: number | null;
  events: number | null;
  rules: number;
  version: string;
  problems: string[];
  problem_count?: number;
  written?: string;
}

interface Attack {
  version: string;
  tactics: { id: string; name: string }[];
  techniques: Record<string, string[]>;
}

interface PageData {
  alerts: { kind: number; resource: string; listed: Listed }[];
  kinds: { window: string; shared: OfRule }[];
  about: About;
  attack: Attack;
}

interface Band {
  key: string;
  name: string;
  least: number;
  most: number;
}

/** An alert, and what the page has made of it. */
interface Item {
  alert: Alert;
  place: number;
  first: number | null;
  last: number | null;
  band: Band;
  rule: string;
  /** Pairs of the ids of a tactic and a technique. */
  cells: [string, string][];
  /** What it acted on, of its first event. */
  resource: string;
  /** What is searched; empty until that is read. */
  text: string;
  /** Once it has been opened. */
  details: Details | null;
}

/** An alert whose events have a time. */
type DatedItem = Item & { first: number; last: number };

type Grouping = "rule" | "actor" | "none";
type Measure = "alert" | "event";
type FilterName = "severity" | "rule" | "account" | "actor" | "attack" | "time" | "search";

/** For each filter the items that pass all others. */
type Passing = Record<FilterName | "all", Item[]>;

interface Filters {
  bands: Set<Band>;
  rule: string;
  account: string;
  actor: string;
  tactic: string;
  technique: string;
  from: number | null;
  to: number | null;
  search: string;
}

interface State extends Filters {
  measure: Measure;
  grouping: Grouping;
  sort: { key: string; falls: boolean };
  groups: number;
  more: Map<string, number>;
  opened: Set<Item>;
}

interface Bucket {
  start: number;
  end: number;
  items: Item[];
}

interface Column {
  key: string;
  name: string | null;
  of: (item: Item) => string | number | null;
  falls: boolean;
}

/** What an element may hold; texts and numbers become text. */
type Child = Node | string | number | null | Child[];
