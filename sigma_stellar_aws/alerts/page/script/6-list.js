// The list of alerts

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

/**
 * @param {Item[]} some
 * @param {number | null} [most]
 */
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
      moreButton("more groups", Math.min(rest, GROUPS_AT_ONCE), groups.length, "group", () => {
        state.groups += GROUPS_AT_ONCE;
      }),
    );
  }
  if (!shown.length) shown.push(element("p", { class: "nothing-found" }, "No alert passes these filters."));
  fill(byId("list"), shown);
}

/**
 * @param {string} key
 * @param {Item[]} members
 * @param {number | null} most
 */
function groupOf(key, members, most) {
  const limit = most ?? state.more.get(key) ?? ALERTS_AT_ONCE[state.grouping];
  const rows = members.slice(0, limit).map(rowOf);
  const rest = members.length - rows.length;
  if (rest > 0) {
    const act = () => state.more.set(key, limit + MORE_ALERTS);
    rows.push(element("li", {}, moreButton(`more ${key}`, Math.min(rest, MORE_ALERTS), members.length, "alert", act)));
  }
  const heading =
    state.grouping === "none"
      ? [element("h3", { class: "for-readers" }, "Not grouped")]
      : [headingOf(key, members)];
  return element("section", { class: "group" }, ...heading, element("ul", {}, rows));
}

/**
 * @param {string} key
 * @param {Item[]} members
 */
function headingOf(key, members) {
  const { rule } = members[0].alert;
  const top = members.reduce((a, b) => (b.alert.severity > a.alert.severity ? b : a));
  const name = state.grouping === "rule" ? rule.title : actorName(key);
  return element(
    "header",
    {},
    badge(top.alert.severity, top.band),
    element("h3", {}, name ? value(name, LONGEST_IN_ROW) : "No actor recorded"),
    state.grouping === "rule" ? authorOf(rule) : null,
    state.grouping === "actor" && key
      ? button(`all of ${key}`, "All over time", null, () => showActor(key), { class: "over-time" })
      : null,
    element(
      "span",
      { class: "note sum" },
      `${counted(members.length, "alert")} · ${counted(eventsOf(members), "event")}`,
    ),
  );
}

/**
 * @param {string} key
 * @param {number} step
 * @param {number} all
 * @param {string} noun
 * @param {() => void} act
 */
function moreButton(key, step, all, noun, act) {
  return button(
    key,
    `Show ${number(step)} more of ${counted(all, noun)}`,
    null,
    () => {
      act();
      draw();
    },
    { class: "more" },
  );
}

/** @param {Rule} rule */
function authorOf(rule) {
  return element(
    "span",
    { class: "note" },
    "by ",
    rule.author ? value(rule.author, LONGEST_IN_ROW) : "an author not stated",
  );
}

/** @param {Item} item */
function rowOf(item) {
  const { alert } = item;
  const actors = few(alert.actors.map(actorName));
  const events = [...few(alert.event_names, 3), ...resourceOf(item), ...failureOf(alert)];
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
    { "data-key": `alert ${item.place}` },
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
    element(
      "span",
      { class: "source" },
      ...few(alert.source_addresses),
      element("span", { class: "note" }, ...placeOf(alert, alert.source_addresses[0])),
    ),
    element(
      "span",
      { class: "events" },
      number(alert.event_count),
      element("span", { class: "unit" }, alert.event_count === 1 ? " event" : " events"),
    ),
  );
  const details = element("details", {}, summary);
  const open = async () => {
    item.details ??= (await readDetails([item]))[0];
    if (details.children.length === 1) details.append(detailsOf(item, item.details));
  };
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

/**
 * What was acted on; behind several names, it would seem to be what all of them acted on.
 * @param {Item} item
 * @returns {Child[]}
 */
function resourceOf({ resource: whole, alert }) {
  if (alert.event_names.length > 1) return [];
  // Of an ARN, what is not the same for everything in an account.
  const resource = whole.startsWith("arn:") ? whole.split(":").slice(5).join(":") : whole;
  return resource ? [" ", element("strong", {}, value(resource, LONGEST_IN_ROW))] : [];
}

/**
 * How many events failed; an alarm only where nothing was changed.
 * @param {Alert} alert
 * @returns {Child[]}
 */
function failureOf(alert) {
  const told = failureText(alert);
  return told ? [" ", element("span", { class: allFailed(alert) ? "failed" : "note" }, value(told, LONGEST_IN_ROW))] : [];
}

/**
 * @param {Item} item
 * @returns {Child[]}
 */
function timesOf({ first, last }) {
  if (first === null || last === null) return [element("span", { class: "none" }, "no time")];
  const lasted = last > first ? [" ", element("span", { class: "note" }, `to ${utc(last)}`)] : [];
  return [utc(first), ...lasted];
}
