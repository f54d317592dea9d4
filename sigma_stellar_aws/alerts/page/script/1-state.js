// Values of events are what attackers typed. They reach the page only as text nodes, by `element`.

/** @type {PageData} */
// @ts-expect-error The files of this script become one module.
const { alerts, kinds, about, attack } = JSON.parse(await unpacked(byId("data")));

const BANDS = [
  { key: "high", name: "High", least: 75, most: 100 },
  { key: "medium", name: "Medium", least: 50, most: 74 },
  { key: "low", name: "Low", least: 25, most: 49 },
  { key: "info", name: "Info", least: 0, most: 24 },
];
/** @type {Record<Measure, string>} */
const MEASURES = { alert: "Alerts", event: "Events" };
/** @type {Record<Grouping, string>} */
const GROUPINGS = { rule: "By rule", actor: "By actor", none: "Not grouped" };
/** @type {Column[]} */
const COLUMNS = [
  { key: "severity", name: "Severity", of: (item) => item.alert.severity, falls: true },
  { key: "time", name: "Time (UTC)", of: (item) => item.first, falls: true },
  { key: "name", name: null, of: (item) => nameOf(item).toLowerCase(), falls: false },
  { key: "account", name: "Account", of: (item) => item.alert.accounts[0] ?? null, falls: false },
  { key: "source", name: "Source", of: (item) => item.alert.source_addresses[0] ?? null, falls: false },
  { key: "events", name: "Events", of: (item) => item.alert.event_count, falls: true },
];
// How many values of a kind an alert keeps; one that has as many may have had more.
const KEPT = 10;
const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const STEPS = [1, 5, 15, 30, 60, 180, 360, 720]
  .map((minutes) => minutes * MINUTE)
  .concat([1, 7, 30, 365, 3650, 36_500, 365_000].map((days) => days * DAY));
const MOST_BARS = 60;
// What is drawn at once, so that thousands of alerts do not make the page slow.
const GROUPS_AT_ONCE = 50;
const ALERTS_AT_ONCE = { rule: 5, actor: 5, none: 100 };
const MORE_ALERTS = 50;
const LONGEST_IN_ROW = 120;
const LONGEST_SEARCHED = 500;
const LONGEST = 4000;
const MOST_DOTS = 500;
const MOST_OF_A_KIND = 5;

// Controls, directions of writing, fillers, half surrogate pairs: what is not seen, or changes how the rest is seen.
const UNSEEN = /(?! )[\p{C}\p{Z}\p{DI}]/gu;

// What all alerts of a rule have in common.
const groundwork = kinds.map(({ shared }) => ({
  band: BANDS.find((band) => shared.severity >= band.least) ?? BANDS[BANDS.length - 1],
  rule: `${shared.rule.id} ${shared.rule.title}`,
  cells: cellsOf(shared),
}));
/** @type {Item[]} */
const items = alerts.map(({ kind, resource, listed }, place) => ({
  ...groundwork[kind],
  alert: { ...kinds[kind].shared, ...listed },
  resource,
  place,
  first: millis(listed.first_time),
  last: millis(listed.last_time) ?? millis(listed.first_time),
  text: "",
  details: null,
}));
const undated = items.filter((item) => item.first === null).length;
const whole = wholeTime();

const tacticNames = namesOfTactics();

/** @type {Filters} */
const NOTHING_CHOSEN = {
  bands: new Set(),
  rule: "",
  account: "",
  actor: "",
  tactic: "",
  technique: "",
  from: null,
  to: null,
  search: "",
};
/** @type {State} */
const state = {
  ...NOTHING_CHOSEN,
  measure: "alert",
  grouping: "rule",
  sort: { key: "severity", falls: true },
  groups: GROUPS_AT_ONCE,
  more: new Map(),
  opened: new Set(),
};

/** @type {Record<FilterName, (item: Item) => boolean>} */
const FILTERS = {
  severity: (item) => !state.bands.size || state.bands.has(item.band),
  rule: (item) => !state.rule || item.rule === state.rule,
  account: (item) => !state.account || item.alert.accounts.includes(state.account),
  actor: (item) => !state.actor || item.alert.actors.includes(state.actor),
  attack: (item) =>
    (!state.tactic && !state.technique) ||
    item.cells.some(
      ([tactic, technique]) => tactic === state.tactic && (!state.technique || technique === state.technique),
    ),
  // Whatever was going on then, not only what began then.
  time: (item) =>
    (state.from === null && state.to === null) ||
    (item.first !== null && (item.last ?? item.first) >= (state.from ?? -Infinity) && item.first < (state.to ?? Infinity)),
  search: (item) => wordsOf(state.search).every((word) => item.text.includes(word)),
};

/** @type {Bucket[]} */
let buckets = [];
