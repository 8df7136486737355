// The elements around the map: toolbar, hover card, legend, sliders, bars, histogram. Plain DOM, styled through
// Streamlit's --st- variables so that light and dark follow the page. No state is kept here but what is on screen.

const STYLE = `
.cm { display: grid; grid-template-columns: minmax(0, 1fr); gap: 10px; color: var(--st-text-color);
  font: 13px var(--st-font, sans-serif); container-type: inline-size; }
.cm * { box-sizing: border-box; }
.cm-body { display: grid; grid-template-columns: minmax(0, 1fr) 264px; gap: 12px; }
.cm-body.alone { grid-template-columns: minmax(0, 1fr); }
@container (max-width: 760px) { .cm-body { grid-template-columns: minmax(0, 1fr) 204px; } }
@container (max-width: 620px) { .cm-body { grid-template-columns: minmax(0, 1fr); } .cm-side { max-height: 300px; } }
.cm-stage { position: relative; overflow: hidden; border-radius: 8px; border: 1px solid var(--st-border-color);
  background: var(--st-secondary-background-color); }
.cm-stage canvas, .cm-stage svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.cm-stage canvas { touch-action: none; outline: none; }
.cm-stage canvas:focus-visible { box-shadow: inset 0 0 0 2px var(--st-primary-color); }
.cm-stage svg { pointer-events: none; }
.cm-lasso { fill: var(--st-primary-color); fill-opacity: .1; stroke: var(--st-primary-color); stroke-width: 1.5; }
.cm-ring { fill: none; stroke: var(--cm-picked); stroke-width: 2.5; }
.cm-bar { position: absolute; top: 8px; right: 8px; display: flex; gap: 4px; flex-wrap: wrap; justify-content: end; }
.cm-save { position: relative; }
.cm-save summary { list-style: none; }
.cm-menu { position: absolute; right: 0; top: calc(100% + 4px); display: grid; gap: 4px; z-index: 2; }
.cm button, .cm-save summary { font: inherit; font-size: 12px; padding: 3px 9px; border-radius: 6px; cursor: pointer;
  border: 1px solid var(--st-border-color); background: var(--st-background-color); color: var(--st-text-color); }
.cm button[hidden] { display: none; }
.cm button[aria-pressed=true] { border-color: var(--st-primary-color); color: var(--st-primary-color); font-weight: 600; }
.cm-note { position: absolute; left: 8px; bottom: 6px; padding: 2px 6px; border-radius: 4px; font-size: 12px;
  background: color-mix(in srgb, var(--st-background-color) 80%, transparent); pointer-events: none; }
.cm-note:empty { display: none; }
.cm-card { position: absolute; display: none; z-index: 3; pointer-events: none; padding: 6px; border-radius: 8px;
  max-width: 220px; background: var(--st-background-color); border: 1px solid var(--st-border-color);
  box-shadow: 0 4px 14px rgba(0, 0, 0, .25); font-size: 12px; line-height: 1.45; overflow-wrap: anywhere; }
.cm-card img { display: block; width: 112px; height: 112px; object-fit: contain; margin-bottom: 4px; }
.cm-side { display: flex; flex-direction: column; gap: 10px; overflow: auto; }
.cm-side[hidden] { display: none; }
.cm-side h4 { margin: 0 0 4px; font-size: 12px; font-weight: 600; opacity: .75; }
.cm-legend { display: flex; flex-wrap: wrap; gap: 2px 4px; }
.cm-legend button { display: inline-flex; align-items: center; gap: 5px; border-color: transparent;
  background: none; padding: 1px 5px; }
.cm-legend button[aria-pressed=false] { opacity: .4; text-decoration: line-through; color: inherit; font-weight: 400; }
.cm-legend button[aria-pressed=true] { color: inherit; font-weight: 400; border-color: transparent; }
.cm-dot { width: 10px; height: 10px; border-radius: 50%; flex: none; }
.cm-ramp { height: 10px; border-radius: 3px; }
.cm-range { position: relative; height: 16px; }
.cm-range input { position: absolute; inset: 0; width: 100%; margin: 0; background: none; appearance: none;
  pointer-events: none; height: 16px; }
.cm-range input::-webkit-slider-thumb { appearance: none; pointer-events: auto; width: 9px; height: 16px; cursor: ew-resize;
  border: 1px solid var(--st-text-color); border-radius: 3px; background: var(--st-background-color); }
.cm-range input::-moz-range-thumb { pointer-events: auto; width: 8px; height: 14px; cursor: ew-resize;
  border: 1px solid var(--st-text-color); border-radius: 3px; background: var(--st-background-color); }
.cm-ends { display: flex; justify-content: space-between; font-size: 12px; opacity: .8; }
.cm-rows { display: grid; grid-template-columns: minmax(30px, max-content) 1fr max-content; gap: 3px 6px;
  align-items: center; font-size: 12px; font-variant-numeric: tabular-nums; }
.cm-rows > span:first-child { overflow: hidden; text-overflow: ellipsis; }
.cm-track { height: 9px; border-radius: 2px; overflow: hidden; background: color-mix(in srgb, currentColor 14%, transparent); }
.cm-fill { height: 100%; transform-origin: left; }
.cm-knobs { display: grid; gap: 6px 18px; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); }
.cm-knob { display: grid; grid-template-columns: max-content 1fr 64px; gap: 8px; align-items: center; }
.cm-knob input { width: 100%; accent-color: var(--st-primary-color); }
.cm-knob output { text-align: right; font-variant-numeric: tabular-nums; }
.cm-count { font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.cm-count small { font-size: 12px; font-weight: 400; opacity: .8; }
`;

/** element("div", {class: "x", onclick: f}, child, ...) */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function rgb(colour) {
  return `rgb(${colour.join(",")})`;
}

/** The skeleton of one map. Returns the parts that the map writes to. */
export function buildFrame(actions, label) {
  const parts = {};
  const buttons = ["lasso", "box", "pan"].map((mode) => modeButton(mode, actions));
  buttons.push(plainButton("Fit", "Show every point (0)", actions.fit, "fit"));
  buttons.push(plainButton("Clear", "Drop the lasso (Escape)", actions.clear, "clear"));
  buttons.push(saveMenu(actions));
  parts.canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": label });
  parts.overlay = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  parts.lasso = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
  parts.lasso.setAttribute("class", "cm-lasso");
  parts.ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  parts.ring.setAttribute("class", "cm-ring");
  parts.ring.setAttribute("r", "9");
  parts.overlay.append(parts.lasso, parts.ring);
  parts.picture = element("img", { alt: "" });
  parts.facts = element("div");
  parts.card = element("div", { class: "cm-card" }, parts.picture, parts.facts);
  parts.note = element("div", { class: "cm-note", role: "status" });
  parts.bar = element("div", { class: "cm-bar", role: "toolbar", "aria-label": "Map tools" }, ...buttons);
  parts.stage = element("div", { class: "cm-stage" }, parts.canvas, parts.overlay, parts.bar, parts.note, parts.card);
  parts.count = element("div", { class: "cm-count", role: "status", "aria-live": "polite" });
  parts.legend = element("div");
  parts.groups = element("div");
  parts.histogram = element("div");
  parts.side = element("div", { class: "cm-side" }, parts.count, parts.legend, parts.histogram, parts.groups);
  parts.body = element("div", { class: "cm-body" }, parts.stage, parts.side);
  parts.knobs = element("div", { class: "cm-knobs" });
  parts.root = element("div", { class: "cm" }, element("style", {}, STYLE), parts.knobs, parts.body);
  return parts;
}

function modeButton(mode, actions) {
  const title = { lasso: "Draw around points (L)", box: "Drag a box (B)", pan: "Drag the map (P)" }[mode];
  const name = mode[0].toUpperCase() + mode.slice(1);
  return element("button", { type: "button", title, "data-tool": mode, onclick: () => actions.mode(mode) }, name);
}

function plainButton(text, title, act, tool) {
  return element("button", { type: "button", title, "data-tool": tool, onclick: act }, text);
}

/** One button that opens three. */
function saveMenu(actions) {
  const shut = (act) => () => {
    menu.open = false;
    act();
  };
  const list = element("div", { class: "cm-menu" },
    plainButton("PNG", "The map as it is on the screen", shut(actions.png), "png"),
    plainButton("SVG", "The same with its legend, for print", shut(actions.svg), "svg"),
    plainButton("CSV", "Id, place and colour of every image", shut(actions.csv), "csv"));
  const menu = element("details", { class: "cm-save", "data-tool": "save" },
    element("summary", { title: "Keep this map: PNG, SVG or its data as CSV" }, "Save"), list);
  return menu;
}

export function markMode(bar, mode) {
  for (const button of bar.children) {
    if (["lasso", "box", "pan"].includes(button.dataset.tool)) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === mode));
    }
  }
}

/** A labelled range input. `moved` fires while the finger is down, `released` when it is up. */
export function knob({ name, label, help, min, max, step, value, show, moved, released }) {
  const readout = element("output", {}, show(value));
  const input = element("input", { type: "range", min, max, step, title: help, "data-knob": name, "aria-label": label });
  input.value = value;
  input.oninput = () => {
    readout.textContent = show(Number(input.value));
    moved(Number(input.value));
  };
  input.onchange = () => released();
  const row = element("label", { class: "cm-knob", title: help }, element("span", {}, label), input, readout);
  row.set = (next) => {
    input.value = next;
    readout.textContent = show(next);
  };
  row.limit = (top) => {
    input.max = top;
  };
  return row;
}

/** Kept share per group. Rows are built once and only their widths and numbers change while a slider moves. */
export class GroupBars {
  constructor(host, name, labels) {
    this.rows = labels.slice(0, 24).map((label) => ({
      label: element("span", { title: label }, label),
      fill: element("div", { class: "cm-fill" }),
      number: element("span"),
    }));
    const cells = this.rows.flatMap(({ label, fill, number }) => [
      label, element("div", { class: "cm-track" }, fill), number,
    ]);
    const more = labels.length > 24 ? [element("small", {}, `and ${labels.length - 24} more groups`)] : [];
    host.replaceChildren(element("h4", {}, `Kept per ${name}`), element("div", { class: "cm-rows" }, ...cells), ...more);
  }

  draw(kept, total, colour) {
    this.rows.forEach(({ fill, number }, g) => {
      fill.style.background = colour;
      fill.style.width = `${total[g] ? (100 * kept[g]) / total[g] : 0}%`;
      number.textContent = `${kept[g]} / ${total[g]}`;
    });
  }
}

/** Histogram of a score: all images in grey, the kept ones in front; the cuts are where colour begins and ends. */
export class Histogram {
  constructor(host, name, low, high, height = 84) {
    this.canvas = element("canvas", { width: 528, height: 2 * height, style: `width: 100%; height: ${height}px` });
    this.canvas.setAttribute("aria-label", `Histogram of ${name}, kept images in front`);
    const ends = element("div", { class: "cm-ends" }, element("span", {}, low), element("span", {}, high));
    host.replaceChildren(element("h4", {}, name), this.canvas, ends);
  }

  draw(kept, total, colour, rest) {
    const { canvas } = this;
    const paint = canvas.getContext("2d");
    const most = Math.max(1, ...total);
    const width = canvas.width / total.length;
    const tall = (count) => Math.sqrt(count / most) * canvas.height; // square root: small bins stay visible
    paint.clearRect(0, 0, canvas.width, canvas.height);
    for (let b = 0; b < total.length; b++) {
      paint.fillStyle = rest;
      paint.fillRect(b * width, canvas.height - tall(total[b]), width - 1, tall(total[b]));
      paint.fillStyle = colour;
      paint.fillRect(b * width, canvas.height - tall(kept[b]), width - 1, tall(kept[b]));
    }
  }
}
