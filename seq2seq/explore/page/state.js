// The data, the choices of the user, and how elements are created: text only in text nodes.

const data = JSON.parse(document.getElementById("data").textContent);
const SYMBOLS = { gamma: "γ", lam: "λ", alpha: "α", p: "p" };
const DOINGS = {
  writing: "writing its own answer",
  reading: `reading the ${data.sides[1]}`,
};
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

const state = {
  chosen: 0,
  shown: data.models.map((_, number) => number).slice(0, 2),
  doing: "writing",
  view: "map",
  gold: true,
  heads: data.models.map((model) => (model.layers * model.heads > 1 ? null : 0)),
};

const find = (id) => document.getElementById(id);

/** Create an element with attributes, listeners (on…) and children; strings become text nodes. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "text", "line", "rect", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const letter = (model) => LETTERS[model] ?? String(model + 1);

function badge(model) {
  return make("span", { class: "badge", "data-model": model % 6 }, letter(model));
}

/** Return the name of a mapping and its parameters: trained ones, or those of one answer. */
function mappingName(model, changes = {}) {
  const parameters = model.parameters.map(({ name, value, varies }) => {
    const trained = `${varies ? "≈ " : ""}${number(value)}`;
    const told = name in changes ? `${number(changes[name])} (trained: ${trained})` : trained;
    return `${SYMBOLS[name] ?? name} ${told}`;
  });
  return { name: model.name, parameters: parameters.join("  ") };
}

/** Format a number with three significant digits; a positive number is never shown as 0. */
function number(value) {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e-3) return value.toExponential(1).replace("e-", "·10⁻").replace(/⁻(\d+)$/, (_, digits) => `⁻${superscript(digits)}`);
  return String(Number(value.toPrecision(3)));
}

const superscript = (digits) => [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");

/** Return the pieces of a side as shown: after a hyphen if they continue a word. */
function shownPieces(look, side) {
  const pieces = look[side];
  const words = look[`${side}_words`];
  return pieces.map((piece, i) => {
    const text = piece.replace(/^▁/, "") || "␣";
    return i > 0 && words[i] >= 0 && words[i] === words[i - 1] ? `‑${text}` : text;
  });
}

const ended = (pieces, at) => pieces[at] === "</s>";

/** Redraw what depends on the state; page.js sets this function. */
const watchers = [];
function changed() {
  for (const watch of watchers) watch();
}
