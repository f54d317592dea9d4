// Drawing: after each choice

let searchable = Promise.resolve();

/** @param {Partial<State>} choices */
async function choose(choices) {
  Object.assign(state, choices, { groups: GROUPS_AT_ONCE, more: new Map() });
  if (state.search) {
    fill(byId("result"), "Searching…");
    await searchable;
  }
  draw();
}

function draw() {
  const focused = document.activeElement?.getAttribute("data-key");
  const passing = sift();
  drawTimeline(passing);
  drawSeverity(passing.severity);
  drawAttack(passing.attack);
  drawHeadline(passing.all);
  drawSummary(passing.all);
  drawActor(passing.all);
  drawFilters(passing);
  drawToggle("groupings", GROUPINGS, "grouping");
  drawColumns();
  drawList(passing.all);
  if (focused) refocus(focused);
}

/**
 * Drawing replaces the elements; whoever works with the keyboard stays where they were.
 * @param {string} key
 */
function refocus(key) {
  const keyed = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-key]"));
  const same = [...keyed].find((node) => node.dataset.key === key);
  (same ?? byId("result")).focus({ preventScroll: true });
}

/**
 * @param {string} id
 * @param {Record<string, string>} names
 * @param {"measure" | "grouping"} key
 */
function drawToggle(id, names, key) {
  fill(
    byId(id),
    Object.entries(names).map(([choice, name]) =>
      button(`${key} ${choice}`, name, state[key] === choice, () => choose({ [key]: choice })),
    ),
  );
}

/** @param {Passing} passing */
function drawTimeline(passing) {
  drawToggle("measures", MEASURES, "measure");
  byId("whole").hidden = state.from === null && state.to === null;
  for (const name of /** @type {const} */ (["from", "to"])) {
    const time = state[name];
    field(name).value = time === null ? "" : new Date(time).toISOString().slice(0, 19);
  }
  buckets = bucketsOf(passing.time);
  /** @type {(some: Item[]) => number} */
  const height = (some) => (state.measure === "event" ? eventsOf(some) : some.length);
  const most = buckets.reduce((a, bucket) => Math.max(a, height(bucket.items)), 0);
  fill(byId("most"), most ? number(most) : "");
  fill(
    byId("bars"),
    buckets.map((bucket) => barOf(bucket, height, most)),
  );
  const drawn = buckets.flatMap((bucket) => bucket.items);
  byId("bars").setAttribute("aria-label", `${counted(drawn.length, "alert")} in ${counted(buckets.length, "bar")}`);
  const ends = buckets.length ? [buckets[0].start, buckets[buckets.length >> 1].start, buckets[buckets.length - 1].end] : [];
  fill(
    byId("axis"),
    [...new Set(ends.map((time) => utc(time).slice(0, 16)))].map((time) => element("span", {}, time)),
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

/**
 * @param {Item[]} some
 * @returns {Bucket[]}
 */
function bucketsOf(some) {
  if (!whole) return [];
  const start = state.from ?? Math.min(whole.start, state.to ?? Infinity);
  const end = state.to ?? Math.max(whole.end, state.from ?? -Infinity);
  if (end <= start) return [];
  const step = STEPS.find((one) => (end - start) / one <= MOST_BARS - 1) ?? STEPS[STEPS.length - 1];
  const origin = Math.floor(start / step);
  /** @type {Bucket[]} */
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

/**
 * @param {Bucket} bucket
 * @param {(some: Item[]) => number} height
 * @param {number} most
 */
function barOf(bucket, height, most) {
  const parts = BANDS.map((band) => ({ band, some: bucket.items.filter((item) => item.band === band) })).filter(
    ({ some }) => some.length,
  );
  const told = parts.map(({ band, some }) => `${band.name}: ${counted(height(some), state.measure)}`);
  const title = [`${utc(bucket.start)} to ${utc(bucket.end)}`, ...told].join("\n");
  return element(
    "div",
    { title },
    parts.map(({ band, some }) => {
      const part = element("div", { class: band.key });
      part.style.height = `${(100 * height(some)) / most}%`;
      return part;
    }),
  );
}

/** @param {Item[]} some */
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

/** @param {Item[]} some */
function drawAttack(some) {
  const techniques = new Map(
    kinds.flatMap(({ shared }) => shared.techniques).map((technique) => [keyOfNamed(technique), technique.name ?? ""]),
  );
  /** @type {Map<string, Set<string>>} */
  const used = new Map();
  for (const [tactic, technique] of groundwork.flatMap(({ cells }) => cells)) {
    used.set(tactic, (used.get(tactic) ?? new Set()).add(technique));
  }
  // All alerts of a rule stand in the same cells.
  const counts = tallied(some.map(({ cells }) => cells));
  /** @type {(tactic: string, technique: string) => number} */
  const count = (tactic, technique) =>
    [...counts].reduce(
      (sum, [cells, found]) =>
        cells.some((cell) => cell[0] === tactic && (!technique || cell[1] === technique)) ? sum + found : sum,
      0,
    );
  /** @type {(tactic: string, technique: string, label: Child[]) => HTMLElement} */
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
          [...(used.get(tactic) ?? [])]
            .filter(Boolean)
            .sort()
            .map((technique) => {
              const id = element("span", { class: "id" }, cut(technique, LONGEST_IN_ROW));
              const label = element("span", {}, id, " ", value(techniques.get(technique) ?? "", LONGEST_IN_ROW));
              return element("li", {}, choice(tactic, technique, [label]));
            }),
        ),
      ),
    );
  fill(byId("covered"), `${counted(used.size, "tactic")}, ${counted(techniques.size, "technique")}`);
  fill(byId("attack"), columns.length ? columns : element("p", { class: "note" }, "No tactics are stated."));
}

/** @param {Passing} passing */
function drawFilters(passing) {
  const rules = new Map(groundwork.map(({ rule }, kind) => [rule, kinds[kind].shared.rule.title]));
  const accounts = new Map(items.flatMap(({ alert }) => alert.accounts).map((account) => [account, account]));
  drawOptions("rule", "All rules", rules, passing.rule, (item) => [item.rule]);
  drawOptions("account", "All accounts", accounts, passing.account, (item) => item.alert.accounts);
  if (field("search").value !== state.search) field("search").value = state.search;
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

/**
 * @param {"rule" | "account"} id
 * @param {string} all
 * @param {Map<string, string>} names
 * @param {Item[]} some
 * @param {(item: Item) => string[]} keysOf
 */
function drawOptions(id, all, names, some, keysOf) {
  const counts = tallied(some.flatMap(keysOf));
  const options = [...names]
    .sort(([, a], [, b]) => compare(a, b))
    .map(([key, name]) => element("option", { value: key }, `${plain(name)} (${number(counts.get(key) ?? 0)})`));
  fill(byId(id), element("option", { value: "" }, all), options);
  field(id).value = state[id];
}

/** @param {Map<string, string>} rules */
function chosenFilters(rules) {
  const { bands, rule, account, actor, tactic, technique, from, to, search } = state;
  /** @type {[string, Partial<Filters>][]} */
  const chosen = [...bands].map((band) => [
    `Severity: ${band.name}`,
    { bands: new Set([...bands].filter((one) => one !== band)) },
  ]);
  if (rule) chosen.push([`Rule: ${rules.get(rule)}`, { rule: "" }]);
  if (account) chosen.push([`Account: ${account}`, { account: "" }]);
  if (actor) chosen.push([`Actor: ${actorName(actor)}`, { actor: "" }]);
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
