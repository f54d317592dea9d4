// Elements

/** @param {string} id */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

/**
 * A field of the page for a choice.
 * @param {string} id
 */
function field(id) {
  return /** @type {HTMLInputElement | HTMLSelectElement} */ (byId(id));
}

/** @param {string} character */
function codePoint(character) {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** @param {string} text */
function plain(text) {
  return cut(text, LONGEST_IN_ROW).replace(UNSEEN, codePoint);
}

/**
 * @param {string} text
 * @param {number} longest
 */
function cut(text, longest) {
  if (text.length <= longest) return text;
  // Not between the halves of a surrogate pair.
  const start = text.slice(0, longest).replace(/[\ud800-\udbff]$/, "");
  return `${start}… (${number(text.length - start.length)} more characters)`;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | null | ((event: Event) => void)>} attributes
 * @param {...Child} children
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  fill(made, ...children);
  return made;
}

/**
 * @param {Element} parent
 * @param {...Child} children
 */
function fill(parent, ...children) {
  parent.replaceChildren();
  for (const child of children.flat()) {
    if (child instanceof Node) parent.append(child);
    else if (child !== null) appendText(parent, String(child));
  }
}

/**
 * @param {Element} parent
 * @param {string} text
 */
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

/**
 * A value of an event; `bdi`, so that its direction of writing does not change what stands around it.
 * @param {string} text
 * @param {number} [longest]
 */
function value(text, longest = LONGEST) {
  return element("bdi", {}, cut(text, longest));
}

/**
 * @param {string} key
 * @param {Child} label
 * @param {boolean | null} pressed
 * @param {() => unknown} act
 * @param {Record<string, string | null>} [attributes]
 */
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

/**
 * @param {number} severity
 * @param {Band} band
 */
function badge(severity, band) {
  return element("span", { class: `badge ${band.key}` }, `${band.name} ${severity}`);
}

/** @param {number} count */
function number(count) {
  // To load what knows all languages takes as long as to draw the list.
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * @param {number} count
 * @param {string} noun
 */
function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * The place of an address in short, if it is known.
 * @param {Alert} alert
 * @param {string | undefined} address
 * @returns {Child[]}
 */
function placeOf(alert, address) {
  const { place } = locationOf(alert, address);
  return place ? [value(place, LONGEST_IN_ROW)] : [];
}

/**
 * @param {string[]} values
 * @param {number} [longest]
 * @returns {Child[]}
 */
function few(values, longest = 1) {
  if (!values.length) return [element("span", { class: "none" }, "none")];
  const shown = values.slice(0, longest).flatMap((text) => [", ", value(text, LONGEST_IN_ROW)]);
  const rest = values.length - longest;
  return [...shown.slice(1), rest > 0 ? ` +${rest}${values.length >= KEPT ? " or more" : ""}` : ""];
}
