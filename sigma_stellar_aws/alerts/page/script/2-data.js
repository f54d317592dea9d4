// Data

function millis(time) {
  const parsed = /^\d{4}-/.test(time ?? "") ? Date.parse(time) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

function utc(time) {
  return new Date(time)
    .toISOString()
    .replace("T", " ")
    .replace(/\.000Z$|Z$/, "");
}

function wordsOf(search) {
  return search.toLowerCase().split(/\s+/).filter(Boolean);
}

function textsOf(value) {
  if (value === null || typeof value !== "object") return [String(value ?? "")];
  return Object.values(value).flatMap(textsOf);
}

/** The cells of the ATT&CK matrix that an alert stands in: pairs of the ids of a tactic and a technique. */
function cellsOf(alert) {
  const stated = alert.tactics.map((tactic) => tactic.id);
  const cells = alert.techniques.flatMap(({ id }) => {
    const served = Object.hasOwn(attack.techniques, id) ? attack.techniques[id] : [];
    const both = served.filter((tactic) => stated.includes(tactic));
    return [both, served, stated].find((tactics) => tactics.length)?.map((tactic) => [tactic, id]) ?? [];
  });
  const covered = new Set(cells.map(([tactic]) => tactic));
  return cells.concat(stated.filter((tactic) => !covered.has(tactic)).map((tactic) => [tactic, ""]));
}

/** Names of tactics by their ids, in the order of ATT&CK; those that it does not have come last. */
function namesOfTactics() {
  const names = new Map(attack.tactics.map(({ id, name }) => [id, name]));
  for (const { id, name } of alerts.flatMap((alert) => alert.tactics)) {
    if (!names.has(id)) names.set(id, name);
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

function distinct(kind, some) {
  const bounded = some.some(({ alert }) => alert[kind].length >= KEPT);
  return number(new Set(some.flatMap(({ alert }) => alert[kind])).size) + (bounded ? "+" : "");
}

const actorNames = namesOfActors();

/** Readable names of actors, where alerts have them: with the account where several have one, or else the whole ARN. */
function namesOfActors() {
  const names = new Map(alerts.flatMap(({ actors, actor_names: stated = [] }) => actors.map((actor, place) => [actor, stated[place] ?? actor])));
  const withAccount = (actor, name) => (actor.startsWith("arn:") && name !== actor ? `${name} · ${actor.split(":")[4]}` : name);
  for (const longer of [withAccount, (actor) => actor]) {
    const counts = new Map();
    for (const name of names.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const [actor, name] of names) {
      if (counts.get(name) > 1) names.set(actor, longer(actor, name));
    }
  }
  return names;
}

function actorName(actor) {
  return actorNames.get(actor) ?? actor;
}

let records = null;

/** The first event of an alert; null where the page has no room for it. They are only read when one is wanted. */
function readRecord(item) {
  records ??= document.getElementById("records").textContent.split("\n");
  return JSON.parse(records[item.place + 1] || "null");
}

/** How many of an alert's events failed, and how; nothing where none did. Of a single event, that is its error code. */
function failureText({ event_count: count, failed_count: failed = 0, error_codes: codes = [] }) {
  const stated = codes.join(", ");
  return !failed || count === 1 ? stated : `${number(failed)} of ${number(count)} failed: ${stated}`;
}

function allFailed({ event_count: count, failed_count: failed = 0 }) {
  return failed > 0 && failed === count;
}

/** Where an address is, as far as databases were asked and know it: the place in short, and the whole. */
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

/** An alert with all that stands elsewhere on the page. */
function wholeOf(item) {
  const { alert } = item;
  const guide = guides[alert.rule.id];
  const rule = guide ? { ...alert.rule, ...guide } : alert.rule;
  const record = alert.first_event ? readRecord(item) : null;
  return record ? { ...alert, rule, first_event: { ...alert.first_event, record } } : { ...alert, rule };
}

function eventsOf(some) {
  return some.reduce((sum, item) => sum + item.alert.event_count, 0);
}

function nameOf(item) {
  return state.grouping === "rule" ? actorName(item.alert.actors[0] ?? "") : item.alert.rule.title;
}

/** The items that pass all filters, and for each filter those that pass all others: what its choices would show. */
function sift() {
  const names = Object.keys(FILTERS);
  const passing = { all: [], ...Object.fromEntries(names.map((name) => [name, []])) };
  for (const item of items) {
    const failed = names.filter((name) => !FILTERS[name](item));
    if (!failed.length) passing.all.push(item);
    for (const name of failed.length ? failed : names) {
      if (failed.length <= 1) passing[name].push(item);
    }
  }
  return passing;
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

function sorted(some) {
  const { of } = COLUMNS.find((column) => column.key === state.sort.key);
  const way = state.sort.falls ? -1 : 1;
  return some
    .map((item) => ({ item, value: of(item) }))
    .sort(
      (a, b) =>
        // What has no value comes last, whichever way.
        Number(a.value === null) - Number(b.value === null) ||
        way * compare(a.value, b.value) ||
        compare(b.item.first ?? -Infinity, a.item.first ?? -Infinity),
    )
    .map(({ item }) => item);
}

/** Groups in the order of their first items; an item of several actors stands in the group of each. */
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
