// Filters beside a result: one section per column, values with counts, or a histogram with a range. Several columns at
// once filter each other; the counts come from Python. Every text from data is set with textContent, so it stays text.
// Reported back is `chosen`: { turn, columns: { key: { bars: [...], missing: true } } }.

const SHOWN = 8; // values of a column before "Show all"
const SEARCHABLE = 20; // values from which a box to search in them is offered

export default function ({ data, parentElement, setStateValue }) {
  let root = parentElement.querySelector(".facets");
  if (!root) {
    root = document.createElement("div");
    root.className = "facets";
    root.state = { open: new Map(), all: new Set(), searched: new Map(), turn: 0 };
    parentElement.append(root);
  }
  root.state.data = data;
  root.state.report = (columns) => {
    root.state.turn = Math.max(root.state.turn + 1, Date.now());
    setStateValue("chosen", { turn: root.state.turn, columns });
  };
  draw(root);
}

function draw(root) {
  const focused = root.getRootNode().activeElement?.dataset?.id;
  const scrolled = root.scrollTop;
  root.replaceChildren(...root.state.data.facets.map((facet, at) => section(root, facet, at)));
  root.scrollTop = scrolled;
  if (focused) [...root.querySelectorAll("[data-id]")].find((one) => one.dataset.id === focused)?.focus();
}

function section(root, facet, at) {
  const { open } = root.state;
  const active = facet.chosen.length > 0 || facet.missing_chosen;
  const opened = open.has(facet.key) ? open.get(facet.key) : active || at < root.state.data.open;
  const clear = make("button", { type: "button", class: "clear", "data-id": `clear ${facet.key}`,
    "aria-label": `Clear the filter ${facet.title}`, onclick: (event) => {
      event.preventDefault();
      choose(root, facet, [], false);
    } }, "Clear");
  const summary = make("summary", {}, make("span", { class: "title" }, facet.title), ...(active ? [clear] : []));
  const body = facet.kind === "histogram" ? histogram(root, facet) : values(root, facet);
  const details = make("details", { open: opened }, summary, body);
  details.ontoggle = () => open.set(facet.key, details.open);
  return details;
}

function choose(root, facet, bars, missing) {
  facet.chosen = bars;
  facet.missing_chosen = missing;
  const columns = {};
  for (const one of root.state.data.facets) {
    if (one.chosen.length || one.missing_chosen) columns[one.key] = { bars: one.chosen, missing: one.missing_chosen };
  }
  draw(root);
  root.state.report(columns);
}

// -- values with counts

function values(root, facet) {
  const { all, searched } = root.state;
  const words = (searched.get(facet.key) || "").toLowerCase();
  const matching = facet.labels.map((label, bar) => bar).filter((bar) => facet.labels[bar].toLowerCase().includes(words));
  const first = words || all.has(facet.key) ? matching : matching.filter((bar, at) => at < SHOWN || facet.chosen.includes(bar));
  const most = Math.max(1, ...facet.totals);
  const rows = first.map((bar) => value(root, facet, bar, most));
  if (facet.missing_total) rows.push(missing(root, facet, most));
  const list = make("div", { class: "values", role: "group", "aria-label": facet.title }, ...rows);
  const box = make("div", {});
  if (facet.labels.length >= SEARCHABLE) box.append(searchBox(root, facet));
  box.append(list);
  if (matching.length > first.length) {
    box.append(make("button", { type: "button", class: "more", onclick: () => {
      all.add(facet.key);
      draw(root);
    } }, `Show all ${matching.length.toLocaleString("en")}`));
  }
  if (facet.left_out) box.append(make("small", {}, `and ${facet.left_out.toLocaleString("en")} rarer values`));
  if (!rows.length) box.append(make("small", {}, "No values."));
  return box;
}

function searchBox(root, facet) {
  const { searched } = root.state;
  const input = make("input", { type: "search", placeholder: "Search values", "aria-label": `Search values of ${facet.title}`,
    "data-id": `search ${facet.key}` });
  input.value = searched.get(facet.key) || "";
  input.oninput = () => {
    searched.set(facet.key, input.value);
    draw(root);
  };
  return input;
}

function value(root, facet, bar, most) {
  const on = facet.chosen.includes(bar);
  const flip = () => choose(root, facet, on ? facet.chosen.filter((b) => b !== bar) : [...facet.chosen, bar], facet.missing_chosen);
  const shown = (facet.pictures?.[bar] || []).map((i) => make("img", { alt: "", src: facet.thumb.replace("{i}", i) }));
  return row(`${facet.key} ${bar}`, facet.labels[bar], facet.counts[bar], facet.totals[bar], most, on, flip, shown);
}

function missing(root, facet, most) {
  const flip = () => choose(root, facet, facet.chosen, !facet.missing_chosen);
  return row(`${facet.key} missing`, "no value", facet.missing, facet.missing_total, most, facet.missing_chosen, flip);
}

function row(id, label, count, total, most, on, flip, pictures = []) {
  const counted = `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"}`;
  const box = make("input", { type: "checkbox", "data-id": id, "aria-label": `${label}, ${counted}`, onchange: flip });
  box.checked = on;
  const bar = make("span", { class: "bar", "aria-hidden": "true" });
  bar.append(make("span", { class: "total", style: `width: ${(100 * total) / most}%` }),
    make("span", { class: "now", style: `width: ${(100 * count) / most}%` }));
  const name = make("span", { class: "name", title: label }, ...pictures, label);
  const number = make("span", { class: "number", title: `${count.toLocaleString("en")} of ${total.toLocaleString("en")}` },
    count.toLocaleString("en"));
  return make("label", { class: count ? "row" : "row none" }, box, name, number, bar);
}

// -- a histogram with a range

function histogram(root, facet) {
  const last = facet.labels.length - 1;
  const range = facet.chosen.length ? [Math.min(...facet.chosen), Math.max(...facet.chosen)] : [0, last];
  const most = Math.max(1, ...facet.totals);
  const tall = (count) => `${100 * Math.sqrt(count / most)}%`; // square root: small bins stay visible
  const bars = facet.labels.map((label, bar) => {
    const inside = !facet.chosen.length || (bar >= range[0] && bar <= range[1]);
    return make("span", { class: inside ? "bin" : "bin out", title: `${label}: ${facet.counts[bar].toLocaleString("en")}` },
      make("span", { class: "total", style: `height: ${tall(facet.totals[bar])}` }),
      make("span", { class: "now", style: `height: ${tall(facet.counts[bar])}` }));
  });
  const plot = make("div", { class: "plot" }, ...bars);
  const take = (a, b) => {
    const [low, high] = [Math.max(0, Math.min(a, b)), Math.min(last, Math.max(a, b))];
    const whole = low === 0 && high === last;
    choose(root, facet, whole ? [] : Array.from({ length: high - low + 1 }, (_, k) => low + k), facet.missing_chosen);
  };
  dragRange(plot, bars, take);
  const ends = make("div", { class: "ends" }, endInput(facet, "from", range[0], (v) => take(v, range[1])),
    endInput(facet, "to", range[1], (v) => take(range[0], v)));
  const box = make("div", {}, plot, ends);
  if (facet.missing_total) box.append(make("div", { class: "values" }, missing(root, facet, most)));
  return box;
}

function dragRange(plot, bars, take) {
  let start = null;
  const at = (event) => {
    const frame = plot.getBoundingClientRect();
    return Math.max(0, Math.min(bars.length - 1, Math.floor(((event.clientX - frame.left) / frame.width) * bars.length)));
  };
  const show = (a, b) => bars.forEach((bar, k) => bar.classList.toggle("out", k < Math.min(a, b) || k > Math.max(a, b)));
  plot.onpointerdown = (event) => {
    start = at(event);
    plot.setPointerCapture(event.pointerId);
    show(start, start);
  };
  plot.onpointermove = (event) => {
    if (start !== null) show(start, at(event));
  };
  plot.onpointerup = (event) => {
    const from = start;
    start = null;
    if (from !== null) take(from, at(event));
  };
}

/** One end of the range, for the keyboard; its value is a bin, and it says the bin's edge. */
function endInput(facet, end, bar, take) {
  const edge = end === "from" ? facet.edges[bar] : facet.edges[bar + 1];
  const input = make("input", { type: "range", min: 0, max: facet.labels.length - 1, value: bar, "data-id": `${facet.key} ${end}`,
    "aria-label": `${facet.title}: show ${end}`, "aria-valuetext": edge, onchange: () => take(Number(input.value)) });
  return make("label", {}, make("span", {}, edge), input);
}
