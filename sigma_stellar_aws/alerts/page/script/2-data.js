// Data

/**
 * What an element holds, which is compressed.
 * @param {HTMLElement} packed
 */
function unpacked(packed) {
  const letters = atob(packed.textContent ?? "");
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

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
 * The cells of the ATT&CK matrix that the alerts of a rule stand in: pairs of the ids of a tactic and a technique.
 * @param {OfRule} shared
 * @returns {[string, string][]}
 */
function cellsOf({ tactics, techniques }) {
  const stated = tactics.map(keyOfNamed);
  /** @type {[string, string][]} */
  const cells = techniques.map(keyOfNamed).flatMap((id) => {
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
  for (const tactic of kinds.flatMap(({ shared }) => shared.tactics)) {
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

/**
 * How often each thing is there.
 * @template T
 * @param {T[]} things
 * @returns {Map<T, number>}
 */
function tallied(things) {
  const counts = new Map();
  for (const thing of things) counts.set(thing, (counts.get(thing) ?? 0) + 1);
  return counts;
}

const actorNames = namesOfActors();

/** Readable names of actors, where alerts have them: with the account where several have one, or else the whole ARN. */
function namesOfActors() {
  const names = new Map(items.flatMap(({ alert: { actors, actor_names: stated = [] } }) => actors.map((actor, place) => [actor, stated[place] ?? actor])));
  /** @type {(actor: string, name: string) => string} */
  const withAccount = (actor, name) => (actor.startsWith("arn:") && name !== actor ? `${name} · ${actor.split(":")[4]}` : name);
  /** @type {(actor: string) => string} */
  const whole = (actor) => actor;
  for (const longer of [withAccount, whole]) {
    const counts = tallied([...names.values()]);
    for (const [actor, name] of names) {
      if ((counts.get(name) ?? 0) > 1) names.set(actor, longer(actor, name));
    }
  }
  return names;
}

/** @param {string} actor */
function actorName(actor) {
  return actorNames.get(actor) ?? actor;
}

/** @type {HTMLElement[]} */
const parts = [...document.querySelectorAll("script")].filter((script) => script.className === "part");

/** @param {HTMLElement} part */
function firstOf(part) {
  return Number(part.dataset.first);
}

/**
 * The details of alerts, in their order.
 * @param {Item[]} some
 * @returns {Promise<Details[]>}
 */
async function readDetails(some) {
  const starts = parts.map(firstOf);
  /** @type {Map<number, Promise<Details[]>>} */
  const read = new Map();
  /** @type {(number: number) => Promise<Details[]>} */
  const readOnce = (number) => {
    const part = read.get(number) ?? unpacked(parts[number]).then(JSON.parse);
    read.set(number, part);
    return part;
  };
  return Promise.all(
    some.map(async ({ place }) => {
      const number = starts.findLastIndex((first) => first <= place);
      return (await readOnce(number))[place - starts[number]];
    }),
  );
}

/** Let alerts be found by all that stands on the page about them, but for what their rule explains. */
async function readTexts() {
  const shared = kinds.map(({ shared: { rule, severity, tactics, techniques } }) =>
    textsOf([rule.id, rule.title, rule.author, severity, tactics, techniques]),
  );
  for (const part of parts) {
    /** @type {Details[]} */
    const details = JSON.parse(await unpacked(part));
    details.forEach((each, number) => {
      const item = items[firstOf(part) + number];
      const { kind, listed } = alerts[item.place];
      item.text = shared[kind].concat(textsOf([listed, each])).join("\n").toLowerCase();
    });
  }
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
