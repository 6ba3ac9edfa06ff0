// Lay out the page and connect its parts.

function openTab(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const open = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    find(tab.getAttribute("aria-controls")).hidden = !open;
  }
  changed();
}

function makeTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => openTab(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const shown = tabs.filter((one) => !one.hidden);
      const next = shown[(shown.indexOf(tab) + step + shown.length) % shown.length];
      openTab(next.getAttribute("aria-controls"));
      next.focus();
    });
  }
}

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

function makeTheme() {
  const button = find("theme");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; button.setAttribute("aria-label", isDark() ? "Change to light colors" : "Change to dark colors"); };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    name();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { name(); changed(); });
  name();
}

/** Build a chip for each model, which shows or hides it. At least one model is always shown. */
function makeModels() {
  const place = find("models");
  place.append(...data.models.map((model, number) => {
    const { name, parameters } = mappingName(model);
    const scores = data.examples.map((example) => example.answers[number].score).filter((score) => score !== null);
    const facts = [parameters, model.family, scores.length ? `mean ${scoreName()} ${mean(scores).toFixed(1)}` : ""].filter(Boolean).join(" · ");
    const chip = make("button", { type: "button", class: "chip", "aria-pressed": "false", title: model.folder }, badge(number), make("b", {}, name), make("span", { class: "quiet" }, facts));
    chip.addEventListener("click", () => {
      const shown = state.shown.includes(number) ? state.shown.filter((one) => one !== number) : [...state.shown, number].sort((a, b) => a - b);
      if (shown.length) state.shown = shown;
      changed();
    });
    watchers.push(() => chip.setAttribute("aria-pressed", String(state.shown.includes(number))));
    return chip;
  }));
}

function start() {
  find("title").textContent = `${data.languages[0]} → ${data.languages[1]}`;
  find("about").textContent = `${data.corpus}, ${data.split}`;
  const linked = Number(location.hash.slice(1));
  if (linked >= 1 && linked <= data.examples.length) state.chosen = linked - 1;
  makeTabs();
  makeTheme();
  makeModels();
  const draw = detailIn(find("detail"), "sentence");
  watchers.push(() => { if (!find("sentences").hidden) draw(data.examples[state.chosen], `Sentence ${state.chosen + 1}`); });
  makeList();
  makePlots();
  makeLive();
  addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  let resized = null;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(changed, 150);
  });
  changed();
}

start();
