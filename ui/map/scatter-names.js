// Names of clusters or classes, written where most of their images are. A name that would cover a larger group's name is
// left out, and one whose images are scattered over the map has no place.

import { element, picturesOf } from "./scatter-elements.js";

const SIDE = 32; // cells of the grid on which the densest place is looked for
const PURE = 0.3; // least share of a group among the points around its name
const MOST = 60; // groups; more would cover the map

/** Where to write the name of each group: [{ code, x, y, count }], the largest group first. */
export function anchorsOf(xy, codes, count, bounds) {
  if (!codes || count > MOST) return [];
  const n = xy.length / 2;
  const clip = (v) => Math.max(0, Math.min(SIDE - 1, v));
  const across = (x) => clip(Math.floor(((x - bounds.left) / (bounds.right - bounds.left || 1)) * SIDE));
  const down = (y) => clip(Math.floor(((y - bounds.low) / (bounds.high - bounds.low || 1)) * SIDE));
  const cells = SIDE * SIDE;
  const own = new Uint32Array(count * cells);
  const all = new Uint32Array(cells);
  const totals = new Uint32Array(count);
  for (let i = 0; i < n; i++) {
    const cell = down(xy[2 * i + 1]) * SIDE + across(xy[2 * i]);
    own[codes[i] * cells + cell]++;
    all[cell]++;
    totals[codes[i]]++;
  }
  const windows = Array.from({ length: count }, (_, code) => densest(own.subarray(code * cells, (code + 1) * cells), all));
  const sums = Array.from({ length: count }, () => [0, 0, 0]);
  for (let i = 0; i < n; i++) {
    const { row, column } = windows[codes[i]];
    if (Math.abs(down(xy[2 * i + 1]) - row) > 1 || Math.abs(across(xy[2 * i]) - column) > 1) continue;
    const sum = sums[codes[i]];
    sum[0] += xy[2 * i];
    sum[1] += xy[2 * i + 1];
    sum[2]++;
  }
  return sums
    .map(([x, y, near], code) => ({ code, x: x / near, y: y / near, count: totals[code], pure: windows[code].pure }))
    .filter(({ count: many, pure }) => many > 0 && pure >= PURE)
    .sort((a, b) => b.count - a.count);
}

/** The cell with most of a group in itself and its neighbours, and the group's share of the points there. */
function densest(own, all) {
  let best = { row: 0, column: 0, most: -1, pure: 0 };
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      if (!own[row * SIDE + column]) continue;
      const [most, total] = [around(own, row, column), around(all, row, column)];
      if (most > best.most) best = { row, column, most, pure: most / total };
    }
  }
  return best;
}

function around(cells, row, column) {
  let sum = 0;
  for (let r = Math.max(0, row - 1); r <= Math.min(SIDE - 1, row + 1); r++) {
    for (let c = Math.max(0, column - 1); c <= Math.min(SIDE - 1, column + 1); c++) sum += cells[r * SIDE + c];
  }
  return sum;
}

/** Methods of ScatterMap (scatter.js). */
export const names = {
  /** Names of the colour column where it has categories, else of the groups of the side panel. */
  takeNames(data) {
    const painted = data.colour?.kind === "category" ? data.colour : null;
    const source = painted || data.groups;
    const from = [this.pointsFrom, source?.url, ...(source?.labels || [])].join("|");
    if (from === this.namesFrom) return;
    this.namesFrom = from;
    const codes = painted ? this.codes : this.groupCodes;
    const anchors = data.compact || !source ? [] : anchorsOf(this.xy, codes, source.labels.length, this.bounds);
    this.namesPainted = Boolean(painted);
    this.groupsOf = null;
    this.names = anchors.map((anchor) => {
      const text = source.labels[anchor.code];
      const short = text.length > 26 ? `${text.slice(0, 25)}…` : text;
      const pictures = picturesOf(data, source, anchor.code);
      return { ...anchor, text: short, pictured: pictures.length > 0, node: element("span", {}, ...pictures, short) };
    });
    this.parts.names.replaceChildren(...this.names.map(({ node }) => node));
  },

  /** The groups of which the page's filters leave an image; null = all. Counted again when they change. */
  filteredGroups() {
    if (!this.filter) return null;
    if (this.groupsOf !== this.filter) {
      this.groupsOf = this.filter;
      this.groupsLeft = new Set();
      const codes = this.namesPainted ? this.codes : this.groupCodes;
      for (let i = 0; i < this.n; i++) if ((this.filter[i >> 3] >> (i & 7)) & 1) this.groupsLeft.add(codes[i]);
    }
    return this.groupsLeft;
  },

  /** Write the names that fit; returns them as [{ text, px, py }]. */
  drawNames() {
    const placed = [];
    const left = this.filteredGroups();
    for (const name of this.names || []) {
      const [px, py] = this.camera.toPixel(name.x, name.y);
      const half = 3.6 * name.text.length + (name.pictured ? 20 : 4);
      const tall = name.pictured ? 17 : 10;
      const box = [px - half, px + half, py - tall, py + tall];
      const hidden = !this.withNames || (this.namesPainted && this.hidden.has(name.code)) || (left && !left.has(name.code)) ||
        px < 20 || px > this.camera.width - 20 || py < 34 || py > this.camera.height - 8 ||
        placed.some(({ box: other }) => box[0] < other[1] && other[0] < box[1] && box[2] < other[3] && other[2] < box[3]);
      name.node.style.display = hidden ? "none" : "";
      if (hidden) continue;
      const inside = Math.max(half, Math.min(this.camera.width - half, px)); // a name at the edge is not cut
      name.node.style.left = `${inside.toFixed(1)}px`;
      name.node.style.top = `${py.toFixed(1)}px`;
      name.node.style.opacity = this.highlight < 0 || !this.namesPainted || this.highlight === name.code ? 1 : 0.3;
      placed.push({ text: name.text, px, py, box });
    }
    return placed;
  },
};
