// The list of sentences, with search, sorting and arrow keys.

const order = { key: "place", descending: false };

/** Sort keys of the list: name → [label, value of an example]. */
function sortings() {
  const found = { place: ["order of the split", (_, i) => i], length: ["source length", (example) => example.source.split(/\s+/).length] };
  const several = data.models.length > 1;
  data.models.forEach((_, model) => {
    const whose = several ? ` of ${letter(model)}` : "";
    found[`score${model}`] = [`${scoreName()}${whose}`, (example) => example.answers[model].score];
    found[`support${model}`] = [`support size${whose}`, (example) => lookOf(example, model).support];
    found[`zeros${model}`] = [`share of zeros${whose}`, (example) => lookOf(example, model).zeros];
  });
  if (several) {
    found.difference = [`${scoreName()}: A − B`, (example) => example.answers[0].score - example.answers[1].score];
    found.apart = ["difference of answers A, B", (example) => 100 * apart(example.answers[0].text, example.answers[1].text)];
  }
  return found;
}

const lookOf = (example, model) => {
  const { looks } = example.answers[model];
  return looks[state.doing] ?? Object.values(looks)[0];
};

/** Return the share of the words of both texts that are not in the other text. */
function apart(a, b) {
  const count = (text) => text.split(/\s+/).reduce((all, word) => all.set(word, (all.get(word) ?? 0) + 1), new Map());
  const [left, right] = [count(a), count(b)];
  let [shared, total] = [0, 0];
  for (const [word, times] of left) { shared += 2 * Math.min(times, right.get(word) ?? 0); total += times; }
  for (const times of right.values()) total += times;
  return total ? 1 - shared / total : 0;
}

function makeList() {
  const list = find("list");
  const keys = sortings();
  const items = data.examples.map((example, i) => item(example, i));
  const texts = data.examples.map((example) => [example.source, ...example.references, ...example.answers.map((answer) => answer.text)].join("\n").toLowerCase());
  find("sort").append(...Object.entries(keys).map(([value, [title]]) => make("option", { value }, title)));
  let visible = [];

  const arrange = () => {
    const query = find("query").value.trim().toLowerCase();
    const [title, value] = keys[order.key];
    const values = data.examples.map((example, i) => value(example, i) ?? -Infinity);
    const sign = order.descending ? -1 : 1;
    visible = items.map((_, i) => i).filter((i) => texts[i].includes(query)).sort((a, b) => sign * (values[a] - values[b]) || a - b);
    for (const i of visible) items[i].lastChild.lastChild.textContent = /^(support|zeros|difference|apart)/.test(order.key) ? `${title} ${number(values[i])}` : "";
    list.replaceChildren(...visible.map((i) => items[i]));
    find("count").textContent = visible.length === items.length ? `${items.length} sentences` : `${visible.length} of ${items.length} sentences`;
    find("direction").textContent = order.descending ? "↓" : "↑";
    find("direction").setAttribute("aria-label", order.descending ? "largest first; reverse" : "smallest first; reverse");
    mark(false);
  };

  const mark = (scroll) => {
    for (const chosen of list.querySelectorAll('[aria-selected="true"]')) chosen.setAttribute("aria-selected", "false");
    const now = items[state.chosen];
    now.setAttribute("aria-selected", "true");
    if (now.isConnected) list.setAttribute("aria-activedescendant", now.id);
    else list.removeAttribute("aria-activedescendant");
    if (scroll) now.scrollIntoView({ block: "nearest" });
  };

  list.addEventListener("click", (event) => {
    const chosen = event.target.closest("[role=option]");
    if (chosen) choose(Number(chosen.dataset.index));
  });
  list.addEventListener("keydown", (event) => {
    const at = visible.indexOf(state.chosen);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: visible.length - 1 }[event.key];
    if (event.key === "Enter") find("detail").querySelector("input, td[tabindex='0']")?.focus();
    if (to === undefined || !visible.length) return;
    event.preventDefault();
    choose(visible[Math.max(0, Math.min(to, visible.length - 1))]);
  });
  find("query").addEventListener("input", arrange);
  find("query").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); list.focus(); if (visible.length && !visible.includes(state.chosen)) choose(visible[0]); }
  });
  find("sort").addEventListener("change", (event) => {
    order.key = event.target.value;
    order.descending = /^(difference|apart|support|zeros)/.test(order.key);
    arrange();
  });
  find("direction").addEventListener("click", () => { order.descending = !order.descending; arrange(); });
  watchers.push(() => mark(true));
  arrange();
}

function item(example, i) {
  const scores = example.answers.slice(0, 3).map((answer, model) => make("span", { class: "mini" }, data.models.length > 1 ? badge(model) : null, answer.score === null ? "–" : answer.score.toFixed(0)));
  return make("li", { role: "option", id: `example-${i}`, "data-index": i, "aria-selected": "false" },
    make("span", { class: "place" }, String(i + 1)),
    make("span", { class: "text", dir: "auto" }, example.source),
    make("span", { class: "minis" }, scores, make("span", { class: "mini quiet" })));
}

function choose(index) {
  state.chosen = index;
  try { history.replaceState(null, "", `#${index + 1}`); } catch { /* some browsers forbid it for files */ }
  changed();
  find("detail").scrollTop = 0;
}
