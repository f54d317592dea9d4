// What one identity did over time, across rules

/** @param {string} actor */
function showActor(actor) {
  choose({ actor, grouping: "none", sort: { key: "time", falls: false } });
  byId("actor-title").scrollIntoView();
}

/** @param {Item[]} some */
function drawActor(some) {
  const { actor } = state;
  byId("actor").hidden = !actor;
  if (!actor) return;
  const dated = datedOf(some);
  const start = dated.reduce((a, item) => Math.min(a, item.first), Infinity);
  const end = dated.reduce((a, item) => Math.max(a, item.last), -Infinity);
  /** @type {(kind: ListOfTexts) => string[]} */
  const all = (kind) => [...new Set(some.flatMap((item) => item.alert[kind]))];
  fill(byId("actor-title"), value(actorName(actor), LONGEST_IN_ROW));
  fill(
    byId("actor-facts"),
    fact("Identity", value(actor)),
    dated.length ? fact("Seen (UTC)", `${utc(start)} to ${utc(end)}`) : null,
    fact("Alerts", `${number(some.length)} of ${counted(new Set(some.map((item) => item.rule)).size, "rule")}`),
    fact("From", ...few(all("source_addresses"), 5)),
    fact("In", ...few(all("accounts"), 5), " · ", ...few(all("regions"), 5)),
  );
  fill(byId("lanes"), lanesOf(dated, start, Math.max(end - start, 1)));
}

/**
 * A line of dots for each rule, in the order in which the identity came upon them.
 * @param {DatedItem[]} dated
 * @param {number} start
 * @param {number} length
 */
function lanesOf(dated, start, length) {
  /** @type {Map<string, DatedItem[]>} */
  const lanes = new Map();
  for (const item of [...dated].sort((a, b) => a.first - b.first)) {
    lanes.set(item.rule, [...(lanes.get(item.rule) ?? []), item]);
  }
  return [...lanes.values()].map((members) =>
    element(
      "li",
      {},
      element("span", { class: "lane-name" }, value(members[0].alert.rule.title, LONGEST_IN_ROW)),
      element(
        "span",
        { class: "lane", "aria-hidden": "true" },
        members.slice(0, MOST_DOTS).map((item) => {
          const dot = element("span", { class: `dot ${item.band.key}`, title: utc(item.first) });
          dot.style.left = `${(100 * (item.first - start)) / length}%`;
          return dot;
        }),
      ),
      element("span", { class: "note" }, `${utc(members[0].first)}${members.length > 1 ? ` ×${members.length}` : ""}`),
    ),
  );
}
