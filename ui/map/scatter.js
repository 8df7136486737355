// The map: a Streamlit v2 component in plain JavaScript. This file holds the state of one map and joins the parts:
// geometry (what is selected, what is near), a renderer (WebGL2, else raster), elements (DOM), and the methods in
// scatter-sliders, -drawing, -pictures, -names, -selection, -walk, -hover-card and -export. Data arrives once over HTTP as binary arrays with
// immutable addresses; Python receives finished gestures only: lasso, click, released slider.

import { Camera, Grid, Membership, boundsOf, largestZoom, viewBounds } from "./scatter-geometry.js";
import { brightness, hexToRgb, paletteOf, repeatPalette } from "./scatter-colours.js";
import { GlRenderer } from "./scatter-webgl.js";
import { RasterRenderer } from "./scatter-raster.js";
import { GroupBars, Histogram, buildFrame, markMode, picturesOf } from "./scatter-elements.js";
import { FULL_RANGE, drawLegend } from "./scatter-legend.js";
import { listen } from "./scatter-gestures.js";
import { sliders } from "./scatter-sliders.js";
import { drawing } from "./scatter-drawing.js";
import { selection } from "./scatter-selection.js";
import { hoverCard } from "./scatter-hover-card.js";
import { exporting } from "./scatter-export.js";
import { Atlas, pictures } from "./scatter-pictures.js";
import { names } from "./scatter-names.js";
import { walking } from "./scatter-walk.js";

const files = new Map(); // address -> Promise<ArrayBuffer>; shared by all maps and pages of this tab
const linked = new Map(); // link name -> Set of maps that look at the same place

function load(address) {
  if (!files.has(address)) {
    const reading = fetch(address).then((answer) => {
      if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
      return answer.arrayBuffer();
    });
    reading.catch(() => files.delete(address)); // a failed read may be tried again
    files.set(address, reading);
  }
  return files.get(address);
}

const TOOLBAR = 36; // pixels

export class ScatterMap {
  constructor(host, component) {
    this.component = component;
    this.mode = "lasso";
    this.hidden = new Set(); // codes of the colour column
    this.sides = new Set(); // "kept", "dropped": hidden while the map is coloured by membership
    this.range = FULL_RANGE;
    this.polygon = null;
    this.picked = null;
    this.walker = null; // the image that a walk by keyboard has reached
    this.corners = null; // of a lasso drawn by keyboard
    this.highlight = -1;
    this.filter = null; // bit mask of the images that the page's filters leave, or null
    this.withNames = this.withPictures = true;
    this.atlas = null;
    this.camera = new Camera();
    this.turn = 0;
    this.dragging = false;
    const actions = { mode: (m) => this.setMode(m), fit: () => this.fit(), clear: () => this.clear(),
      names: () => this.switchNames(), pictures: () => this.switchPictures(),
      png: () => this.savePng(), svg: () => this.saveSvg(), csv: () => this.saveCsv() };
    this.parts = buildFrame(actions, component.data.label || "Map of all images");
    host.append(this.parts.root);
    this.setMode("lasso");
    this.openRenderer(component.data.raster);
    this.stopListening = listen(this);
    this.resizing = new ResizeObserver(() => this.request());
    this.resizing.observe(this.parts.stage);
  }

  openRenderer(raster) {
    const { canvas } = this.parts;
    this.renderer = (raster ? null : GlRenderer.open(canvas)) || new RasterRenderer(canvas);
    this.parts.root.dataset.renderer = this.renderer instanceof GlRenderer ? "webgl2" : "raster";
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.renderer.start();
      this.upload();
    });
  }

  /** Called on the first mount and after every rerun of the page. */
  async update(component) {
    this.component = component;
    const data = component.data;
    this.parts.stage.style.height = this.parts.side.style.maxHeight = `${data.height}px`;
    this.join(data.link);
    const generation = (this.generation = (this.generation || 0) + 1);
    try {
      const arrays = await this.fetchArrays(data);
      if (generation !== this.generation) return;
      this.take(data, arrays);
    } catch (fault) {
      this.parts.note.textContent = `The map could not be loaded: ${fault.message}. Reload the page.`;
    }
  }

  async fetchArrays(data) {
    const variant = this.currentVariant(data);
    const order = data.orders.length ? data.orders[variant].url : null;
    const wanted = [data.points, data.colour?.url, order, data.groups?.url, data.bins?.url];
    const [points, codes, ranks, groups, bins] = await Promise.all(wanted.map((url) => (url ? load(url) : null)));
    return { addresses: wanted, points, codes, ranks, groups, bins };
  }

  currentVariant(data) {
    return this.fromPython(data) ? data.scrub?.variant || 0 : this.scrub?.variant || 0;
  }

  /** Python's slider values count unless they were moved here since (turn) or are being dragged now. */
  fromPython(data) {
    return !this.dragging && (data.scrub?.turn || 0) >= this.turn;
  }

  take(data, arrays) {
    if (this.fromPython(data)) this.scrub = { p: 0, beta: 0, variant: 0, ...data.scrub };
    this.takePoints(data, arrays);
    this.takeFilter(data);
    this.takeColours(data, arrays);
    this.takeOrder(data, arrays);
    this.takeNames(data);
    this.takeAtlas(data);
    this.takeSliders(data);
    if (data.picked !== this.data?.picked) this.picked = data.picked;
    this.data = data;
    this.showNote([data.note, this.farNote()].filter(Boolean).join(" · "));
    this.offerTools(data);
    this.parts.side.hidden = data.compact;
    this.parts.body.classList.toggle("alone", data.compact);
    if (data.drop_lasso && data.drop_lasso !== this.dropped) this.forget(data.drop_lasso);
    this.rescrub();
    this.parts.root.dataset.ready = String((Number(this.parts.root.dataset.ready) || 0) + 1);
  }

  takePoints(data, { addresses, points }) {
    if (this.pointsFrom === addresses[0]) return;
    this.pointsFrom = addresses[0];
    this.n = data.n;
    this.xy = new Float32Array(points, 0, 2 * data.n);
    this.bounds = viewBounds(this.xy);
    this.allBounds = boundsOf(this.xy);
    this.grid = new Grid(this.xy, this.allBounds);
    this.camera.most = largestZoom(this.n);
    this.camera.top = TOOLBAR;
    this.walker = this.corners = null;
    this.state = new Uint8Array(this.n);
    this.codes = new Uint16Array(this.n);
    this.polygon = null;
    this.colourFrom = this.orderFrom = this.filterFrom = undefined;
    this.camera.scale = 0;
    this.renderer.setPoints(this.xy);
    this.renderer.setCodes(this.codes);
    this.renderer.setState(this.state);
  }

  takeColours(data, { addresses, codes }) {
    const same = this.colourFrom === addresses[1];
    this.colourFrom = addresses[1];
    this.painted = this.themeName();
    this.palette = data.colour ? paletteOf(data.colour, this.painted) : [[128, 128, 128]];
    this.renderer.setPalette(repeatPalette(this.palette, data.colour));
    if (!same) {
      this.codes = codes ? new Uint16Array(codes) : new Uint16Array(this.n);
      this.renderer.setCodes(this.codes);
      this.hidden.clear();
      this.sides.clear();
      this.range = FULL_RANGE;
      this.markStates();
    }
    this.showLegend(data);
  }

  showLegend(data = this.data) {
    const { palette, hidden, range } = this;
    const sides = this.hasSelection(data) ? this.sides : null;
    const colours = this.themeColours(data);
    const acts = { toggle: (code, alone) => this.toggle(code, alone), light: (code) => this.highlightOnly(code),
      side: (side) => this.toggleSide(side),
      range: (low, high, done) => this.showRange(low, high, done) };
    const pictures = (code) => picturesOf(data, data.colour, code);
    drawLegend(this.parts.legend, { colour: data.colour, palette, hidden, sides, range, colours, pictures }, acts);
  }

  /** The images that the page's filters leave; the others are hidden. */
  takeFilter(data) {
    const token = data.shown?.token || null;
    if (token === this.filterFrom || (!token && !this.filter)) return;
    this.filterFrom = token;
    this.filter = data.shown ? bitsOf(data.shown.bits) : null;
    this.chosen = this.markStates();
  }

  /** The order of the atlas is read when pictures are wanted for the first time. */
  async takeAtlas(data) {
    const from = data.atlas?.url || null;
    if (from === this.atlasFrom) return;
    this.atlasFrom = from;
    this.atlas = null;
    if (!from) return;
    const order = new Uint32Array(await load(data.atlas.order));
    if (from !== this.atlasFrom) return;
    this.atlas = new Atlas(data.atlas, order, () => this.request());
    this.request();
  }

  farNote() {
    const { far } = this.bounds;
    if (!far) return "";
    return `${far.toLocaleString("en")} ${far === 1 ? "image lies" : "images lie"} far outside: zoom out to see them`;
  }

  /** Say something below the points, which keep clear of it while the whole map is in view. */
  showNote(text) {
    const { note } = this.parts;
    const { camera } = this;
    note.textContent = text;
    camera.bottom = text ? note.offsetHeight : 0;
    if (camera.scale) camera.resize(camera.width, camera.height, this.bounds, this.allBounds);
  }

  switchNames() {
    this.withNames = !this.withNames;
    this.pressTool("names", this.withNames);
  }

  switchPictures() {
    this.withPictures = !this.withPictures;
    this.pressTool("pictures", this.withPictures);
  }

  pressTool(tool, on) {
    this.parts.bar.querySelector(`[data-tool=${tool}]`).setAttribute("aria-pressed", String(on));
    this.request();
  }

  /** Whether this map shows a selection. */
  hasSelection(data = this.data) {
    return Boolean(data.scrub || data.mask || data.kept !== undefined);
  }

  takeOrder(data, { addresses, ranks, groups, bins }) {
    const from = JSON.stringify([addresses.slice(2), data.mask?.token, data.orders[this.scrub.variant]]);
    if (this.orderFrom === from) return;
    this.orderFrom = from;
    const layout = data.orders[this.scrub.variant] || { pinned: 0, banned: 0 };
    let order = ranks ? new Uint32Array(ranks) : Uint32Array.from({ length: this.n }, (_, i) => i);
    if (data.mask) order = selectedFirst(data.mask.bits, this.n);
    this.groupCodes = groups ? new Uint16Array(groups) : null;
    this.binCodes = bins ? new Uint16Array(bins) : null;
    const groupCount = data.groups?.labels.length || 0;
    const binCount = data.bins?.count || 0;
    const [pinned, banned] = data.mask ? [0, 0] : [layout.pinned, layout.banned];
    this.membership = new Membership(order, pinned, banned, this.groupCodes, groupCount, this.binCodes, binCount);
    this.renderer.setOrder(order);
    const pictures = (group) => picturesOf(data, data.groups, group);
    this.bars = groupCount ? new GroupBars(this.parts.groups, data.groups.name, data.groups.labels, pictures) : null;
    this.histogram = binCount ? new Histogram(this.parts.histogram, data.bins.name, data.bins.low, data.bins.high) : null;
    if (!groupCount) this.parts.groups.replaceChildren();
    if (!binCount) this.parts.histogram.replaceChildren();
  }

  /** The colours of selected and other images, for the page's light or dark theme. */
  themeColours(data = this.data) {
    const theme = data.themes[this.themeName()];
    return { kept: hexToRgb(theme.kept), rest: hexToRgb(theme.rest) };
  }

  theme() {
    return this.data.themes[this.themeName()];
  }

  themeName() {
    const background = getComputedStyle(this.parts.root).getPropertyValue("--st-background-color");
    return brightness(background) < 0.5 ? "dark" : "light";
  }

  /** The page went from light to dark or back. */
  repaint() {
    this.takeColours(this.data, { addresses: [null, this.colourFrom] });
    this.writeCounts();
  }

  /** A compact map has no lasso: nothing would be done with it. */
  offerTools(data) {
    const idle = data.compact ? ["lasso", "box", "pan", "names"] : [];
    if (!this.polygon) idle.push("clear");
    if (!data.atlas) idle.push("pictures");
    if (!this.names?.length) idle.push("names");
    for (const button of this.parts.bar.children) button.hidden = idle.includes(button.dataset.tool);
    if (data.compact) this.setMode("pan");
  }

  setMode(mode) {
    this.mode = mode;
    markMode(this.parts.bar, mode);
    this.parts.canvas.style.cursor = mode === "pan" ? "grab" : "crosshair";
  }

  moved() {
    for (const other of linked.get(this.link) || [this]) {
      if (other !== this) Object.assign(other.camera, { x: this.camera.x, y: this.camera.y,
        scale: other.camera.fitted * this.camera.zoom });
      other.request();
    }
  }

  join(link) {
    if (this.link === link) return;
    linked.get(this.link)?.delete(this);
    this.link = link;
    if (link) linked.set(link, (linked.get(link) || new Set()).add(this));
  }

  fit() {
    this.camera.fit(this.bounds, this.allBounds);
    this.moved();
  }

  upload() {
    this.renderer.setPoints(this.xy);
    this.renderer.setCodes(this.codes);
    this.renderer.setState(this.state);
    this.renderer.setOrder(this.membership.order);
    this.renderer.setPalette(repeatPalette(this.palette, this.data.colour));
    this.request();
  }

  close() {
    linked.get(this.link)?.delete(this);
    cancelAnimationFrame(this.frame);
    this.resizing.disconnect();
    this.stopListening();
    this.renderer.close();
    this.parts.root.remove();
  }
}

Object.assign(ScatterMap.prototype, sliders, drawing, pictures, names, selection, walking, hoverCard, exporting);

/** base64 -> bytes. */
function bitsOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** A bit mask (base64, little bit order) as an order: selected images first, each part by position. */
function selectedFirst(bits, n) {
  const bytes = bitsOf(bits);
  const isKept = (i) => (bytes[i >> 3] >> (i & 7)) & 1;
  const order = new Uint32Array(n);
  let at = 0;
  for (const wanted of [1, 0]) for (let i = 0; i < n; i++) if (isKept(i) === wanted) order[at++] = i;
  return order;
}

/** With a `key`, Streamlit calls this again on the same element after each rerun, so zoom and lasso survive. */
export function mount(component) {
  const host = component.parentElement;
  if (!host.coresetMap) host.coresetMap = new ScatterMap(host, component);
  host.coresetMap.update(component);
  return () => {
    host.coresetMap?.close();
    delete host.coresetMap;
  };
}
