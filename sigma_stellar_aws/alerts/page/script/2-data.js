// Data

/** @param {string | null | undefined} time */
function millis(time) {
  const parsed = time && /^\d{4}-/.test(time) ? Date.parse(time) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

/** @param {number} time */
function utc(time) {
  return new Date(time)
    .toISOString()
    .replace("T", " ")
    .replace(/\.000Z$|Z$/, "");
}

/** @param {string} search */
function wordsOf(search) {
  return search.toLowerCase().split(/\s+/).filter(Boolean);
}

/**
 * @param {unknown} value
 * @returns {string[]}
 */
function textsOf(value) {
  if (value === null || typeof value !== "object") return [String(value ?? "")];
  return Object.values(value).flatMap(textsOf);
}

/**
 * The cells of the ATT&CK matrix that an alert stands in: pairs of the ids of a tactic and a technique.
 * @param {Alert} alert
 * @returns {[string, string][]}
 */
function cellsOf(alert) {
  const stated = alert.tactics.map(keyOfNamed);
  /** @type {[string, string][]} */
  const cells = alert.techniques.map(keyOfNamed).flatMap((id) => {
    const served = Object.hasOwn(attack.techniques, id) ? attack.techniques[id] : [];
    const both = served.filter((tactic) => stated.includes(tactic));
    const serving = [both, served, stated].find((tactics) => tactics.length) ?? [];
    return serving.map((tactic) => /** @type {[string, string]} */ ([tactic, id]));
  });
  const covered = new Set(cells.map(([tactic]) => tactic));
  return cells.concat(stated.filter((tactic) => !covered.has(tactic)).map((tactic) => [tactic, ""]));
}

/**
 * What a tactic or a technique is known by here.
 * @param {Named} named
 */
function keyOfNamed({ id, name }) {
  return id ?? name ?? "";
}

/** @param {Named} named */
function labelOfNamed({ id, name }) {
  return [id, name].filter(Boolean).join(" ");
}

/**
 * Names of tactics by their ids, in the order of ATT&CK; those that it does not have come last.
 * @returns {Map<string, string>}
 */
function namesOfTactics() {
  const names = new Map(attack.tactics.map(({ id, name }) => [id, name]));
  for (const tactic of alerts.flatMap((alert) => alert.tactics)) {
    const key = keyOfNamed(tactic);
    if (!names.has(key)) names.set(key, tactic.name ?? key);
  }
  return names;
}

function wholeTime() {
  const times = items.flatMap((item) => (item.first === null ? [] : [item.first]));
  if (!times.length) return null;
  const extremes = [about.since, about.until].map(millis);
  return {
    start: times.reduce((a, b) => Math.min(a, b), extremes[0] ?? Infinity),
    end: times.reduce((a, b) => Math.max(a, b + 1), extremes[1] ?? -Infinity),
  };
}

/**
 * @param {ListOfTexts} kind
 * @param {Item[]} some
 */
function distinct(kind, some) {
  const bounded = some.some(({ alert }) => alert[kind].length >= KEPT);
  return number(new Set(some.flatMap(({ alert }) => alert[kind])).size) + (bounded ? "+" : "");
}

const actorNames = namesOfActors();

/** Readable names of actors, where alerts have them: with the account where several have one, or else the whole ARN. */
function namesOfActors() {
  const names = new Map(alerts.flatMap(({ actors, actor_names: stated = [] }) => actors.map((actor, place) => [actor, stated[place] ?? actor])));
  /** @type {(actor: string, name: string) => string} */
  const withAccount = (actor, name) => (actor.startsWith("arn:") && name !== actor ? `${name} · ${actor.split(":")[4]}` : name);
  /** @type {(actor: string) => string} */
  const whole = (actor) => actor;
  for (const longer of [withAccount, whole]) {
    const counts = new Map();
    for (const name of names.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const [actor, name] of names) {
      if (counts.get(name) > 1) names.set(actor, longer(actor, name));
    }
  }
  return names;
}

/** @param {string} actor */
function actorName(actor) {
  return actorNames.get(actor) ?? actor;
}

/** @type {string[] | null} */
let records = null;

/**
 * The first event of an alert; null where the page has no room for it. They are only read when one is wanted.
 * @param {Item} item
 * @returns {Record<string, unknown> | null}
 */
function readRecord(item) {
  records ??= (byId("records").textContent ?? "").split("\n");
  return JSON.parse(records[item.place + 1] || "null");
}

/**
 * How many of an alert's events failed, and how; nothing where none did. Of a single event, that is its error code.
 * @param {Alert} alert
 */
function failureText({ event_count: count, failed_count: failed = 0, error_codes: codes = [] }) {
  const stated = codes.join(", ");
  return !failed || count === 1 ? stated : `${number(failed)} of ${number(count)} failed: ${stated}`;
}

/** @param {Alert} alert */
function allFailed({ event_count: count, failed_count: failed = 0 }) {
  return failed > 0 && failed === count;
}

/**
 * Where an address is, as far as databases were asked and know it: the place in short, and the whole.
 * @param {Alert} alert
 * @param {string | undefined} address
 */
function locationOf({ source_locations: locations = [] }, address) {
  const found = locations.find((location) => location.address === address);
  if (!found) return { place: "", whole: "" };
  const { country, country_name: name, city, asn, organization } = found;
  const network = [asn === null ? "" : `AS${asn}`, organization].filter(Boolean).join(" ");
  return {
    place: [country, city].filter(Boolean).join(" ") || network,
    whole: [[city, name || country].filter(Boolean).join(", "), network].filter(Boolean).join(" · "),
  };
}

/**
 * An alert with all that stands elsewhere on the page.
 * @param {Item} item
 */
function wholeOf(item) {
  const { alert } = item;
  const guide = guides[alert.rule.id];
  const rule = guide ? { ...alert.rule, ...guide } : alert.rule;
  const record = alert.first_event ? readRecord(item) : null;
  return record ? { ...alert, rule, first_event: { ...alert.first_event, record } } : { ...alert, rule };
}

/**
 * Those that have a time.
 * @param {Item[]} some
 */
function datedOf(some) {
  return /** @type {DatedItem[]} */ (some.filter((item) => item.first !== null));
}

/** @param {Item[]} some */
function eventsOf(some) {
  return some.reduce((sum, item) => sum + item.alert.event_count, 0);
}

/** @param {Item} item */
function nameOf(item) {
  return state.grouping === "rule" ? actorName(item.alert.actors[0] ?? "") : item.alert.rule.title;
}

/**
 * The items that pass all filters, and for each filter those that pass all others: what its choices would show.
 * @returns {Passing}
 */
function sift() {
  const names = /** @type {FilterName[]} */ (Object.keys(FILTERS));
  /** @type {Passing} */
  const passing = { all: [], severity: [], rule: [], account: [], actor: [], attack: [], time: [], search: [] };
  for (const item of items) {
    const failed = names.filter((name) => !FILTERS[name](item));
    if (!failed.length) passing.all.push(item);
    for (const name of failed.length ? failed : names) {
      if (failed.length <= 1) passing[name].push(item);
    }
  }
  return passing;
}

/**
 * @param {string | number} a
 * @param {string | number} b
 */
function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

/** @param {Item[]} some */
function sorted(some) {
  const { of } = COLUMNS.find((column) => column.key === state.sort.key) ?? COLUMNS[0];
  const way = state.sort.falls ? -1 : 1;
  return some
    .map((item) => ({ item, value: of(item) }))
    .sort(
      (a, b) =>
        // What has no value comes last, whichever way.
        Number(a.value === null) - Number(b.value === null) ||
        way * compare(a.value ?? "", b.value ?? "") ||
        compare(b.item.first ?? -Infinity, a.item.first ?? -Infinity),
    )
    .map(({ item }) => item);
}

/**
 * Groups in the order of their first items; an item of several actors stands in the group of each.
 * @param {Item[]} some
 * @returns {Map<string, Item[]>}
 */
function grouped(some) {
  const groups = new Map();
  for (const item of some) {
    const { actors } = item.alert;
    const keys = { rule: [item.rule], actor: actors.length ? actors : [""], none: [""] }[state.grouping];
    for (const key of keys) {
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(item);
    }
  }
  return groups;
}
