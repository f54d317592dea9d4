// Values of events are what attackers typed. They reach the page only as text nodes, by `element`.

const { alerts, about, attack } = JSON.parse(document.getElementById("data").textContent);

const BANDS = [
  { key: "high", name: "High", least: 75, most: 100 },
  { key: "medium", name: "Medium", least: 50, most: 74 },
  { key: "low", name: "Low", least: 25, most: 49 },
  { key: "info", name: "Info", least: 0, most: 24 },
];
const MEASURES = { alert: "Alerts", event: "Events" };
const GROUPINGS = { rule: "By rule", actor: "By actor", none: "Not grouped" };
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
const LONGEST = 4000;

// Controls, directions of writing, fillers, half surrogate pairs: what is not seen, or changes how the rest is seen.
const UNSEEN = /(?! )[\p{C}\p{Z}\p{DI}]/gu;

const items = alerts.map((alert) => ({
  alert,
  first: millis(alert.first_time),
  last: millis(alert.last_time) ?? millis(alert.first_time),
  band: BANDS.find((band) => alert.severity >= band.least) ?? BANDS.at(-1),
  rule: `${alert.rule.id} ${alert.rule.title}`,
  cells: cellsOf(alert),
  text: textsOf(alert).join("\n").toLowerCase(),
}));
const undated = items.filter((item) => item.first === null).length;
const whole = wholeTime();

const tacticNames = namesOfTactics();

const NOTHING_CHOSEN = {
  bands: new Set(),
  rule: "",
  account: "",
  tactic: "",
  technique: "",
  from: null,
  to: null,
  search: "",
};
const state = {
  ...NOTHING_CHOSEN,
  measure: "alert",
  grouping: "rule",
  sort: { key: "severity", falls: true },
  groups: GROUPS_AT_ONCE,
  more: new Map(),
  opened: new Set(),
};

const FILTERS = {
  severity: (item) => !state.bands.size || state.bands.has(item.band),
  rule: (item) => !state.rule || item.rule === state.rule,
  account: (item) => !state.account || item.alert.accounts.includes(state.account),
  attack: (item) =>
    (!state.tactic && !state.technique) ||
    item.cells.some(
      ([tactic, technique]) => tactic === state.tactic && (!state.technique || technique === state.technique),
    ),
  // Whatever was going on then, not only what began then.
  time: (item) =>
    (state.from === null && state.to === null) ||
    (item.first !== null && item.last >= (state.from ?? -Infinity) && item.first < (state.to ?? Infinity)),
  search: (item) => wordsOf(state.search).every((word) => item.text.includes(word)),
};

let buckets = [];

start();

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

function distinct(kind) {
  const bounded = alerts.some((alert) => alert[kind].length >= KEPT);
  return number(new Set(alerts.flatMap((alert) => alert[kind])).size) + (bounded ? "+" : "");
}

function eventsOf(some) {
  return some.reduce((sum, item) => sum + item.alert.event_count, 0);
}

function nameOf(item) {
  return state.grouping === "rule" ? (item.alert.actors[0] ?? "") : item.alert.rule.title;
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

// Elements

function byId(id) {
  return document.getElementById(id);
}

function codePoint(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function plain(text) {
  return cut(text, LONGEST_IN_ROW).replace(UNSEEN, codePoint);
}

function cut(text, longest) {
  if (text.length <= longest) return text;
  // Not between the halves of a surrogate pair.
  const start = text.slice(0, longest).replace(/[\ud800-\udbff]$/, "");
  return `${start}… (${number(text.length - start.length)} more characters)`;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  fill(made, ...children);
  return made;
}

function fill(parent, ...children) {
  parent.replaceChildren();
  for (const child of children.flat()) {
    if (child instanceof Node) parent.append(child);
    else if (child !== null) appendText(parent, String(child));
  }
}

function appendText(parent, text) {
  let behind = 0;
  for (const { 0: character, index } of text.matchAll(UNSEEN)) {
    const mark = document.createElement("span");
    mark.className = "unseen";
    mark.textContent = codePoint(character);
    parent.append(text.slice(behind, index), mark);
    behind = index + character.length;
  }
  parent.append(text.slice(behind));
}

/** A value of an event; `bdi`, so that its direction of writing does not change what stands around it. */
function value(text, longest = LONGEST) {
  return element("bdi", {}, cut(text, longest));
}

function button(key, label, pressed, act, attributes = {}) {
  return element(
    "button",
    {
      type: "button",
      "data-key": key,
      "aria-pressed": pressed === null ? null : String(pressed),
      onclick: act,
      ...attributes,
    },
    label,
  );
}

function badge(severity, band) {
  return element("span", { class: `badge ${band.key}` }, `${band.name} ${severity}`);
}

function number(count) {
  return count.toLocaleString("en");
}

function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function few(values, longest = 1) {
  if (!values.length) return [element("span", { class: "none" }, "none")];
  const shown = values.slice(0, longest).flatMap((text) => [", ", value(text, LONGEST_IN_ROW)]);
  const rest = values.length - longest;
  return [...shown.slice(1), rest > 0 ? ` +${rest}${values.length >= KEPT ? " or more" : ""}` : ""];
}

// Drawing: once

function start() {
  drawHeader();
  drawProblems();
  drawEmpty();
  byId("matrix").open = !matchMedia("(max-width: 40rem)").matches;
  if (items.length) {
    listen();
    draw();
  }
  byId("content").hidden = !items.length;
  // Last, so that it stays if anything went wrong.
  byId("unfinished").hidden = true;
}

function fact(name, ...content) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, ...content));
}

function drawHeader() {
  const rules = new Set(items.map((item) => item.rule)).size;
  const facts = [["Searched", value(about.searched)]];
  if (about.since || about.until) {
    const [since, until] = [about.since, about.until].map(millis);
    const from = since === null ? "the first record" : `${utc(since)} UTC`;
    facts.push(["Time", `${from} to ${until === null ? "the last" : `${utc(until)} UTC`}`]);
  }
  if (about.records !== null) facts.push(["Records read", number(about.records)]);
  if (about.events !== null) facts.push(["Records that match", number(about.events)]);
  if (about.written) facts.push(["Written", `${utc(millis(about.written))} UTC`]);
  fill(
    byId("facts"),
    facts.map(([name, content]) => fact(name, content)),
  );
  fill(
    byId("headline"),
    fact("Alerts", number(alerts.length)),
    fact("Events in them", number(eventsOf(items))),
    fact("Rules that matched", number(rules), element("small", {}, ` of ${number(about.rules)}`)),
    fact("Actors", distinct("actors")),
    fact("Accounts", distinct("accounts")),
    fact("Source addresses", distinct("source_addresses")),
  );
  fill(byId("made"), `Made by sigma-stellar-aws ${about.version} with ${counted(about.rules, "rule")}.`);
  fill(
    byId("notice"),
    `ATT&CK ${attack.version}: © The MITRE Corporation. This work is reproduced and distributed with the permission ` +
      "of The MITRE Corporation. ATT&CK is a registered trademark of The MITRE Corporation.",
  );
}

function drawProblems() {
  const { problems } = about;
  const count = about.problem_count ?? problems.length;
  byId("problems").hidden = !problems.length;
  if (!problems.length) return;
  document.title = `Incomplete: ${document.title}`;
  fill(
    byId("problems-title"),
    `Incomplete: ${counted(count, "problem")} while searching. There may be more alerts than these.`,
  );
  fill(
    byId("problem-list"),
    problems.map((problem) => element("li", {}, value(problem))),
    count > problems.length ? element("li", {}, `and ${number(count - problems.length)} more`) : null,
  );
}

function drawEmpty() {
  byId("empty").hidden = items.length > 0;
  const where = about.records === null ? "" : ` in ${counted(about.records, "record")}`;
  const searched = `None of ${counted(about.rules, "rule")} matched${where}.`;
  fill(
    byId("empty"),
    about.problems.length ? `${searched} But not everything could be searched: see above.` : `No alerts. ${searched}`,
  );
}

function listen() {
  byId("search").addEventListener("input", (event) => choose({ search: event.target.value }));
  for (const name of ["rule", "account"]) {
    byId(name).addEventListener("change", (event) => choose({ [name]: event.target.value }));
  }
  for (const name of ["from", "to"]) {
    byId(name).addEventListener("change", (event) => {
      const time = event.target.valueAsNumber;
      choose({ [name]: Number.isNaN(time) ? null : time });
    });
  }
  byId("whole").addEventListener("click", () => choose({ from: null, to: null }));
  byId("copy").addEventListener("click", () => {
    const shown = sorted(sift().all);
    copy(shown.map(({ alert }) => JSON.stringify(alert)).join("\n"), counted(shown.length, "alert"));
  });
  listenToDrags();
  // Paper cannot be asked for more.
  addEventListener("beforeprint", () => drawList(sift().all, Infinity));
  addEventListener("afterprint", () => drawList(sift().all));
}

function listenToDrags() {
  const bars = byId("bars");
  let first = null;
  const at = (event) => {
    const { left, width } = bars.getBoundingClientRect();
    const place = Math.floor(((event.clientX - left) / width) * buckets.length);
    return Math.min(Math.max(place, 0), buckets.length - 1);
  };
  const mark = (from, to) => {
    [...bars.children].forEach((bar, place) => bar.classList.toggle("dragged", place >= from && place <= to));
  };
  const range = (event) => [first, at(event)].sort((a, b) => a - b);
  bars.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !buckets.length) return;
    first = at(event);
    bars.setPointerCapture(event.pointerId);
    mark(first, first);
  });
  bars.addEventListener("pointermove", (event) => first !== null && mark(...range(event)));
  bars.addEventListener("pointercancel", () => {
    first = null;
    mark(0, -1);
  });
  bars.addEventListener("pointerup", (event) => {
    if (first === null) return;
    const [from, to] = range(event);
    first = null;
    choose({ from: buckets[from].start, to: buckets[to].end });
  });
}

async function copy(text, what) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers that keep the clipboard from pages in files still obey a selection.
    const field = element("textarea", { class: "copied", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    done = document.execCommand("copy");
    field.remove();
  }
  fill(byId("told"), done ? `Copied ${what} as JSON.` : "The browser does not let this page copy.");
  setTimeout(() => fill(byId("told")), 4000);
}

// Drawing: after each choice

function choose(choices) {
  Object.assign(state, choices, { groups: GROUPS_AT_ONCE, more: new Map() });
  draw();
}

function draw() {
  const focused = document.activeElement?.dataset.key;
  const passing = sift();
  drawTimeline(passing);
  drawSeverity(passing.severity);
  drawAttack(passing.attack);
  drawFilters(passing);
  drawToggle("groupings", GROUPINGS, "grouping");
  drawColumns();
  drawList(passing.all);
  if (focused) refocus(focused);
}

/** Drawing replaces the elements; whoever works with the keyboard stays where they were. */
function refocus(key) {
  const same = [...document.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key);
  (same ?? byId("result")).focus({ preventScroll: true });
}

function drawToggle(id, names, key) {
  fill(
    byId(id),
    Object.entries(names).map(([choice, name]) =>
      button(`${key} ${choice}`, name, state[key] === choice, () => choose({ [key]: choice })),
    ),
  );
}

function drawTimeline(passing) {
  drawToggle("measures", MEASURES, "measure");
  byId("whole").hidden = state.from === null && state.to === null;
  for (const name of ["from", "to"]) {
    byId(name).value = state[name] === null ? "" : new Date(state[name]).toISOString().slice(0, 19);
  }
  buckets = bucketsOf(passing.time);
  const height = (some) => (state.measure === "event" ? eventsOf(some) : some.length);
  const most = buckets.reduce((a, bucket) => Math.max(a, height(bucket.items)), 0);
  fill(byId("most"), most ? number(most) : "");
  fill(
    byId("bars"),
    buckets.map((bucket) => barOf(bucket, height, most)),
  );
  const drawn = buckets.flatMap((bucket) => bucket.items);
  byId("bars").setAttribute("aria-label", `${counted(drawn.length, "alert")} in ${counted(buckets.length, "bar")}`);
  const ends = buckets.length ? [buckets[0].start, buckets[buckets.length >> 1].start, buckets.at(-1).end] : [];
  fill(
    byId("axis"),
    ends.map((time) => element("span", {}, utc(time).slice(0, 16))),
  );
  const before = passing.all.length - drawn.length - (state.from === null && state.to === null ? undated : 0);
  fill(
    byId("timeline-note"),
    "Each alert stands at its first event.",
    element("span", { class: "hint" }, " Drag over bars to choose a time."),
    undated ? ` ${counted(undated, "alert")} without a time: not in the timeline, nor in any chosen time.` : "",
    before > 0 ? ` ${counted(before, "alert")} of the chosen time began before it.` : "",
  );
}

function bucketsOf(some) {
  if (!whole) return [];
  const start = state.from ?? Math.min(whole.start, state.to ?? Infinity);
  const end = state.to ?? Math.max(whole.end, state.from ?? -Infinity);
  if (end <= start) return [];
  const step = STEPS.find((one) => (end - start) / one <= MOST_BARS - 1);
  const origin = Math.floor(start / step);
  const made = Array.from({ length: Math.ceil(end / step) - origin }, (_, place) => ({
    start: Math.max((origin + place) * step, state.from ?? -Infinity),
    end: Math.min((origin + place + 1) * step, state.to ?? Infinity),
    items: [],
  }));
  for (const item of some) {
    if (item.first !== null && item.first >= start && item.first < end) {
      made[Math.floor(item.first / step) - origin].items.push(item);
    }
  }
  return made;
}

function barOf(bucket, height, most) {
  const parts = BANDS.map((band) => [band, bucket.items.filter((item) => item.band === band)]).filter(
    ([, some]) => some.length,
  );
  const told = parts.map(([band, some]) => `${band.name}: ${counted(height(some), state.measure)}`);
  const title = [`${utc(bucket.start)} to ${utc(bucket.end)}`, ...told].join("\n");
  return element(
    "div",
    { title },
    parts.map(([band, some]) => {
      const part = element("div", { class: band.key });
      part.style.height = `${(100 * height(some)) / most}%`;
      return part;
    }),
  );
}

function drawSeverity(some) {
  fill(
    byId("severity"),
    BANDS.map((band) => {
      const count = some.filter((item) => item.band === band).length;
      const share = element("span", { class: `share ${band.key}` });
      share.style.width = `${some.length ? (100 * count) / some.length : 0}%`;
      const label = [
        element("span", { class: `badge ${band.key}` }, band.name),
        element("span", { class: "note" }, `${band.least}–${band.most}`),
        element("span", { class: "track" }, share),
        element("strong", {}, number(count)),
      ];
      const act = () => {
        const bands = new Set(state.bands);
        if (!bands.delete(band)) bands.add(band);
        choose({ bands });
      };
      return element("li", {}, button(`band ${band.key}`, label, state.bands.has(band), act));
    }),
  );
}

function drawAttack(some) {
  const techniques = new Map(alerts.flatMap((alert) => alert.techniques).map(({ id, name }) => [id, name]));
  const used = new Map();
  for (const [tactic, technique] of items.flatMap((item) => item.cells)) {
    used.set(tactic, (used.get(tactic) ?? new Set()).add(technique));
  }
  const count = (tactic, technique) =>
    some.filter((item) => item.cells.some((cell) => cell[0] === tactic && (!technique || cell[1] === technique)))
      .length;
  const choice = (tactic, technique, label) => {
    const pressed = state.tactic === tactic && state.technique === technique;
    const found = count(tactic, technique);
    return button(
      `attack ${tactic} ${technique}`,
      [...label, element("strong", {}, number(found))],
      pressed,
      () => choose(pressed ? { tactic: "", technique: "" } : { tactic, technique }),
      { class: found ? null : "nothing" },
    );
  };
  const columns = [...tacticNames]
    .filter(([tactic]) => used.has(tactic))
    .map(([tactic, name]) =>
      element(
        "section",
        {},
        element("h3", {}, choice(tactic, "", [value(name, LONGEST_IN_ROW)])),
        element(
          "ul",
          {},
          [...used.get(tactic)]
            .filter(Boolean)
            .sort()
            .map((technique) => {
              const id = element("span", { class: "id" }, cut(technique, LONGEST_IN_ROW));
              const label = element("span", {}, id, " ", value(techniques.get(technique), LONGEST_IN_ROW));
              return element("li", {}, choice(tactic, technique, [label]));
            }),
        ),
      ),
    );
  fill(byId("covered"), `${counted(used.size, "tactic")}, ${counted(techniques.size, "technique")}`);
  fill(byId("attack"), columns.length ? columns : element("p", { class: "note" }, "No tactics are stated."));
}

function drawFilters(passing) {
  const rules = new Map(items.map((item) => [item.rule, item.alert.rule.title]));
  const accounts = new Map(alerts.flatMap((alert) => alert.accounts).map((account) => [account, account]));
  drawOptions("rule", "All rules", rules, passing.rule, (item) => [item.rule]);
  drawOptions("account", "All accounts", accounts, passing.account, (item) => item.alert.accounts);
  if (byId("search").value !== state.search) byId("search").value = state.search;
  fill(
    byId("result"),
    passing.all.length === items.length ? "All " : `${number(passing.all.length)} of `,
    `${counted(items.length, "alert")} · ${counted(eventsOf(passing.all), "event")}`,
    about.problems.length ? element("strong", { class: "incomplete" }, " Incomplete: see the problems above.") : null,
  );
  fill(byId("copy"), `Copy ${counted(passing.all.length, "alert")} as JSON lines`);
  byId("copy").hidden = !passing.all.length;
  fill(byId("chosen"), chosenFilters(rules));
}

function drawOptions(id, all, names, some, keysOf) {
  const counts = new Map();
  for (const key of some.flatMap(keysOf)) counts.set(key, (counts.get(key) ?? 0) + 1);
  const options = [...names]
    .sort(([, a], [, b]) => compare(a, b))
    .map(([key, name]) => element("option", { value: key }, `${plain(name)} (${number(counts.get(key) ?? 0)})`));
  fill(byId(id), element("option", { value: "" }, all), options);
  byId(id).value = state[id];
}

function chosenFilters(rules) {
  const { bands, rule, account, tactic, technique, from, to, search } = state;
  const chosen = [...bands].map((band) => [
    `Severity: ${band.name}`,
    { bands: new Set([...bands].filter((one) => one !== band)) },
  ]);
  if (rule) chosen.push([`Rule: ${rules.get(rule)}`, { rule: "" }]);
  if (account) chosen.push([`Account: ${account}`, { account: "" }]);
  if (technique) chosen.push([`Technique: ${technique}`, { technique: "" }]);
  if (tactic) chosen.push([`Tactic: ${tacticNames.get(tactic)}`, { tactic: "", technique: "" }]);
  if (from !== null) chosen.push([`From ${utc(from)}`, { from: null }]);
  if (to !== null) chosen.push([`Before ${utc(to)}`, { to: null }]);
  if (search.trim()) chosen.push([`Search: ${search}`, { search: "" }]);
  const buttons = chosen.map(([label, choices]) =>
    button(`chosen ${label}`, `${plain(label)} ×`, null, () => choose(choices), {
      class: "chip",
      "aria-label": `Remove filter: ${plain(label)}`,
    }),
  );
  return buttons.length > 1 ? [...buttons, button("clear", "Clear all", null, () => choose(NOTHING_CHOSEN))] : buttons;
}

function drawColumns() {
  fill(
    byId("columns"),
    COLUMNS.map(({ key, name: fixed, falls }) => {
      const name = fixed ?? (state.grouping === "rule" ? "Actor" : "Rule");
      const current = state.sort.key === key;
      const arrow = state.sort.falls ? " ▼" : " ▲";
      const act = () => choose({ sort: { key, falls: current ? !state.sort.falls : falls } });
      return button(`sort ${key}`, name + (current ? arrow : ""), current, act, {
        class: key,
        "aria-label": current ? `${name}, ${state.sort.falls ? "falling" : "rising"}` : name,
      });
    }),
  );
}

function drawList(some, most = null) {
  const groups = [...grouped(sorted(some))];
  if (state.sort.key === "events") {
    const way = state.sort.falls ? -1 : 1;
    groups.sort(([, a], [, b]) => way * (eventsOf(a) - eventsOf(b)));
  }
  const shown = groups.slice(0, most ?? state.groups).map(([key, members]) => groupOf(key, members, most));
  const rest = groups.length - shown.length;
  if (rest > 0) {
    shown.push(
      moreButton("more groups", Math.min(rest, GROUPS_AT_ONCE), rest, "group", () => {
        state.groups += GROUPS_AT_ONCE;
      }),
    );
  }
  if (!shown.length) shown.push(element("p", { class: "nothing-found" }, "No alert passes these filters."));
  fill(byId("list"), shown);
}

function groupOf(key, members, most) {
  const limit = most ?? state.more.get(key) ?? ALERTS_AT_ONCE[state.grouping];
  const rows = members.slice(0, limit).map(rowOf);
  const rest = members.length - rows.length;
  if (rest > 0) {
    const act = () => state.more.set(key, limit + MORE_ALERTS);
    rows.push(element("li", {}, moreButton(`more ${key}`, Math.min(rest, MORE_ALERTS), rest, "alert", act)));
  }
  const heading = state.grouping === "none" ? [] : [headingOf(key, members)];
  return element("section", { class: "group" }, ...heading, element("ul", {}, rows));
}

function headingOf(key, members) {
  const { rule } = members[0].alert;
  const top = members.reduce((a, b) => (b.alert.severity > a.alert.severity ? b : a));
  const name = state.grouping === "rule" ? rule.title : key;
  return element(
    "header",
    {},
    badge(top.alert.severity, top.band),
    element("h3", {}, name ? value(name, LONGEST_IN_ROW) : "No actor recorded"),
    state.grouping === "rule" ? authorOf(rule) : null,
    element(
      "span",
      { class: "note sum" },
      `${counted(members.length, "alert")} · ${counted(eventsOf(members), "event")}`,
    ),
  );
}

function moreButton(key, step, rest, noun, act) {
  return button(
    key,
    `Show ${number(step)} more of ${counted(rest, noun)}`,
    null,
    () => {
      act();
      draw();
    },
    { class: "more" },
  );
}

function authorOf(rule) {
  return element(
    "span",
    { class: "note" },
    "by ",
    rule.author ? value(rule.author, LONGEST_IN_ROW) : "an author not stated",
  );
}

function rowOf(item) {
  const { alert } = item;
  const actors = few(alert.actors);
  const events = few(alert.event_names, 3);
  const separator = " · ";
  const [what, more] = {
    rule: [actors, events],
    actor: [[value(alert.rule.title, LONGEST_IN_ROW)], [...events, separator, authorOf(alert.rule)]],
    none: [
      [value(alert.rule.title, LONGEST_IN_ROW)],
      [...actors, separator, ...events, separator, authorOf(alert.rule)],
    ],
  }[state.grouping];
  const summary = element(
    "summary",
    { "data-key": `alert ${alert.id}` },
    element("span", { class: "severity" }, badge(alert.severity, item.band)),
    element("span", { class: "time" }, ...timesOf(item)),
    element(
      "span",
      { class: "name" },
      element("span", { class: "what" }, ...what),
      element("span", { class: "note" }, ...more),
    ),
    element(
      "span",
      { class: "account" },
      ...few(alert.accounts),
      element("span", { class: "note" }, ...few(alert.regions)),
    ),
    element("span", { class: "source" }, ...few(alert.source_addresses)),
    element(
      "span",
      { class: "events" },
      number(alert.event_count),
      element("span", { class: "unit" }, alert.event_count === 1 ? " event" : " events"),
    ),
  );
  const details = element("details", {}, summary);
  const open = () => details.children.length > 1 || details.append(detailsOf(item));
  details.addEventListener("toggle", () => {
    if (details.open) open();
    state.opened[details.open ? "add" : "delete"](item);
  });
  if (state.opened.has(item)) {
    open();
    details.open = true;
  }
  return element("li", {}, details);
}

function timesOf({ alert, first, last }) {
  if (first === null) return [element("span", { class: "none" }, "no time")];
  const lasted = last > first ? [element("span", { class: "note" }, `to ${utc(last)}`)] : [];
  return [utc(first), ...lasted];
}

function detailsOf(item) {
  const { alert } = item;
  const { rule, suppression } = alert;
  const bounded = (kind) =>
    element(
      "ul",
      {},
      alert[kind].map((text) => element("li", {}, pivot(text))),
      alert[kind].length >= KEPT ? element("li", { class: "note" }, `The first ${KEPT}; there may be more.`) : null,
    );
  const key = Object.entries(suppression.key).map(([field, held]) =>
    element(
      "div",
      {},
      element("dt", {}, value(field)),
      element("dd", {}, held === null ? element("span", { class: "none" }, "not in the event") : value(held)),
    ),
  );
  const events = alert.events.map(({ id, place }) =>
    element("tr", {}, element("td", { class: "code" }, value(id)), element("td", {}, value(place))),
  );
  // Only a correlation has one.
  const chain = (alert.correlation?.chain ?? []).map((step) =>
    element(
      "li",
      {},
      `${utc(Date.parse(step.time))} `,
      value(step.event),
      element(
        "div",
        { class: "note" },
        value([...step.rules.map((rule) => rule.title), step.actor, step.source_address].filter(Boolean).join(" · ")),
      ),
    ),
  );
  const labels = (named) => named.map(({ id, name }) => element("li", {}, value(`${id} ${name}`)));
  const kept =
    alert.events.length < alert.event_count ? ` (${alert.events.length} of ${number(alert.event_count)})` : "";
  return element(
    "div",
    { class: "details" },
    element(
      "dl",
      { class: "lists" },
      fact("Actors", bounded("actors")),
      fact("Source addresses", bounded("source_addresses")),
      fact("Accounts", bounded("accounts")),
      fact("Regions", bounded("regions")),
      fact("Events", bounded("event_names")),
      fact("Time (UTC)", ...timesOf(item)),
      fact("Rule", value(rule.title), element("div", { class: "note" }, authorOf(rule), " · ", value(rule.id))),
      fact("ATT&CK", element("ul", {}, labels(alert.tactics), labels(alert.techniques))),
    ),
    element(
      "div",
      { class: "evidence" },
      element(
        "section",
        {},
        element("h4", {}, "Suppression key"),
        element("p", { class: "note" }, `One alert in ${suppression.window} for the same values.`),
        element("dl", { class: "key" }, key),
      ),
      chain.length
        ? element(
            "section",
            {},
            element("h4", {}, `Chain, ${alert.correlation.type.replace("_", " ")} within ${alert.correlation.timespan}`),
            element("ol", {}, chain),
          )
        : null,
      element(
        "section",
        {},
        element("h4", {}, `Events${kept}`),
        element(
          "table",
          {},
          element(
            "thead",
            {},
            element(
              "tr",
              {},
              ["Event id", "Stands in"].map((name) => element("th", { scope: "col" }, name)),
            ),
          ),
          element("tbody", {}, events),
        ),
      ),
    ),
    element(
      "p",
      { class: "acts" },
      element("span", { class: "note code" }, "Alert ", value(alert.id)),
      button(`copy ${alert.id}`, "Copy as JSON", null, () => copy(JSON.stringify(alert, null, 2), "the alert")),
    ),
  );
}

/** A value to go on from: what else there is about it. */
function pivot(text) {
  const act = () => {
    choose({ search: text });
    byId("alerts").scrollIntoView();
  };
  return button(`pivot ${text}`, value(text), null, act, {
    class: "pivot",
    title: "Search for this value",
  });
}
