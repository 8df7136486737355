// The big map: a Streamlit v2 component in plain JavaScript. This file holds the state of one map and joins the parts:
// geometry (who is kept, what is near), a renderer (WebGL2, else raster), the panel (DOM). Data arrives once over HTTP
// as binary arrays with immutable addresses; Python hears only of finished gestures: lasso, click, released slider.

import { Camera, Grid, Membership, between, boundsOf, clamp, hardCut, insidePolygon, keptCount } from "./scatter-geometry.js";
import { brightness, hexToRgb, paletteOf, spread } from "./scatter-colours.js";
import { GlRenderer } from "./scatter-gl.js";
import { RasterRenderer } from "./scatter-raster.js";
import { GroupBars, Histogram, buildFrame, element, knob, markMode, rgb } from "./scatter-panel.js";
import { WHOLE, drawLegend, outside } from "./scatter-legend.js";
import { listen } from "./scatter-gestures.js";

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

const SELECTED = 1;
const HIDDEN = 2;

export class ScatterMap {
  constructor(host, component) {
    this.component = component;
    this.mode = "lasso";
    this.hidden = new Set(); // codes of the colour column
    this.sides = new Set(); // "kept", "dropped": hidden while the map is coloured by membership
    this.range = WHOLE;
    this.polygon = null;
    this.picked = null;
    this.camera = new Camera();
    this.turn = 0;
    this.dragging = false;
    const actions = { mode: (m) => this.setMode(m), fit: () => this.fit(), clear: () => this.clear(), save: () => this.save() };
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
      this.parts.note.textContent = `The map could not be read: ${fault.message}. Reload the page.`;
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

  /** Python's slider values count unless the finger has moved them since (turn) or is moving them now. */
  fromPython(data) {
    return !this.dragging && (data.scrub?.turn || 0) >= this.turn;
  }

  take(data, arrays) {
    if (this.fromPython(data)) this.scrub = { p: 0, beta: 0, variant: 0, ...data.scrub };
    this.takePoints(data, arrays);
    this.takeColours(data, arrays);
    this.takeOrder(data, arrays);
    this.takeKnobs(data);
    if (data.picked !== this.data?.picked) this.picked = data.picked;
    this.data = data;
    this.parts.note.textContent = data.note || "";
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
    this.bounds = boundsOf(this.xy);
    this.grid = new Grid(this.xy, this.bounds);
    this.state = new Uint8Array(this.n);
    this.codes = new Uint16Array(this.n);
    this.polygon = null;
    this.colourFrom = this.orderFrom = undefined;
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
    this.renderer.setPalette(spread(this.palette, data.colour));
    if (!same) {
      this.codes = codes ? new Uint16Array(codes) : new Uint16Array(this.n);
      this.renderer.setCodes(this.codes);
      this.hidden.clear();
      this.sides.clear();
      this.range = WHOLE;
      this.markStates();
    }
    this.showLegend(data);
  }

  showLegend(data = this.data) {
    const { palette, hidden, range } = this;
    const sides = this.chooses(data) ? this.sides : null;
    const colours = this.themeColours(data);
    const acts = { toggle: (code, alone) => this.toggle(code, alone), side: (side) => this.toggleSide(side),
      range: (low, high, done) => this.showRange(low, high, done) };
    drawLegend(this.parts.legend, { colour: data.colour, palette, hidden, sides, range, colours }, acts);
  }

  /** Whether this map tells kept from dropped. */
  chooses(data = this.data) {
    return Boolean(data.scrub || data.mask || data.kept !== undefined);
  }

  takeOrder(data, { addresses, ranks, groups, bins }) {
    const from = JSON.stringify([addresses.slice(2), data.mask?.token, data.orders[this.scrub.variant]]);
    if (this.orderFrom === from) return;
    this.orderFrom = from;
    const layout = data.orders[this.scrub.variant] || { pinned: 0, banned: 0 };
    let order = ranks ? new Uint32Array(ranks) : Uint32Array.from({ length: this.n }, (_, i) => i);
    if (data.mask) order = keptFirst(data.mask.bits, this.n);
    this.groupCodes = groups ? new Uint16Array(groups) : null;
    this.binCodes = bins ? new Uint16Array(bins) : null;
    const groupCount = data.groups?.labels.length || 0;
    const binCount = data.bins?.count || 0;
    const [pinned, banned] = data.mask ? [0, 0] : [layout.pinned, layout.banned];
    this.membership = new Membership(order, pinned, banned, this.groupCodes, groupCount, this.binCodes, binCount);
    this.renderer.setOrder(order);
    this.bars = groupCount ? new GroupBars(this.parts.groups, data.groups.name, data.groups.labels) : null;
    this.histogram = binCount ? new Histogram(this.parts.histogram, data.bins.name, data.bins.low, data.bins.high) : null;
    if (!groupCount) this.parts.groups.replaceChildren();
    if (!binCount) this.parts.histogram.replaceChildren();
  }

  takeKnobs(data) {
    const shape = JSON.stringify([data.scrub?.kind, data.orders.map((o) => o.label), data.variant_name, data.scrub?.max_p]);
    if (shape !== this.knobsFrom) {
      this.knobsFrom = shape;
      this.buildKnobs(data);
    }
    if (!data.scrub || this.dragging) return;
    this.knobs.p.set(Math.round(this.scrub.p * 1000) / 1000);
    this.knobs.beta?.set(this.scrub.beta);
    this.knobs.variant?.set(this.scrub.variant);
  }

  buildKnobs(data) {
    const moved = (name) => (value) => this.move(name, value);
    const released = () => this.report();
    const percent = (x) => `${(100 * x).toFixed(1)} %`;
    this.knobs = {};
    if (data.scrub) {
      const shared = { min: 0, step: 0.001, show: percent, released };
      this.knobs.p = knob({ ...shared, name: "p", label: "Pruning rate", help: "share of the images removed",
        max: data.scrub.max_p, value: this.scrub.p, moved: moved("p") });
      if (data.scrub.kind === "window") {
        this.knobs.beta = knob({ ...shared, name: "beta", label: "Hard cut-off β", max: 1, value: this.scrub.beta,
          help: "share of the whole set dropped first as hardest", moved: moved("beta") });
      }
      if (data.orders.length > 1) {
        this.knobs.variant = knob({ name: "variant", label: data.variant_name, help: data.variant_help || "", min: 0,
          max: data.orders.length - 1, step: 1, value: this.scrub.variant, show: (v) => data.orders[v].label,
          moved: moved("variant"), released });
      }
    }
    this.parts.knobs.replaceChildren(...Object.values(this.knobs));
  }

  /** The finger moves a slider: everything on screen follows, Python hears nothing yet. */
  async move(name, value) {
    this.dragging = true;
    const began = performance.now();
    this.scrub = { ...this.scrub, [name]: value };
    if (name === "beta") this.scrub.guess = null; // from now on it stays where the finger left it
    else if (name === "p" && this.scrub.guess) this.scrub.beta = between(this.scrub.guess, value);
    if (name === "variant") {
      const arrays = await this.fetchArrays({ ...this.data, mask: null });
      this.takeOrder({ ...this.data, mask: null }, arrays);
    } else if (this.data.mask) {
      // The exact choice of a method without a ranking holds only for the values it was made with.
      this.data = { ...this.data, mask: null };
      this.takeOrder(this.data, await this.fetchArrays(this.data));
    }
    this.knobs.beta?.set(this.beta());
    this.rescrub();
    this.parts.root.dataset.scrubMs = (performance.now() - began).toFixed(2);
  }

  report() {
    this.dragging = false;
    this.turn = Math.max(this.turn + 1, Date.now()); // unique, also after the map is drawn anew
    const { p, variant } = this.scrub;
    this.scrub.beta = this.beta();
    if (this.polygon && this.sides.size) this.markStates();
    const beta = this.scrub.guess || this.data.scrub.kind !== "window" ? null : this.scrub.beta;
    this.component.setStateValue("scrub", { p, beta, variant, turn: this.turn });
  }

  /** The wanted beta, or the most that leaves enough to keep: beta N + k <= N. */
  beta() {
    const most = Math.floor((1000 * (this.n - keptCount(this.n, this.scrub.p))) / this.n) / 1000;
    return Math.min(this.scrub.beta, most);
  }

  /** Membership from the sliders' values: the same arithmetic as selection.arithmetic, on ranks. */
  rescrub() {
    const { membership, data } = this;
    const { scrub } = data;
    if (data.mask) {
      membership.moveTo(0, data.mask.kept);
    } else if (scrub) {
      const { pinned, free } = membership;
      const kept = clamp(keptCount(this.n, this.scrub.p) - pinned, 0, free);
      const cut = scrub.kind === "window" ? hardCut(this.n, this.beta()) : 0;
      const pins = data.orders[this.scrub.variant]?.pin_ranks || [];
      const lo = Math.min(cut - pins.filter((rank) => rank < cut).length, free - kept);
      membership.moveTo(lo, lo + kept);
    } else {
      membership.moveTo(0, data.kept ?? this.n);
    }
    this.writeCounts();
    this.request();
  }

  writeCounts() {
    const { membership, data, parts } = this;
    const kept = membership.kept;
    parts.root.dataset.kept = String(kept);
    const share = `${((100 * kept) / this.n).toFixed(1)} %`;
    const tail = element("small", {}, ` of ${this.n.toLocaleString("en")} images kept (${share})`);
    if (this.chooses()) parts.count.replaceChildren(kept.toLocaleString("en"), tail);
    else parts.count.replaceChildren(this.n.toLocaleString("en"), element("small", {}, " images"));
    const colours = this.themeColours();
    this.bars?.draw(membership.groupKept, membership.groupTotal, rgb(colours.kept));
    this.histogram?.draw(membership.binKept, membership.binTotal, rgb(colours.kept), rgb(colours.rest));
  }

  /** The colours of the kept and of the rest, for the page's light or dark theme. */
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

  request() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    const { parts, camera, data } = this;
    const { clientWidth: width, clientHeight: height } = parts.stage;
    if (!data || !width || !height) return;
    if (this.painted !== this.themeName()) this.repaint();
    const began = performance.now();
    const ratio = window.devicePixelRatio || 1;
    const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (parts.canvas.width !== wide || parts.canvas.height !== tall) {
      parts.canvas.width = wide;
      parts.canvas.height = tall;
    }
    if (camera.width !== width || camera.height !== height || !camera.scale) camera.resize(width, height, this.bounds);
    this.renderer.draw({ camera, ratio, lassoed: Boolean(this.chosen), segments: this.shownSegments(), ...this.looks() });
    this.drawLasso();
    this.drawRing();
    parts.root.dataset.frames = String((Number(parts.root.dataset.frames) || 0) + 1);
    parts.root.dataset.frameMs = (performance.now() - began).toFixed(2);
  }

  shownSegments() {
    return this.membership.segments().filter(([, , kept]) => !this.sides.has(kept ? "kept" : "dropped"));
  }

  /** Size and opacity of the kept and the rest. Above 300,000 points opacity falls with how densely they overlap. */
  looks() {
    const { camera, n, data } = this;
    const base = n > 300000 ? 1.3 : n > 30000 ? 2.2 : n > 5000 ? 3 : 4.5;
    const size = clamp(base * Math.sqrt(camera.zoom), 1.2, 11);
    const overlap = (n * size * size) / (camera.width * camera.height * camera.zoom ** 2);
    const thin = n > 300000 ? clamp(1.5 / overlap, 0.08, 1) : 1;
    const colours = this.themeColours();
    const coloured = Boolean(data.colour);
    const chooses = this.chooses();
    return {
      keptLook: { colour: colours.kept, coloured, size: chooses ? size * 1.15 : size, alpha: (coloured || !chooses ? 0.8 : 0.9) * thin },
      restLook: { colour: colours.rest, coloured: coloured && n <= 300000, size: size * 0.8, alpha: (coloured ? 0.16 : 0.4) * thin },
    };
  }

  drawLasso() {
    const corners = (this.polygon || []).map(([x, y]) => this.camera.toPixel(x, y).map((v) => v.toFixed(1)).join());
    this.parts.lasso.setAttribute("points", corners.join(" "));
  }

  /** A ring around the image under the eye. */
  drawRing() {
    const { ring, root } = this.parts;
    const shown = this.picked !== null && this.picked < this.n;
    ring.style.display = shown ? "" : "none";
    if (!shown) return;
    const [x, y] = this.camera.toPixel(this.xy[2 * this.picked], this.xy[2 * this.picked + 1]);
    root.style.setProperty("--cm-picked", this.theme().picked);
    ring.setAttribute("cx", x.toFixed(1));
    ring.setAttribute("cy", y.toFixed(1));
  }

  pick(i) {
    this.picked = i;
    this.request();
    this.component.setTriggerValue("click", i);
  }

  /** The page went from light to dark or back. */
  repaint() {
    this.takeColours(this.data, { addresses: [null, this.colourFrom] });
    this.writeCounts();
  }

  /** A map beside another one takes no lasso: there it would choose nothing. */
  offerTools(data) {
    const idle = data.compact ? ["lasso", "box", "pan", "clear"] : [];
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
    this.camera.fit(this.bounds);
    this.moved();
  }

  /** The lasso is closed: mark who is inside here, and send Python the polygon, from which it finds the ids itself. */
  choose(polygon) {
    this.polygon = polygon;
    this.chosen = this.markStates();
    this.request();
    this.tellLasso();
  }

  tellLasso() {
    const { polygon, hidden, sides, chosen } = this;
    this.component.setStateValue("lasso", { polygon, hidden: [...hidden], sides: [...sides], count: chosen });
  }

  clear() {
    this.forget(this.dropped);
    this.component.setStateValue("lasso", null);
  }

  forget(token) {
    this.dropped = token;
    this.polygon = null;
    this.chosen = 0;
    this.markStates();
    this.request();
  }

  toggle(code, alone) {
    const all = this.data.colour.labels.map((_, c) => c);
    if (alone) this.hidden = new Set(all.filter((c) => c !== code));
    else if (!this.hidden.delete(code)) this.hidden.add(code);
    if (this.hidden.size === all.length) this.hidden.clear();
    this.filtered(true);
  }

  toggleSide(side) {
    if (!this.sides.delete(side)) this.sides = new Set([side]); // hiding both would leave nothing
    this.filtered(true);
  }

  showRange(low, high, done) {
    this.range = [low, high];
    this.hidden = outside(this.range);
    this.filtered(done);
  }

  /** After the legend has hidden or shown something. done: the finger is up, Python may hear of it. */
  filtered(done) {
    this.showLegend();
    this.chosen = this.markStates();
    this.request();
    if (!done) return;
    this.component.setStateValue("hidden", [...this.hidden]);
    if (this.polygon) this.tellLasso();
  }

  /** Recompute each point's state bits; returns how many lie in the lasso and are shown. */
  markStates() {
    const { state, xy, codes, hidden, polygon, membership, sides } = this;
    const gone = (i) => sides.size > 0 && sides.has(membership.keeps(i) ? "kept" : "dropped");
    let count = 0;
    for (let i = 0; i < this.n; i++) {
      const out = hidden.size > 0 && hidden.has(codes[i]);
      const inside = Boolean(polygon) && !out && !gone(i) && insidePolygon(polygon, xy[2 * i], xy[2 * i + 1]);
      state[i] = (inside ? SELECTED : 0) | (out ? HIDDEN : 0);
      if (inside) count++;
    }
    this.renderer.setState(state);
    return count;
  }

  upload() {
    this.renderer.setPoints(this.xy);
    this.renderer.setCodes(this.codes);
    this.renderer.setState(this.state);
    this.renderer.setOrder(this.membership.order);
    this.renderer.setPalette(spread(this.palette, this.data.colour));
    this.request();
  }

  nearest(px, py, radius = 9) {
    if (!this.grid || !this.membership) return -1;
    const [x, y] = this.camera.toData(px, py);
    const weight = (i) => {
      const kept = this.membership.keeps(i);
      if (this.state[i] & HIDDEN || this.sides.has(kept ? "kept" : "dropped")) return Infinity;
      return kept ? 0.5 : 1;
    };
    return this.grid.nearest(x, y, radius / this.camera.scale, weight);
  }

  /** The hover card: the picture and three facts. */
  async showCard(i, px, py) {
    const { card, picture, facts } = this.parts;
    this.hovered = i;
    if (i < 0) {
      card.style.display = "none";
      return;
    }
    const { data } = this;
    picture.style.display = data.thumb ? "block" : "none";
    if (data.thumb) picture.src = data.thumb.replace("{i}", i);
    facts.replaceChildren(...this.facts(i, `image ${i}`));
    card.style.display = "block";
    card.style.left = `${Math.max(4, Math.min(px + 14, this.camera.width - 236))}px`;
    card.style.top = `${Math.max(4, Math.min(py + 14, this.camera.height - (data.thumb ? 200 : 80)))}px`;
    const answer = await fetch(data.fact.replace("{i}", i));
    if (this.hovered === i && answer.ok) facts.replaceChildren(...this.facts(i, ...(await answer.json())));
  }

  facts(i, name, ...more) {
    const { data, membership } = this;
    const lines = [element("b", {}, name)];
    if (this.chooses()) {
      const place = data.mask ? "" : ` · rank ${(membership.rank[i] + 1).toLocaleString("en")}`;
      lines.push(element("div", {}, (membership.keeps(i) ? "kept" : "dropped") + place));
    }
    return [...lines, ...more.map((line) => element("div", {}, line))].slice(0, 4);
  }

  save() {
    this.draw();
    this.parts.canvas.toBlob((blob) => {
      const link = element("a", { href: URL.createObjectURL(blob), download: "map.png" });
      link.click();
      URL.revokeObjectURL(link.href);
    });
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

/** A bit mask (base64, little bit order) as an order: kept images first, each part by position. */
function keptFirst(bits, n) {
  const bytes = Uint8Array.from(atob(bits), (letter) => letter.charCodeAt(0));
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
