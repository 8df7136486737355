// The legend, which is also a filter: categories are toggles, numbers have a range, and without a colour column
// "selected" and "not selected" are toggles. A click hides or shows, a double click or Shift-click shows only this, and
// pointing at an entry highlights it on the map. No state is kept here; every action goes to the map.

import { element, rgb } from "./scatter-elements.js";

const MAX_ENTRIES = 40; // entries shown; more say little as colours
const TOP = 254; // the highest code of a number; 255 = missing

/** what: { colour, palette, hidden, sides, range, colours }; acts: { toggle(code, alone), light(code), side(name), range(lo, hi, done) } */
export function drawLegend(host, what, acts) {
  if (!what.colour) host.replaceChildren(...(what.sides ? [sidesOf(what, acts)] : []));
  else if (what.colour.kind === "number") drawRange(host, what, acts);
  else if (host.firstChild?.namesOf === keyOf(what)) host.firstChild.show(what.hidden);
  else host.replaceChildren(categoriesOf(what, acts));
}

function entry(label, tint, shown, title, act, marks, form = 0, pictures = []) {
  const dot = element("span", { class: `cm-dot form${form}`, style: `background: ${rgb(tint)}` });
  return element("button", { type: "button", "aria-pressed": String(shown), title, onclick: act, ...marks }, dot, ...pictures, label);
}

function sidesOf({ sides, colours }, acts) {
  const names = { kept: "selected", dropped: "not selected" };
  const buttons = ["kept", "dropped"].map((side) => entry(names[side], side === "kept" ? colours.kept : colours.rest,
    !sides.has(side), "Click to hide or show", () => acts.side(side), { "data-side": side }));
  return element("div", { class: "cm-legend", role: "group", "aria-label": "Filter by selection" }, ...buttons);
}

function keyOf({ colour, palette }) {
  return [colour.url, palette[0], ...colour.labels].join("|");
}

/** Built once per colour column: a double click needs the same button twice. */
function categoriesOf({ colour, palette, hidden, pictures }, acts) {
  const title = "Click: hide or show. Double-click or Shift-click: show only this.";
  const shaped = colour.labels.length > 8;
  const buttons = colour.labels.slice(0, MAX_ENTRIES).map((label, code) => {
    const press = (event) => acts.toggle(code, event.shiftKey || event.detail === 2);
    const form = shaped ? (code >> 3) & 3 : 0;
    const button = entry(label, palette[code % palette.length], true, title, press, { "data-code": code }, form,
      pictures(code));
    button.onpointerenter = button.onfocus = () => acts.light(code);
    button.onpointerleave = button.onblur = () => acts.light(-1);
    return button;
  });
  const list = element("div", { class: "cm-legend", role: "group", "aria-label": `Filter by ${colour.name}` }, ...buttons);
  const left = colour.labels.length - MAX_ENTRIES;
  const more = left > 0 ? [element("small", {}, `and ${left.toLocaleString("en")} more`)] : [];
  const all = element("button", { type: "button", onclick: () => acts.toggle(null) }, "Show all");
  const head = element("div", { class: "cm-head" }, element("h4", {}, colour.name), all);
  const hint = element("div", { class: "cm-hint" }, "Click hides, double-click shows only this.");
  const box = element("div", {}, head, hint, list, ...more);
  box.namesOf = keyOf({ colour, palette });
  box.show = (gone) => {
    buttons.forEach((button, code) => button.setAttribute("aria-pressed", String(!gone.has(code))));
    all.style.visibility = gone.size ? "visible" : "hidden"; // keeps its place: nothing moves under a double click
  };
  box.show(hidden);
  return box;
}

/** Built once per colour column, so that a drag is not interrupted while the range moves. */
function drawRange(host, { colour, palette, range }, acts) {
  if (host.firstChild?.rangeOf === colour.url + palette[0]) {
    host.firstChild.show(range);
    return;
  }
  const stops = palette.slice(0, 255).filter((_, s) => s % 50 === 0).map(rgb).join(",");
  const ramp = element("div", { class: "cm-ramp", style: `background: linear-gradient(90deg, ${stops})` });
  const ends = [element("span"), element("span")];
  const inputs = ["from", "to"].map((end, e) => element("input", { type: "range", min: 0, max: TOP, value: e * TOP,
    "data-range": end, "aria-label": `${colour.name}: show ${end}`, title: `Show ${end} here` }));
  const take = (done) => {
    const [low, high] = inputs.map((input) => Number(input.value));
    acts.range(Math.min(low, high), Math.max(low, high), done);
  };
  for (const input of inputs) {
    input.oninput = () => take(false);
    input.onchange = () => take(true);
  }
  const box = element("div", {}, element("h4", {}, colour.name), ramp, element("div", { class: "cm-range" }, ...inputs),
    element("div", { class: "cm-ends" }, ...ends));
  box.rangeOf = colour.url + palette[0];
  box.show = ([low, high]) => {
    ends[0].textContent = low === 0 ? colour.low : value(colour, low);
    ends[1].textContent = high === TOP ? colour.high : value(colour, high);
    if (document.activeElement?.closest?.(".cm-range") === null) [inputs[0].value, inputs[1].value] = [low, high];
  };
  host.replaceChildren(box);
  box.show(range);
}

function value(colour, code) {
  return Number((colour.from + ((colour.to - colour.from) * code) / TOP).toPrecision(3)).toLocaleString("en");
}

/** The codes that a range hides: all outside it, and the missing as soon as it is narrowed. */
export function outside([low, high]) {
  if (low === 0 && high === TOP) return new Set();
  return new Set(Array.from({ length: TOP + 2 }, (_, c) => c).filter((c) => c < low || c > high));
}

export const FULL_RANGE = [0, TOP];
