// Let the models on the server answer the typed text, with the parameters of the sliders.

const answers = { example: null, waiting: new Map() };

function makeLive() {
  if (!data.live) return;
  find("tab-live").hidden = false;
  const first = data.examples[state.chosen];
  const [source, reference] = [find("live-source"), find("live-reference")];
  source.maxLength = data.live.max_characters;
  reference.maxLength = data.live.max_characters;
  find("side-source").textContent = capital(data.sides[0]);
  find("side-reference").textContent = capital(data.sides[1]);
  source.value = first.source;
  reference.value = first.references[0] ?? "";
  answers.example = { source: "", references: [], label: "", gold: [], answers: data.models.map(() => null) };
  const draw = detailIn(find("live-detail"), "live");
  const boards = data.models.map((model, number) => board(model, number));
  find("sliders").append(...boards.map((one) => one.element));
  let timer = null;
  const ask = (models = state.shown) => {
    clearTimeout(timer);
    timer = setTimeout(() => models.forEach((model) => askModel(model, boards[model].values())), 150);
  };
  boards.forEach((one, number) => one.onchange(() => ask([number])));
  for (const box of [source, reference]) box.addEventListener("input", () => ask());
  find("ask").addEventListener("submit", (event) => event.preventDefault());
  watchers.push(() => {
    boards.forEach((one, number) => { one.element.hidden = !state.shown.includes(number); });
    if (find("live").hidden) return;
    draw(answers.example, "");
    if (state.shown.some((model) => !answers.example.answers[model] && !answers.waiting.has(model))) ask();
  });
}

/** Ask the server; while it answers, keep only the newest question to each model. */
async function askModel(model, parameters) {
  const source = find("live-source").value;
  const reference = find("live-reference").value;
  if (!source.trim()) return;
  if (answers.waiting.has(model)) {
    answers.waiting.set(model, parameters);
    return;
  }
  answers.waiting.set(model, null);
  let again = false;
  try {
    const response = await fetch("answer", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ model, source, reference: reference.trim() ? reference : null, parameters }),
    });
    const answer = await response.json();
    again = response.status === 429;
    find("live-status").textContent = response.ok ? "" : answer.error;
    if (response.ok) {
      answers.example = { ...answers.example, source, references: reference.trim() ? [reference] : [], answers: answers.example.answers.map((old, i) => (i === model ? { ...answer, parameters } : old)) };
      changed();
    }
  } catch {
    find("live-status").textContent = "The server does not answer; is it still running?";
  }
  const next = answers.waiting.get(model) ?? (again ? parameters : null);
  answers.waiting.delete(model);
  if (next) setTimeout(() => askModel(model, next), again ? 1000 : 0);
}

/** Build the sliders of a model's mapping. A step of a slider multiplies θ − low by a factor. */
function board(model, number_) {
  const changes = new Map();
  let told = () => {};
  const { name } = mappingName(model);
  const rows = model.parameters.map((parameter) => {
    const symbol = SYMBOLS[parameter.name] ?? parameter.name;
    const unit = parameter.value > parameter.low ? parameter.value - parameter.low : 0.1;
    const most = parameter.high ?? Infinity;
    const at = (position) => Math.min(parameter.low + unit * 10 ** position, most);
    const slider = make("input", { type: "range", min: -1.5, max: 1.5, step: 0.05, "aria-label": `${symbol} of ${letter(number_)}` });
    const box = make("input", { type: "number", step: "any", "aria-label": `${symbol} of ${letter(number_)}, exactly` });
    const reset = () => {
      changes.delete(parameter.name);
      slider.value = parameter.value > parameter.low ? 0 : -1.5;
      box.value = parameter.value;
      slider.setAttribute("aria-valuetext", number(parameter.value));
    };
    const set = (value) => {
      changes.set(parameter.name, value);
      slider.setAttribute("aria-valuetext", number(value));
      told();
    };
    slider.addEventListener("input", () => { const value = Number(at(Number(slider.value)).toPrecision(3)); box.value = value; set(value); });
    box.addEventListener("input", () => {
      const value = box.valueAsNumber;
      if (!Number.isFinite(value)) return;
      slider.value = Math.log10(Math.max((value - parameter.low) / unit, 1e-9));
      set(value);
    });
    reset();
    return { reset, element: make("div", { class: "slider" }, make("span", { class: "symbol" }, symbol), slider, box, parameter.varies ? make("span", { class: "quiet" }, "mean; the slider sets all layers and heads") : null) };
  });
  const reset = make("button", { type: "button", class: "plain", onclick: () => { rows.forEach((row) => row.reset()); told(); } }, "Reset to trained");
  return {
    element: make("fieldset", { class: "board" }, make("legend", {}, badge(number_), ` ${name}`), rows.map((row) => row.element), reset),
    values: () => Object.fromEntries(changes),
    onchange: (listener) => { told = listener; },
  };
}
