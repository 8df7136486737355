// Lasso, click, and the legend as a filter.

import { insidePolygon } from "./scatter-geometry.js";
import { outside } from "./scatter-legend.js";

export const SELECTED = 1;
export const HIDDEN = 2;

/** Methods of ScatterMap (scatter.js). */
export const selection = {
  pick(i) {
    this.picked = i;
    if (this.walker !== null) this.endWalk();
    this.request();
    this.component.setTriggerValue("click", i);
  },

  /** The lasso is closed: mark the points inside, and send Python the polygon, from which it computes the ids. */
  closeLasso(polygon) {
    this.polygon = polygon;
    this.chosen = this.markStates();
    this.request();
    this.reportLasso();
  },

  reportLasso() {
    const { polygon, hidden, sides, chosen } = this;
    this.component.setStateValue("lasso", { polygon, hidden: [...hidden], sides: [...sides], count: chosen });
  },

  clear() {
    this.corners = null;
    if (this.walker !== null) this.endWalk();
    this.forget(this.dropped);
    this.component.setStateValue("lasso", null);
  },

  forget(token) {
    this.dropped = token;
    this.polygon = null;
    this.chosen = 0;
    this.markStates();
    this.request();
  },

  /** Hide or show a category; alone: show only this one. code null: show all. */
  toggle(code, alone) {
    const all = this.data.colour.labels.map((_, c) => c);
    if (code === null) this.hidden.clear();
    else if (alone) this.hidden = new Set(all.filter((c) => c !== code));
    else if (!this.hidden.delete(code)) this.hidden.add(code);
    if (this.hidden.size === all.length) this.hidden.clear();
    this.filtered(true);
  },

  toggleSide(side) {
    if (!this.sides.delete(side)) this.sides = new Set([side]); // at most one side is hidden
    this.filtered(true);
  },

  showRange(low, high, done) {
    this.range = [low, high];
    this.hidden = outside(this.range);
    this.filtered(done);
  },

  /** Apply the legend's filter. done: the gesture is finished, so Python is notified. */
  filtered(done) {
    this.showLegend();
    this.chosen = this.markStates();
    this.request();
    if (!done) return;
    this.component.setStateValue("hidden", [...this.hidden]);
    if (this.polygon) this.reportLasso();
  },

  /** Recompute each point's state bits; returns how many lie in the lasso and are shown. */
  markStates() {
    const { state, xy, codes, hidden, polygon, membership, sides, filter } = this;
    const gone = (i) => sides.size > 0 && sides.has(membership.keeps(i) ? "kept" : "dropped");
    let count = 0;
    for (let i = 0; i < this.n; i++) {
      const filtered = filter !== null && !((filter[i >> 3] >> (i & 7)) & 1);
      const out = filtered || (hidden.size > 0 && hidden.has(codes[i]));
      const inside = Boolean(polygon) && !out && !gone(i) && insidePolygon(polygon, xy[2 * i], xy[2 * i + 1]);
      state[i] = (inside ? SELECTED : 0) | (out ? HIDDEN : 0);
      if (inside) count++;
    }
    this.renderer.setState(state);
    return count;
  },

  /** Draw one category in full and the others faintly, while the pointer is on its entry; -1 = all alike. */
  highlightOnly(code) {
    if (this.highlight === code) return;
    this.highlight = code;
    this.request();
  },

  nearest(px, py, radius = 9) {
    if (!this.grid || !this.membership) return -1;
    const [x, y] = this.camera.toData(px, py);
    const weight = (i) => {
      if (this.isOut(i)) return Infinity;
      return this.membership.keeps(i) ? 0.5 : 1;
    };
    return this.grid.nearest(x, y, radius / this.camera.scale, weight);
  },
};
