// The bipartite view: source on the left, target on the right; a line's width is its weight.

const LINE = 25; // pixels between words

function bipartite(look, map, gold) {
  const source = shownPieces(look, "source");
  const target = shownPieces(look, "target");
  const left = Math.ceil(Math.max(...source.map(textWidth))) + 12;
  const right = Math.ceil(Math.max(...target.map(textWidth))) + 12;
  const gap = 200;
  const height = LINE * Math.max(source.length, target.length) + 8;
  const y = (at, count) => height / 2 + (at - (count - 1) / 2) * LINE;
  const lines = [];
  for (const [s, t] of links(look, gold)) {
    lines.push(make("path", { class: "gold", d: curve(left, y(s, source.length), left + gap, y(t, target.length)), "data-source": s, "data-target": t }));
  }
  for (let t = 0; t < map.rows; t += 1) {
    for (let s = 0; s < map.columns; s += 1) {
      const weight = map.values[t * map.columns + s];
      if (!weight) continue;
      const line = make("path", {
        class: "line",
        d: curve(left, y(s, source.length), left + gap, y(t, target.length)),
        "stroke-width": Math.max(0.4, 8 * weight),
        "data-source": s,
        "data-target": t,
      });
      line.addEventListener("pointerenter", (event) =>
        showTip(new DOMRect(event.clientX, event.clientY, 0, 0), describe(look, map, t, s, gold)));
      line.addEventListener("pointerleave", hideTip);
      lines.push(line);
    }
  }
  const drawing = make("svg", { class: "bipartite", width: left + gap + right, height, role: "group", "aria-label": "Source words on the left, target words on the right; a line is as wide as its weight" }, lines);
  const word = (text, side, at, count, end) => make("g", {
    class: `word ${side}${end ? " end" : ""}`, tabindex: 0, role: "img", "aria-label": spoken(look, map, side, at),
    onpointerenter: () => light(drawing, side, at),
    onfocus: () => light(drawing, side, at),
    onpointerleave: () => light(drawing, null),
    onblur: () => light(drawing, null),
  },
  make("rect", { x: side === "source" ? 0 : left + gap, y: y(at, count) - LINE / 2, width: side === "source" ? left : right, height: LINE, rx: 4 }),
  make("text", { x: side === "source" ? left - 8 : left + gap + 8, y: y(at, count), "text-anchor": side === "source" ? "end" : "start" }, text));
  drawing.append(
    ...source.map((text, s) => word(text, "source", s, source.length, ended(look.source, s))),
    ...target.map((text, t) => word(text, "target", t, target.length, ended(look.target, t))),
  );
  return make("div", { class: "scroll" }, drawing);
}

function curve(x1, y1, x2, y2) {
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

/** Turn gold links between words into links between their first pieces. */
function links(look, gold) {
  return gold
    .map(([i, j]) => [look.source_words.indexOf(i), look.target_words.indexOf(j)])
    .filter(([s, t]) => s >= 0 && t >= 0);
}

function light(drawing, side, at) {
  drawing.classList.toggle("lit", side !== null);
  for (const line of drawing.querySelectorAll("path")) {
    line.classList.toggle("on", side !== null && Number(line.dataset[side]) === at);
  }
}

/** Describe what a word attends to, or which words attend to it, largest weights first. */
function spoken(look, map, side, at) {
  const others = shownPieces(look, side === "source" ? "target" : "source");
  const weight = (i) => (side === "source" ? map.values[i * map.columns + at] : map.values[at * map.columns + i]);
  const most = others.map((text, i) => [text, weight(i)]).filter(([, w]) => w > 0).sort((a, b) => b[1] - a[1]).slice(0, 5);
  const verb = side === "source" ? "is looked at by" : "looks at";
  const told = most.map(([text, w]) => `${text} ${number(w)}`).join(", ") || "nothing";
  return `${shownPieces(look, side)[at]} ${verb} ${told}`;
}
