// DOM elements around the map: toolbar, hover card, sliders, bars, histogram. No state beyond what is on screen.

import { STYLE } from "./scatter-style.js";

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

/** The elements of one map. Returns the parts that the map writes to. */
export function buildFrame(actions, label) {
  const parts = {};
  const buttons = ["lasso", "box", "pan"].map((mode) => modeButton(mode, actions));
  buttons.push(plainButton("Fit", "Show the whole map (0)", actions.fit, "fit"));
  buttons.push(toggleButton("Names", "Show or hide the names of groups (N)", actions.names, "names"));
  buttons.push(toggleButton("Pictures", "Show pictures instead of points when zoomed in (I)", actions.pictures, "pictures"));
  parts.clear = plainButton("Clear", "Clear the lasso (Escape)", actions.clear, "clear");
  buttons.push(parts.clear);
  buttons.push(saveMenu(actions));
  parts.canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": label, "aria-description": KEYS });
  parts.pictures = element("canvas", { class: "cm-pictures", "aria-hidden": "true" });
  parts.names = element("div", { class: "cm-names", "aria-hidden": "true" });
  parts.overlay = shape("svg", { "aria-hidden": "true" });
  parts.lasso = shape("polygon", { class: "cm-lasso" });
  parts.lines = shape("path", { class: "cm-near" });
  parts.ring = shape("circle", { class: "cm-ring", r: 9 });
  parts.overlay.append(parts.lasso, parts.lines, parts.ring);
  parts.cross = element("div", { class: "cm-cross", "aria-hidden": "true" });
  parts.said = element("div", { class: "cm-said", role: "status", "aria-live": "polite" });
  parts.picture = element("img", { alt: "" });
  parts.facts = element("div");
  parts.card = element("div", { class: "cm-card" }, parts.picture, parts.facts);
  parts.note = element("div", { class: "cm-note", role: "status" });
  parts.bar = element("div", { class: "cm-bar", role: "toolbar", "aria-label": "Map tools" }, ...buttons);
  parts.stage = element("div", { class: "cm-stage" }, parts.canvas, parts.pictures, parts.names, parts.overlay,
    parts.cross, parts.bar, parts.note, parts.card, parts.said);
  parts.count = element("div", { class: "cm-count", role: "status", "aria-live": "polite" });
  parts.legend = element("div");
  parts.groups = element("div");
  parts.histogram = element("div");
  parts.side = element("div", { class: "cm-side" }, parts.count, parts.legend, parts.histogram, parts.groups);
  parts.body = element("div", { class: "cm-body" }, parts.stage, parts.side);
  parts.sliders = element("div", { class: "cm-sliders" });
  parts.root = element("div", { class: "cm" }, element("style", {}, STYLE), parts.sliders, parts.body);
  return parts;
}

const KEYS = "Arrows: move the view, or step from image to image after W. Plus, minus: zoom. 0: fit. W: walk between " +
  "images. Space: put a corner of a lasso under the crosshair. Enter: close the lasso, or open the image. " +
  "L, B, P: lasso, box, pan. N: names. I: pictures. Escape: clear.";

function shape(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function toggleButton(text, title, act, tool) {
  const button = plainButton(text, title, act, tool);
  button.setAttribute("aria-pressed", "true");
  return button;
}

function modeButton(mode, actions) {
  const title = { lasso: "Draw a lasso (L)", box: "Draw a box (B)", pan: "Move the map (P)" }[mode];
  const name = mode[0].toUpperCase() + mode.slice(1);
  return element("button", { type: "button", title, "data-tool": mode, onclick: () => actions.mode(mode) }, name);
}

function plainButton(text, title, act, tool) {
  return element("button", { type: "button", title, "data-tool": tool, onclick: act }, text);
}

/** A button that opens a menu of three. */
function saveMenu(actions) {
  const shut = (act) => () => {
    menu.open = false;
    act();
  };
  const list = element("div", { class: "cm-menu" },
    plainButton("PNG", "The map as shown", shut(actions.png), "png"),
    plainButton("SVG", "The map and its legend as vectors", shut(actions.svg), "svg"),
    plainButton("CSV", "Id, coordinates and value of every image", shut(actions.csv), "csv"));
  const menu = element("details", { class: "cm-save", "data-tool": "save" },
    element("summary", { title: "Save the map as PNG, SVG or CSV" }, "Save"), list);
  return menu;
}

export function markMode(bar, mode) {
  for (const button of bar.children) {
    if (["lasso", "box", "pan"].includes(button.dataset.tool)) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === mode));
    }
  }
}

/** A labelled range input. `moved` fires while it is dragged, `released` afterwards. */
export function slider({ name, label, help, min, max, step, value, show, moved, released, reversed = false }) {
  const readout = element("output", {}, show(value));
  const input = element("input", { type: "range", min, max, step, title: help, "data-slider": name, "aria-label": label });
  if (reversed) input.className = "reversed"; // the larger value on the left
  const tell = (v) => {
    input.style.setProperty("--left", `${(100 * (input.max - v)) / (input.max - input.min || 1)}%`);
    readout.textContent = show(v);
    input.setAttribute("aria-valuetext", show(v));
  };
  tell(value);
  input.value = value;
  input.oninput = () => {
    tell(Number(input.value));
    moved(Number(input.value));
  };
  input.onchange = () => released();
  const row = element("label", { class: "cm-slider", title: help }, element("span", {}, label), input, readout);
  row.set = (next) => {
    input.value = next;
    tell(next);
  };
  row.limit = (top) => {
    input.max = top;
  };
  return row;
}

/** Thumbnails that stand for a group of `source` (groups or colour column) whose name says little. */
export function picturesOf(data, source, group) {
  if (!data.thumb) return [];
  return (source?.pictures?.[group] || []).slice(0, 1).map((i) => element("img", { alt: "", src: data.thumb.replace("{i}", i) }));
}

/** Selected images per group. Rows are built once; only widths and numbers change while a slider moves. */
export class GroupBars {
  constructor(host, name, labels, picture = () => []) {
    this.rows = labels.slice(0, 24).map((label, group) => ({
      label: element("span", { title: label }, ...picture(group), label),
      fill: element("div", { class: "cm-fill" }),
      number: element("span"),
    }));
    const cells = this.rows.flatMap(({ label, fill, number }) => [
      label, element("div", { class: "cm-track" }, fill), number,
    ]);
    const more = labels.length > 24 ? [element("small", {}, `and ${labels.length - 24} more`)] : [];
    this.name = name;
    this.title = element("h4");
    host.replaceChildren(this.title, element("div", { class: "cm-rows" }, ...cells), ...more);
  }

  /** kept, total: images per group; without a selection the bars compare the groups' sizes. */
  draw(kept, total, colour, hasSelection) {
    const most = Math.max(1, ...total);
    this.title.textContent = `${hasSelection ? "Selected" : "Images"} per ${this.name}`;
    this.rows.forEach(({ fill, number }, g) => {
      const share = hasSelection ? kept[g] / (total[g] || 1) : total[g] / most;
      fill.style.background = colour;
      fill.style.width = `${100 * share}%`;
      number.classList.toggle("cm-lost", hasSelection && total[g] > 0 && !kept[g]);
      number.textContent = hasSelection ? `${kept[g].toLocaleString("en")} of ${total[g].toLocaleString("en")}` : total[g].toLocaleString("en");
    });
  }
}

/** Histogram of a score: all images in grey, the selected ones in front. */
export class Histogram {
  constructor(host, name, low, high, height = 84) {
    this.canvas = element("canvas", { width: 528, height: 2 * height, style: `width: 100%; height: ${height}px` });
    this.canvas.setAttribute("aria-label", `Histogram of ${name}, selected images in front`);
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
