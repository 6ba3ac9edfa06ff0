// The heat map: a table, so that screen readers and arrow keys work. An exact 0 has no color, the
// smallest weight has the palest color, and a fused run has an outline.

const CELL = { least: 13, most: 26 }; // pixels

/** Return the size of cells with which `count` panels fit side by side, or one panel per row. */
function cellSize(look, count, width) {
  const label = Math.max(...shownPieces(look, "target").map(textWidth)) + 30;
  const fitting = (share) => Math.floor((share - label) / look.source.length);
  const beside = fitting(width / count - 24);
  const size = beside >= CELL.least ? beside : fitting(width);
  return Math.max(CELL.least, Math.min(size, CELL.most));
}

function heatmap(look, map, gold, size) {
  const source = shownPieces(look, "source");
  const target = shownPieces(look, "target");
  const font = Math.max(10, Math.min(13, size - 3));
  const turn = size < 18 ? 72 : 55; // degrees: narrow columns need steeper words
  const along = (Math.max(...source.map(textWidth)) * font) / 13;
  const [rise, lean] = [Math.sin, Math.cos].map((part) => along * part((turn * Math.PI) / 180));
  const head = make("tr", {}, make("td"), source.map((word, s) => make("th", { scope: "col", "data-column": s, class: ended(look.source, s) ? "end" : "" }, make("span", { dir: "auto" }, word))));
  const rows = target.map((word, t) =>
    make("tr", {},
      make("th", { scope: "row", "data-row": t, dir: "auto", class: ended(look.target, t) ? "end" : "" }, word),
      source.map((_, s) => cell(look, map, t, s, gold))),
  );
  rows[0].children[1].tabIndex = 0;
  const table = make("table", {
    class: "heat",
    role: "grid",
    "aria-label": "Attention: a row is a target piece, a column a source piece",
    "--cell": `${size}px`,
    "--font": `${font}px`,
    "--turn": `-${turn}deg`,
    "--rise": `${Math.ceil(rise + 14)}px`,
    "--lean": `${Math.ceil(lean)}px`,
  }, make("thead", {}, head), make("tbody", {}, rows));
  table.addEventListener("keydown", walk);
  for (const [event, show] of [["pointerover", point], ["focusin", point], ["pointerleave", unpoint], ["focusout", unpoint]]) {
    table.addEventListener(event, (happened) => show(happened, table));
  }
  return make("div", { class: "scroll" }, table);
}

function cell(look, map, t, s, gold) {
  const weight = map.values[t * map.columns + s];
  const run = runAt(map, t, s);
  const long = run && run.last > run.first;
  const classes = [
    weight ? "some" : "none",
    long ? "run" : "",
    long && run.first === s ? "first" : "",
    long && run.last === s ? "last" : "",
    isGold(look, t, s, gold) ? "gold" : "",
  ];
  const described = describe(look, map, t, s, gold);
  const box = make("td", {
    class: classes.filter(Boolean).join(" "),
    tabindex: -1,
    "data-row": t,
    "data-column": s,
    "aria-label": described.join(", "),
  });
  if (weight) box.style.setProperty("--weight", `${(100 * weight).toFixed(2)}%`);
  box.described = described;
  return box;
}

const isGold = (look, t, s, gold) =>
  gold.some(([i, j]) => i === look.source_words[s] && j === look.target_words[t]);

/** Describe a cell for pointers and screen readers: weight, both words, fused run. */
function describe(look, map, t, s, gold) {
  const weight = map.values[t * map.columns + s];
  const source = wholeWord(look, "source", s);
  const target = wholeWord(look, "target", t);
  const lines = [weight ? number(weight) : "exactly 0", `${target} → ${source}`];
  const run = runAt(map, t, s);
  if (run && run.last > run.first) {
    const length = run.last - run.first + 1;
    const pieces = shownPieces(look, "source").slice(run.first, run.last + 1).join(" ");
    lines.push(`run of ${length}: ${pieces}`, `together ${number(length * weight)}`);
  }
  if (isGold(look, t, s, gold)) lines.push("gold link");
  return lines;
}

/** Return the piece, and its word. */
function wholeWord(look, side, at) {
  const words = look[`${side}_words`];
  const piece = shownPieces(look, side)[at];
  const word = look[side].filter((_, i) => words[i] === words[at] && words[at] >= 0).join("").replaceAll("▁", "");
  return word && word !== piece ? `${piece} (${word})` : piece;
}

function walk(event) {
  const here = event.target.closest("td[data-row]");
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -1e6], End: [0, 1e6] }[event.key];
  if (!here || !step) return;
  event.preventDefault();
  const rows = [...event.currentTarget.tBodies[0].rows];
  const within = (value, last) => Math.min(Math.max(value, 0), last);
  const row = rows[within(Number(here.dataset.row) + step[0], rows.length - 1)];
  const next = row.cells[1 + within(Number(here.dataset.column) + step[1], row.cells.length - 2)];
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function point(event, table) {
  const here = event.target.closest("td[data-row]");
  unpoint(event, table);
  if (!here) return;
  for (const name of ["row", "column"]) {
    table.querySelector(`th[data-${name}="${here.dataset[name]}"]`).classList.add("lit");
  }
  showTip(here.getBoundingClientRect(), here.described);
}

function unpoint(_, table) {
  for (const lit of table.querySelectorAll(".lit")) lit.classList.remove("lit");
  hideTip();
}

/** Show a card below a place, or above it if there is no room; its first line is the weight. */
function showTip(place, lines) {
  const tip = find("tip");
  tip.replaceChildren(...lines.map((line, i) => make("div", { class: i ? "" : "weight", dir: "auto" }, line)));
  tip.hidden = false;
  const below = place.bottom + 8;
  tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : place.top - tip.offsetHeight - 8}px`;
  const middle = place.left + place.width / 2 - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(4, Math.min(middle, innerWidth - tip.offsetWidth - 4))}px`;
}

function hideTip() {
  find("tip").hidden = true;
}

const pen = document.createElement("canvas").getContext("2d");
function textWidth(text) {
  pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}
