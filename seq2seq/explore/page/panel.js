// One example: its texts, and a panel with the attention of each shown model.

const HELP = {
  writing: "Attention while each model writes its own answer, found by the search.",
  reading: `Attention while each model reads the ${data.sides[1]}: the same words for all.`,
};

/** The activities of models in this corpus. */
const POSSIBLE = new Set(data.examples.flatMap((example) => example.answers.flatMap(({ looks }) => Object.keys(looks))));

/** Prepare an element for examples; return the function that draws an example in it. */
function detailIn(place, name) {
  const doing = choice(`${name}-doing`, "Attention while", Object.entries(DOINGS), (value) => { state.doing = value; });
  const view = choice(`${name}-view`, "Shown as", [["map", "heat map"], ["lines", "lines"]], (value) => { state.view = value; });
  const gold = make("label", { class: "check" }, make("input", { type: "checkbox", checked: true, onchange: (event) => { state.gold = event.target.checked; changed(); } }), "gold alignment");
  const heading = make("h2");
  const texts = make("dl", { class: "texts" });
  const note = make("p", { class: "quiet note" });
  const panels = make("div", { class: "panels" });
  const bar = make("div", { class: "bar" }, doing.element, view.element, gold);
  place.append(heading, texts, bar, note, panels, legend());
  return (example, title) => {
    const answered = state.shown.filter((model) => example.answers[model]);
    place.classList.toggle("empty", !answered.length);
    heading.textContent = title;
    heading.hidden = !title;
    const known = new Set(answered.flatMap((model) => Object.keys(example.answers[model].looks)));
    const now = known.has(state.doing) ? state.doing : [...known][0];
    doing.show(now, known);
    doing.element.hidden = POSSIBLE.size < 2;
    view.show(state.view);
    const linked = example.gold.length > 0 && answered.some((model) => goldFor(example, model, now).length);
    gold.hidden = !linked;
    gold.firstChild.checked = state.gold;
    note.textContent = HELP[now] ?? "";
    if (example.gold.length && !linked && now === "writing") note.textContent += " Gold links belong to the words of the reference.";
    texts.replaceChildren(...textsOf(example, answered));
    const width = panels.clientWidth;
    panels.replaceChildren(...answered.map((model) => panel(example, model, now, answered.length, width)));
    const outlined = panels.querySelector(".run") !== null;
    place.querySelector(".legend .outlined").hidden = !outlined;
    place.querySelector(".legend .linked").hidden = !(linked && state.gold);
    place.querySelector(".legend").hidden = state.view !== "map";
  };
}

/** Build radio buttons; `show` marks the current choice and disables missing ones. */
function choice(name, label, options, choose) {
  const inputs = options.map(([value, text]) => make("label", {}, make("input", { type: "radio", name, value, onchange: () => { choose(value); changed(); } }), make("span", {}, text)));
  return {
    element: make("fieldset", { class: "choice" }, make("legend", {}, label), inputs),
    show(current, known) {
      for (const input of inputs.map((one) => one.firstChild)) {
        input.disabled = known !== undefined && !known.has(input.value);
        input.checked = input.value === current;
      }
    },
  };
}

function textsOf(example, answered) {
  const line = (title, words, extra) => [make("dt", {}, title), make("dd", { dir: "auto" }, words, extra)];
  const reference = example.label || example.references[0];
  return [
    ...line(capital(data.sides[0]), example.source),
    ...example.references.flatMap((text, i) => line(`${capital(data.sides[1])}${i ? ` ${i + 1}` : ""}`, text)),
    ...(example.label ? line("Label", example.label) : []),
    ...answered.flatMap((model) => {
      const { text, score } = example.answers[model];
      const told = score === null ? null : make("span", { class: "score" }, `${scoreName()} ${score.toFixed(1)}`);
      const said = text ? compared(text, reference) : [make("em", { class: "quiet" }, "nothing")];
      return line(badge(model), said, told);
    }),
  ];
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
const scoreName = () => ({ chrf: "chrF", bleu: "BLEU", rouge_l: "ROUGE-L" })[data.score] ?? data.score.replaceAll("_", " ");

/** Build the words of an answer; words that differ from the reference are marked. */
function compared(text, reference) {
  if (!reference || reference === text) return [text];
  const [a, b] = [text.split(/\s+/), reference.split(/\s+/)];
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const shown = [];
  for (let i = 0, j = 0; i < a.length; i += 1) {
    while (j < b.length && a[i] !== b[j] && common[i][j + 1] === common[i][j]) j += 1;
    const same = j < b.length && a[i] === b[j];
    if (same) j += 1;
    shown.push(i ? " " : "", same ? a[i] : make("mark", { title: "not in the reference at this place" }, a[i]));
  }
  return shown;
}

/** Return the gold links if the target of the model is the reference or equal to it. */
function goldFor(example, model, doing) {
  const same = doing === "reading" || example.answers[model].text === example.references[0];
  return same ? example.gold : [];
}

function panel(example, model, doing, count, width) {
  const described = data.models[model];
  const look = example.answers[model].looks[doing];
  const { name, parameters } = mappingName(described, example.answers[model].parameters);
  const title = make("h3", {}, badge(model), make("span", {}, name), make("span", { class: "quiet" }, parameters));
  if (!look) return make("section", { class: "panel" }, title, make("p", { class: "quiet" }, "nothing to show"));
  const gold = state.gold ? goldFor(example, model, doing) : [];
  const map = attentionMap(look, state.heads[model]);
  const drawing = state.view === "map" ? heatmap(look, map, gold, cellSize(look, count, width)) : bipartite(look, map, gold);
  const many = described.layers * described.heads > 1;
  const whose = many ? `${headName(state.heads[model], described)} · ` : "";
  const facts = make("p", { class: "quiet facts" }, `${whose}${number(look.support)} of ${look.source.length} pieces attended to · ${(100 * look.zeros).toFixed(0)} % of weights exactly 0`);
  return make("section", { class: "panel", "aria-label": `Model ${letter(model)}: ${name}` }, title, facts, drawing, many ? headsOf(look, model, described) : null);
}

/** Build thumbnails of all layers and heads to choose from, with their mean first. */
function headsOf(look, model, { layers, heads }) {
  const pick = (head) => {
    state.heads[model] = head;
    changed();
    document.querySelector(`[role="tabpanel"]:not([hidden]) .heads[data-model="${model}"] [aria-pressed="true"]`)?.focus();
  };
  const one = (head, title) => make("button", { type: "button", class: "head", "aria-pressed": String(state.heads[model] === head), "aria-label": title, title, onclick: () => pick(head) }, thumbnail(attentionMap(look, head)));
  const rows = Array.from({ length: layers }, (_, layer) =>
    make("div", { class: "layer" }, make("span", { class: "quiet" }, `${layer + 1}`),
      Array.from({ length: heads }, (__, head) => one(layer * heads + head, `layer ${layer + 1}, head ${head + 1}`))));
  const mean = make("button", { type: "button", class: "plain", "aria-pressed": String(state.heads[model] === null), onclick: () => pick(null) }, "mean");
  return make("div", { class: "heads", role: "group", "aria-label": "Layers and heads", "data-model": model },
    make("div", { class: "layer" }, mean, make("span", { class: "quiet" }, "or a layer (down) and head (across)")), rows);
}

const headName = (head, { layers, heads }) =>
  head === null ? `mean of ${layers} × ${heads} heads` : `layer ${Math.floor(head / heads) + 1}, head ${(head % heads) + 1}`;

function thumbnail(map) {
  const canvas = make("canvas", { width: map.columns, height: map.rows, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(find("models")).getPropertyValue("accent-color");
  map.values.forEach((weight, i) => {
    if (!weight) return;
    context.globalAlpha = 0.12 + 0.88 * weight;
    context.fillRect(i % map.columns, Math.floor(i / map.columns), 1, 1);
  });
  return canvas;
}

function legend() {
  return make("div", { class: "legend quiet" },
    make("span", {}, make("i", { class: "swatch none" }), "exactly 0"),
    make("span", {}, "tiny", make("i", { class: "scale" }), "1"),
    make("span", { class: "outlined" }, make("i", { class: "swatch run" }), "fused run: neighbors of exactly equal weight"),
    make("span", { class: "linked" }, make("i", { class: "swatch gold" }), "gold alignment"));
}
