// Drawing: once

function start() {
  drawHeader();
  drawProblems();
  drawEmpty();
  /** @type {HTMLDetailsElement} */ (byId("overview")).open = !matchMedia("(max-width: 40rem)").matches;
  if (items.length) {
    listen();
    draw();
    searchable = readTexts();
  }
  byId("content").hidden = !items.length;
  // Last, so that it stays if anything went wrong.
  byId("unfinished").hidden = true;
}

/**
 * @param {string} name
 * @param {...Child} content
 */
function fact(name, ...content) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, ...content));
}

function drawHeader() {
  /** @type {[string, Child][]} */
  const facts = [["Searched", value(about.searched, LONGEST_SEARCHED)]];
  if (about.since || about.until) {
    const [since, until] = [about.since, about.until].map(millis);
    const from = since === null ? "the first record" : `${utc(since)} UTC`;
    facts.push(["Time", `${from} to ${until === null ? "the last" : `${utc(until)} UTC`}`]);
  }
  if (about.records !== null) facts.push(["Records read", number(about.records)]);
  if (about.events !== null) facts.push(["Records that match", number(about.events)]);
  const written = millis(about.written);
  if (written !== null) facts.push(["Made at", `${utc(written)} UTC`]);
  fill(
    byId("facts"),
    facts.map(([name, content]) => fact(name, content)),
  );
  fill(byId("explained"), explanation());
  fill(byId("made"), `Made by sigma-stellar-aws ${about.version} with ${counted(about.rules, "rule")}.`);
  fill(
    byId("notice"),
    `ATT&CK ${attack.version}: © The MITRE Corporation. This work is reproduced and distributed with the permission ` +
      "of The MITRE Corporation. ATT&CK is a registered trademark of The MITRE Corporation.",
  );
}

/**
 * Numbers of the alerts that pass the filters.
 * @param {Item[]} some
 */
function drawHeadline(some) {
  /** @type {(count: number, all: number) => Child[]} */
  const shown = (count, all) => [
    number(count),
    count < all ? element("small", {}, ` of ${number(all)}`) : null,
  ];
  fill(
    byId("headline"),
    fact("Alerts", ...shown(some.length, items.length)),
    fact("Events in them", ...shown(eventsOf(some), eventsOf(items))),
    fact("Rules that matched", ...shown(new Set(some.map((item) => item.rule)).size, about.rules)),
    fact("Actors", distinct("actors", some)),
    fact("Accounts", distinct("accounts", some)),
    fact("Source addresses", distinct("source_addresses", some)),
  );
}

/**
 * Which rules, actors, addresses and accounts stand out among the alerts that pass the filters.
 * @param {Item[]} some
 */
function drawSummary(some) {
  /** @type {[string, (item: Item) => string[], (key: string, item: Item) => string, (key: string) => void][]} */
  const kinds = [
    ["Worst rules", (item) => [item.rule], (key, item) => item.alert.rule.title, (rule) => choose({ rule })],
    ["Actors", (item) => item.alert.actors, actorName, showActor],
    ["Source addresses", (item) => item.alert.source_addresses, String, (search) => choose({ search })],
    ["Accounts", (item) => item.alert.accounts, String, (account) => choose({ account })],
  ];
  fill(byId("summed"), "rules, actors, addresses, accounts");
  fill(
    byId("most-of"),
    kinds.map(([title, keysOf, shown, act], kind) => {
      /** @type {Map<string, { item: Item, count: number }>} */
      const found = new Map();
      for (const item of some) {
        for (const key of keysOf(item)) {
          const known = found.get(key);
          if (known) known.count += 1;
          else found.set(key, { item, count: 1 });
          if (known && known.item.alert.severity < item.alert.severity) known.item = item;
        }
      }
      /** @type {(entry: [string, { item: Item, count: number }]) => number} */
      const worth = ([, { item, count }]) => (kind ? 0 : item.alert.severity * 1e6) + count;
      const best = [...found].sort((a, b) => worth(b) - worth(a)).slice(0, MOST_OF_A_KIND);
      return element(
        "section",
        {},
        element("h3", {}, title),
        element(
          "ul",
          {},
          best.map(([key, { item, count }]) =>
            element(
              "li",
              {},
              button(`most ${title} ${key}`, [value(shown(key, item), LONGEST_IN_ROW), element("strong", {}, number(count))], null, () => act(key)),
            ),
          ),
        ),
      );
    }),
  );
}

/** Why there are fewer alerts than events, or more. */
function explanation() {
  const windows = [...new Set(kinds.map(({ window }) => window))].filter((window) => !/^0\D/.test(window));
  if (!windows.length) return "Every event is an alert of each rule that it matches.";
  const each = `A rule alerts once in ${windows.slice(0, 3).join(", ")} for the same key, mostly account, actor and address`;
  return `${each}. The alert counts the events; an event that several rules match counts in each.`;
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
  byId("search").addEventListener("input", () => choose({ search: field("search").value }));
  for (const name of ["rule", "account"]) {
    byId(name).addEventListener("change", () => choose({ [name]: field(name).value }));
  }
  for (const name of ["from", "to"]) {
    byId(name).addEventListener("change", () => {
      const time = /** @type {HTMLInputElement} */ (field(name)).valueAsNumber;
      choose({ [name]: Number.isNaN(time) ? null : time });
    });
  }
  byId("whole").addEventListener("click", () => choose({ from: null, to: null }));
  byId("copy").addEventListener("click", () => {
    const shown = sorted(sift().all);
    copy(linesOf(shown), counted(shown.length, "alert"));
  });
  listenToDrags();
  // Paper cannot be asked for more.
  addEventListener("beforeprint", () => drawList(sift().all, Infinity));
  addEventListener("afterprint", () => drawList(sift().all));
}

function listenToDrags() {
  const bars = byId("bars");
  /** @type {number | null} */
  let first = null;
  /** @type {(event: PointerEvent) => number} */
  const at = (event) => {
    const { left, width } = bars.getBoundingClientRect();
    const place = Math.floor(((event.clientX - left) / width) * buckets.length);
    return Math.min(Math.max(place, 0), buckets.length - 1);
  };
  /** @type {(from: number, to: number) => void} */
  const mark = (from, to) => {
    [...bars.children].forEach((bar, place) => bar.classList.toggle("dragged", place >= from && place <= to));
  };
  /** @type {(start: number, event: PointerEvent) => [number, number]} */
  const range = (start, event) => [Math.min(start, at(event)), Math.max(start, at(event))];
  bars.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !buckets.length) return;
    first = at(event);
    bars.setPointerCapture(event.pointerId);
    mark(first, first);
  });
  bars.addEventListener("pointermove", (event) => first !== null && mark(...range(first, event)));
  bars.addEventListener("pointercancel", () => {
    first = null;
    mark(0, -1);
  });
  bars.addEventListener("pointerup", (event) => {
    if (first === null) return;
    const [from, to] = range(first, event);
    first = null;
    choose({ from: buckets[from].start, to: buckets[to].end });
  });
}

/** @param {Item[]} some */
async function linesOf(some) {
  const details = await readDetails(some);
  return some.map((item, number) => JSON.stringify({ ...item.alert, ...details[number] })).join("\n");
}

/**
 * @param {Promise<string>} reading
 * @param {string} what
 */
async function copy(reading, what) {
  let done = true;
  try {
    // Some browsers allow it only before anything is waited for.
    const text = reading.then((read) => new Blob([read], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
  } catch {
    // Browsers that keep the clipboard from pages in files still obey a selection.
    const copied = element("textarea", { class: "copied", "aria-hidden": "true" });
    copied.value = await reading;
    document.body.append(copied);
    copied.select();
    done = document.execCommand("copy");
    copied.remove();
  }
  fill(byId("told"), done ? `Copied ${what} as JSON.` : "The browser does not let this page copy.");
  setTimeout(() => fill(byId("told")), 4000);
}
