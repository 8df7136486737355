// Saving a map: as shown (PNG, or SVG with its legend), or its data as CSV.

import { HIDDEN, SELECTED } from "./scatter-selection.js";
import { element, rgb } from "./scatter-elements.js";

const MOST_SHAPES = 200000; // more points than this go into an SVG as one picture
const MARGIN = 190; // room for the legend
const MOST_LABELS = 30;

/** Methods of ScatterMap (scatter.js). */
export const exporting = {
  savePng() {
    this.picture().toBlob((blob) => download(blob, "map.png"));
  },

  saveSvg() {
    download(new Blob([this.svg()], { type: "image/svg+xml" }), "map.svg");
  },

  /** One line per image: id, coordinates, and what the map shows of it now. */
  async saveCsv() {
    const answer = await fetch(this.data.table);
    if (!answer.ok) {
      this.parts.note.textContent = "The data could not be loaded; reload the page.";
      return;
    }
    const { ids, name, values } = await answer.json();
    const columns = { id: (i) => ids[i], x: (i) => this.xy[2 * i], y: (i) => this.xy[2 * i + 1] };
    if (this.hasSelection()) columns.selected = (i) => (this.membership.keeps(i) ? 1 : 0);
    if (this.polygon) columns["in lasso"] = (i) => (this.state[i] & SELECTED ? 1 : 0);
    if (values) columns[name] = (i) => values[i];
    const lines = [Object.keys(columns).map(cell).join()];
    for (let i = 0; i < this.n; i++) lines.push(Object.values(columns).map((say) => cell(say(i))).join());
    download(new Blob([lines.join("\r\n"), "\r\n"], { type: "text/csv" }), "map.csv");
  },

  /** The drawn points on the page's background. */
  picture() {
    this.draw();
    const { canvas } = this.parts;
    const copy = element("canvas", { width: canvas.width, height: canvas.height });
    const paint = copy.getContext("2d");
    paint.fillStyle = this.styleOf("--st-secondary-background-color");
    paint.fillRect(0, 0, copy.width, copy.height);
    paint.drawImage(canvas, 0, 0);
    paint.drawImage(this.parts.pictures, 0, 0);
    this.writeNames(paint, canvas.width / this.camera.width);
    return copy;
  },

  /** The names that are shown, written onto a picture of `ratio` pixels per pixel of the page. */
  writeNames(paint, ratio) {
    paint.font = `600 ${12.5 * ratio}px sans-serif`;
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    paint.lineWidth = 3 * ratio;
    paint.lineJoin = "round";
    paint.strokeStyle = this.styleOf("--st-secondary-background-color");
    paint.fillStyle = this.styleOf("--st-text-color");
    for (const { text: words, px, py } of this.drawNames()) {
      paint.strokeText(words, px * ratio, py * ratio);
      paint.fillText(words, px * ratio, py * ratio);
    }
  },

  namesAsText() {
    const look = `text-anchor="middle" dominant-baseline="middle" font-weight="600" paint-order="stroke"
 stroke="${this.styleOf("--st-secondary-background-color")}" stroke-width="3" stroke-linejoin="round"`;
    const colour = this.styleOf("--st-text-color");
    return this.drawNames().map(({ text: words, px, py }) =>
      `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" fill="${colour}" ${look}>${text(words)}</text>`).join("\n");
  },

  svg() {
    const { width, height } = this.camera;
    const paths = Number(this.parts.root.dataset.pictures) > 0 ? null : this.shapes(); // pictures are pixels
    const points = paths === null
      ? `<image width="${width}" height="${height}" href="${this.picture().toDataURL()}"/>`
      : [...paths].map(([look, at]) => `<path ${look} d="${at.join("")}"/>`).join("\n") + this.namesAsText();
    const corners = this.parts.lasso.getAttribute("points");
    const colour = this.styleOf("--st-primary-color");
    const lasso = corners ? `<polygon points="${corners}" fill="${colour}" fill-opacity=".1" stroke="${colour}"/>` : "";
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width + MARGIN}" height="${height}" font-family="sans-serif"
  font-size="12" fill="${this.styleOf("--st-text-color")}">
<rect width="100%" height="100%" fill="${this.styleOf("--st-background-color")}"/>
<svg width="${width}" height="${height}" fill="none" stroke-linecap="round">
<rect width="100%" height="100%" fill="${this.styleOf("--st-secondary-background-color")}"/>
${points}${lasso}</svg>
<g transform="translate(${width + 14} 22)">${this.legendShapes().join("\n")}</g>
</svg>
`;
  },

  /** look -> the points that have it, in painting order; null when there are too many. */
  shapes() {
    const { camera, membership, state, codes, palette, chosen } = this;
    const looks = this.looks();
    const paths = new Map();
    let count = 0;
    for (const [first, many, kept] of this.shownSegments()) {
      const look = kept ? looks.keptLook : looks.restLook;
      for (let j = first; j < first + many; j++) {
        const i = membership.order[j];
        const [px, py] = camera.toPixel(this.xy[2 * i], this.xy[2 * i + 1]);
        if (state[i] & HIDDEN || px < -9 || py < -9 || px > camera.width + 9 || py > camera.height + 9) continue;
        if (++count > MOST_SHAPES) return null;
        const inside = Boolean(state[i] & SELECTED);
        const tint = look.coloured ? palette[codes[i] % palette.length] : look.colour;
        const alpha = chosen ? (inside ? Math.min(1, look.alpha * 2.5 + 0.25) : look.alpha * 0.16) : look.alpha;
        const size = look.size * (chosen && inside ? 1.35 : 1);
        const said = `stroke="${rgb(tint)}" stroke-opacity="${alpha.toFixed(2)}" stroke-width="${size.toFixed(1)}"`;
        if (!paths.has(said)) paths.set(said, []);
        paths.get(said).push(`M${px.toFixed(1)} ${py.toFixed(1)}h0`);
      }
    }
    return paths;
  },

  legendShapes() {
    const { colour } = this.data;
    const row = (tint, label, r) => `<circle cx="5" cy="${r * 17 + 16}" r="5" fill="${rgb(tint)}"/>` +
      `<text x="16" y="${r * 17 + 20}">${text(label)}</text>`;
    const { kept, rest } = this.themeColours();
    if (!colour) return this.hasSelection() ? [row(kept, "selected", 0), row(rest, "not selected", 1)] : [];
    const title = `<text font-weight="600">${text(colour.name)}</text>`;
    if (colour.kind === "category") {
      return [title, ...colour.labels.slice(0, MOST_LABELS).map((label, c) => row(this.palette[c % this.palette.length], label, c))];
    }
    const steps = [0, 51, 102, 153, 204, 254];
    return [title, ...steps.map((s, r) => row(this.palette[s], s === 0 ? colour.low : s === 254 ? colour.high : "", r))];
  },

  styleOf(name) {
    return getComputedStyle(this.parts.root).getPropertyValue(name).trim().replaceAll('"', "'") || "#888";
  },
};

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function text(words) {
  const short = words.length > 24 ? `${words.slice(0, 23)}…` : words;
  return short.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

/** A cell that stays one cell, and that no spreadsheet runs as a formula. Same as ui.charts.as_csv. */
function cell(value) {
  let said = value === null || value === undefined ? "" : String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(said)) said = `'${said}`;
  return /[",\r\n]/.test(said) ? `"${said.replaceAll('"', '""')}"` : said;
}
