// Three plots of the corpus, drawn by Plotly, which is unpacked when they are first shown.

const COLORS = { light: ["#0067a5", "#c4500a", "#00795c", "#a1478f", "#6b5d00", "#555555"], dark: ["#63b3ed", "#f0a35e", "#4fc9a4", "#e39bd2", "#d8c750", "#b5b5b5"] };
const MARKS = ["circle", "diamond", "square", "triangle-up", "cross", "x"];
let plotly = null;

async function loadPlotly() {
  const bytes = Uint8Array.from(atob(find("plotly").textContent), (character) => character.charCodeAt(0));
  const code = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(make("script", {}, code));
  return window.Plotly;
}

/** Title, axes, description for screen readers, and the traces of a model. */
const PLOTS = [
  {
    title: "Support size against source length",
    x: "source length (pieces)",
    y: "mean support size",
    note: "Each dot is a sentence; lines are means. A mapping that is never 0 lies on the diagonal.",
    traces: (model, style) => {
      const points = pointsOf((example) => [lookOf(example, model).source.length, lookOf(example, model).support]);
      const lengths = [...new Set(points.x)].sort((a, b) => a - b);
      const means = lengths.map((length) => mean(points.y.filter((_, i) => points.x[i] === length)));
      return [dots(points, style), { type: "scatter", mode: "lines", x: lengths, y: means, line: { color: style.color, width: 2 }, name: style.name, hoverinfo: "skip", showlegend: false, legendgroup: style.name }];
    },
  },
  {
    title: "Length of fused runs",
    x: "run length (pieces)",
    y: "share of runs (%)",
    ticks: { tickformat: "d", tick0: 1, dtick: Math.ceil(longestRun() / 12) },
    note: "A run is a stretch of neighbors of exactly equal weight that is not 0; over all layers and heads.",
    traces: (model, style) => {
      const { runs } = data.models[model];
      const counts = runs[state.doing] ?? Object.values(runs)[0] ?? {};
      const total = Object.values(counts).reduce((a, b) => a + b, 0);
      return [{ type: "bar", x: Object.keys(counts).map(Number), y: Object.values(counts).map((n) => (100 * n) / total), name: style.name, marker: { color: style.color }, hovertemplate: "%{y:.2f} % of runs have length %{x}<extra></extra>" }];
    },
  },
  {
    title: "Score against sparsity",
    x: "weights that are exactly 0 (%)",
    y: "score",
    ticks: { range: [-4, 104] },
    note: "Each dot is a sentence; choose one to open it.",
    traces: (model, style) => [dots(pointsOf((example) => [100 * lookOf(example, model).zeros, example.answers[model].score]), style)],
  },
];

function longestRun() {
  const lengths = data.models.flatMap(({ runs }) => Object.values(runs).flatMap((counts) => Object.keys(counts).map(Number)));
  return Math.max(1, ...lengths);
}

function pointsOf(point) {
  const points = { x: [], y: [], index: [] };
  data.examples.forEach((example, i) => {
    const [x, y] = point(example);
    if (y === null) return;
    points.x.push(x);
    points.y.push(y);
    points.index.push(i);
  });
  return points;
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

function dots(points, style) {
  return {
    type: "scatter",
    mode: "markers",
    x: points.x,
    y: points.y,
    customdata: points.index,
    text: points.index.map((i) => String(i + 1)),
    name: style.name,
    legendgroup: style.name,
    cliponaxis: false,
    marker: { color: style.color, symbol: style.mark, size: 6, opacity: 0.5, line: { width: 0 } },
    hovertemplate: "sentence %{text}: %{x}, %{y}<extra></extra>",
  };
}

function makePlots() {
  const place = find("corpus");
  const figures = PLOTS.map((plot) => {
    const drawing = make("div", { class: "drawing", role: "img" });
    place.append(make("figure", {}, make("h2", {}, plot.title), drawing, make("figcaption", { class: "quiet" }, plot.note)));
    return drawing;
  });
  const draw = async () => {
    if (place.hidden) return;
    plotly ??= loadPlotly();
    const drawer = await plotly;
    PLOTS.forEach((plot, i) => drawPlot(drawer, plot, figures[i]));
  };
  watchers.push(draw);
}

function drawPlot(drawer, plot, drawing) {
  const dark = isDark();
  const ink = getComputedStyle(document.body);
  const line = getComputedStyle(find("models")).borderBottomColor;
  const traces = state.shown.flatMap((model) => {
    const name = `${letter(model)} ${data.models[model].name}`;
    return plot.traces(model, { name, color: COLORS[dark ? "dark" : "light"][model % 6], mark: MARKS[model % 6] });
  });
  const axis = (title) => ({ title: { text: title, standoff: 10, font: { size: 13 } }, gridcolor: line, zeroline: false, rangemode: "tozero", automargin: true });
  const layout = {
    font: { family: ink.fontFamily, size: 13, color: ink.color },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    margin: { l: 56, r: 12, t: 8, b: 44 },
    height: 320,
    xaxis: { ...axis(plot.x), ...plot.ticks },
    yaxis: axis(plot.y === "score" ? `${scoreName()} of the sentence` : plot.y),
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    showlegend: state.shown.length > 1,
    hoverlabel: { font: { family: ink.fontFamily } },
  };
  drawer.react(drawing, traces, layout, { displayModeBar: false, responsive: true });
  drawing.setAttribute("aria-label", `${plot.title}: ${told(plot)}`);
  if (drawing.listening) return;
  drawing.listening = true;
  drawing.on("plotly_click", ({ points: [point] }) => {
    if (point.customdata === undefined) return;
    choose(point.customdata);
    openTab("sentences");
  });
}

/** Describe the means of a plot in words. */
function told(plot) {
  return state.shown.map((model) => {
    const [trace] = plot.traces(model, {});
    const average = trace.type === "bar" ? trace.x.reduce((sum, x, i) => sum + (x * trace.y[i]) / 100, 0) : mean(trace.y);
    const what = trace.type === "bar" ? "mean length" : `mean ${plot.y === "score" ? scoreName() : plot.y}`;
    return `model ${letter(model)} (${data.models[model].name}) has a ${what} of ${number(average)}`;
  }).join("; ");
}
