// An opened alert: what happened, why that matters, what to do next

/**
 * @param {Child} name
 * @param {...Child} content
 */
function named(name, ...content) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, ...content));
}

/**
 * @param {string} title
 * @param {...Child} content
 */
function section(title, ...content) {
  return element("section", {}, element("h4", {}, title), ...content);
}

/**
 * A link; only to the web, whoever wrote the rule.
 * @param {string | null | undefined} url
 * @param {string} text
 */
function link(url, text) {
  if (!url || !/^https?:\/\/[^\s]+$/.test(url)) return value(text);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, value(text));
}

/** @param {string[]} values */
function texts(values) {
  return element(
    "ul",
    {},
    values.map((text) => element("li", {}, value(String(text)))),
  );
}

/** @param {FieldValues[]} fields */
function fieldList(fields) {
  return element(
    "dl",
    { class: "key" },
    fields.map(({ field, values }) => named(value(field), value(values.join(", ")))),
  );
}

/**
 * @param {Item} item
 * @param {Details} details
 */
function detailsOf(item, details) {
  return element(
    "div",
    { class: "details" },
    element("div", { class: "story" }, whatHappened(item, details), whyItMatters(item.alert)),
    chainOf(details),
    element("div", { class: "evidence" }, keyOf(details), eventsOfAlert(item.alert, details)),
    recordOf(details),
    element(
      "p",
      { class: "acts" },
      element("span", { class: "note code" }, "Alert ", value(details.id)),
      button(`copy ${item.place}`, "Copy as JSON", null, () => copy(linesOf([item]), "the alert")),
    ),
  );
}

/**
 * @param {Item} item
 * @param {Details} details
 */
function whatHappened(item, { first_event: event }) {
  const { alert } = item;
  /** @type {(text: string) => Child[]} */
  const whereabouts = (text) => {
    const { whole: told } = locationOf(alert, text);
    return told ? [" ", element("span", { class: "note" }, value(told, LONGEST_IN_ROW))] : [];
  };
  /** @type {(kind: ListOfTexts) => HTMLElement} */
  const bounded = (kind) =>
    element(
      "ul",
      {},
      alert[kind].map((text) => element("li", {}, pivot(text), whereabouts(text))),
      alert[kind].length >= KEPT ? element("li", { class: "note" }, `The first ${KEPT}; there may be more.`) : null,
    );
  const actors = element(
    "ul",
    {},
    alert.actors.map((actor) =>
      element(
        "li",
        {},
        actorName(actor) === actor ? null : element("strong", {}, value(actorName(actor), LONGEST_IN_ROW), " "),
        pivot(actor),
        " ",
        button(`all of ${actor}`, "All over time", null, () => showActor(actor), { class: "over-time" }),
      ),
    ),
    alert.actors.length >= KEPT ? element("li", { class: "note" }, `The first ${KEPT}; there may be more.`) : null,
  );
  const told = event
    ? [
        event.resource ? named("Resource", value(event.resource)) : null,
        named("Outcome", ...outcomeOf(alert, event)),
        event.user_agent ? named("User agent", value(event.user_agent)) : null,
      ]
    : [];
  return section(
    alert.event_count > 1 ? `What happened, first of ${number(alert.event_count)} events` : "What happened",
    element(
      "dl",
      { class: "lists" },
      named("Events", bounded("event_names")),
      ...told.filter(Boolean),
      named("Actors", actors),
      named("Source addresses", bounded("source_addresses")),
      named("Accounts", bounded("accounts")),
      named("Regions", bounded("regions")),
      named("Time (UTC)", ...timesOf(item)),
    ),
    event?.parameters.length ? element("h5", {}, "Parameters of the request") : null,
    event?.parameters.length ? fieldList(event.parameters) : null,
    event?.matched.length ? element("h5", {}, "Why the rule matches") : null,
    event?.matched.length ? fieldList(event.matched) : null,
  );
}

/**
 * How many events failed, and what the first one said.
 * @param {Alert} alert
 * @param {FirstEvent} event
 * @returns {Child[]}
 */
function outcomeOf(alert, event) {
  const failure = alert.event_count > 1 ? failureText(alert) : "";
  const first = event.error_code
    ? element(
        allFailed(alert) ? "strong" : "span",
        { class: allFailed(alert) ? "failed" : null },
        value([event.error_code, event.error_message].filter(Boolean).join(": ")),
      )
    : "no error";
  return failure ? [value(failure), element("div", { class: "note" }, "The first: ", first)] : [first];
}

/**
 * What it means that all events failed.
 * @param {Alert} alert
 */
function inVainOf(alert) {
  if (!allFailed(alert)) return null;
  const failed = alert.event_count === 1 ? "The call" : "All calls";
  return element(
    "p",
    { class: "in-vain" },
    element("strong", {}, `${failed} failed (`, value((alert.error_codes ?? []).join(", "), LONGEST_IN_ROW), "): nothing was changed."),
    " Ask why it was tried, and whether it succeeded later.",
  );
}

/** @param {Alert} alert */
function whyItMatters(alert) {
  const { rule } = alert;
  /** @type {(some: Named[]) => HTMLElement[]} */
  const labels = (some) => some.map((one) => element("li", {}, link(one.url, labelOfNamed(one))));
  const triage = rule.triage ?? [];
  return section(
    "Why it matters",
    rule.description ? element("p", { class: "description" }, value(rule.description)) : null,
    rule.false_positives?.length ? element("h5", {}, "Harmless if") : null,
    rule.false_positives?.length ? texts(rule.false_positives) : null,
    inVainOf(alert),
    triage.length ? element("h5", {}, "What to do next") : null,
    triage.length
      ? element(
          "ol",
          { class: "steps" },
          triage.map((step) => element("li", {}, value(step))),
        )
      : null,
    element(
      "dl",
      { class: "lists" },
      named("Rule", value(rule.title), element("div", { class: "note" }, authorOf(rule), " · ", value(rule.id))),
      named("ATT&CK", element("ul", {}, labels(alert.tactics), labels(alert.techniques))),
    ),
    rule.references?.length ? element("h5", {}, "References") : null,
    rule.references?.length
      ? element(
          "ul",
          {},
          rule.references.map((url) => element("li", {}, link(url, url))),
        )
      : null,
  );
}

/** @param {Details} details */
function keyOf({ suppression }) {
  const key = Object.entries(suppression.key).map(([field, held]) =>
    named(value(field), held === null ? element("span", { class: "none" }, "not in the event") : value(held)),
  );
  return section(
    "Suppression key",
    element("p", { class: "note" }, `One alert in ${suppression.window} for the same values.`),
    element("dl", { class: "key" }, key),
  );
}

/**
 * The events of a correlation; only that has some.
 * @param {Details} details
 */
function chainOf({ correlation }) {
  if (!correlation?.chain.length) return null;
  const chain = correlation.chain.map((step) =>
    element(
      "li",
      {},
      `${utc(Date.parse(step.time))} `,
      value(step.event),
      step.resource ? [" ", element("strong", {}, value(step.resource, LONGEST_IN_ROW))] : [],
      step.error_code ? [" ", element("span", { class: "failed" }, value(step.error_code, LONGEST_IN_ROW))] : [],
      element(
        "div",
        { class: "note" },
        value([...step.rules.map((rule) => rule.title), step.actor, step.source_address].filter(Boolean).join(" · ")),
      ),
    ),
  );
  return element(
    "section",
    { class: "chain" },
    element("h4", {}, `Chain, ${correlation.type.replace("_", " ")} within ${correlation.timespan}`),
    element("ol", {}, chain),
  );
}

/**
 * @param {Alert} alert
 * @param {Details} details
 */
function eventsOfAlert({ event_count: count }, { events: listed }) {
  const kept = listed.length < count ? ` (${listed.length} of ${number(count)})` : "";
  const heads = ["Event id", "Stands in"].map((name) => element("th", { scope: "col" }, name));
  const events = listed.map(({ id, place }) =>
    element("tr", {}, element("td", { class: "code" }, value(id)), element("td", {}, value(place))),
  );
  return section(
    `Events${kept}`,
    element("table", {}, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, events)),
  );
}

/**
 * The first event itself, folded.
 * @param {Details} details
 */
function recordOf({ first_event: event }) {
  if (!event) return null;
  const { record } = event;
  const made = element("details", { class: "record" }, element("summary", {}, "The first event, as it was recorded"));
  made.addEventListener("toggle", () => {
    if (!made.open || made.children.length > 1) return;
    const fields = Object.entries(record ?? {}).map(([field, held]) => ({ field, values: [held].flat() }));
    made.append(
      record ? fieldList(fields) : element("p", { class: "note" }, "Not on this page, which would be too large; see --json."),
    );
  });
  return made;
}

/**
 * A value to go on from: what else there is about it.
 * @param {string} text
 */
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
