// Sliders of a map: which images are selected while one moves, and the counts. Python is notified on release only.

import { cutCount, keptCount, pinnedWindow, settledBeta } from "./scatter-budget.js";
import { element, rgb, slider } from "./scatter-elements.js";

/** Methods of ScatterMap (scatter.js). */
export const sliders = {
  takeSliders(data) {
    const shape = JSON.stringify([data.scrub?.kind, data.orders.map((o) => o.label), data.variant_name, data.scrub?.max_p]);
    if (shape !== this.slidersFrom) {
      this.slidersFrom = shape;
      this.buildSliders(data);
    }
    if (!data.scrub || this.dragging) return;
    this.sliders.p.set(this.scrub.p); // the input rounds it, the number beside it does not
    this.sliders.beta?.set(this.scrub.beta);
    this.sliders.variant?.set(this.scrub.variant);
  },

  buildSliders(data) {
    const moved = (name) => (value) => this.move(name, value);
    const released = () => this.report();
    const images = (count) => `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"}`;
    const kept = (p) => images(keptCount(this.n, p));
    const skipped = (beta) => images(cutCount(this.n, beta));
    this.sliders = {};
    if (data.scrub) {
      const shared = { min: 0, step: 0.001, released };
      this.sliders.p = slider({ ...shared, name: "p", label: "Fewer or more", help: "Drag to the left to keep fewer images",
        max: data.scrub.max_p, value: this.scrub.p, show: kept, moved: moved("p"), reversed: true });
      if (data.scrub.kind === "window") {
        this.sliders.beta = slider({ ...shared, name: "beta", label: "Skip the hardest (β)", max: 1, value: this.scrub.beta,
          show: skipped, help: "The hardest images are skipped first: their pseudo-labels are mostly wrong",
          moved: moved("beta") });
      }
      if (data.orders.length > 1) {
        this.sliders.variant = slider({ name: "variant", label: data.variant_name, help: data.variant_help || "", min: 0,
          max: data.orders.length - 1, step: 1, value: this.scrub.variant, show: (v) => data.orders[v].label,
          moved: moved("variant"), released });
      }
    }
    this.parts.sliders.replaceChildren(...Object.values(this.sliders));
  },

  /** A slider is dragged: everything on screen follows, Python is not told yet. */
  async move(name, value) {
    this.dragging = true;
    const began = performance.now();
    this.scrub = { ...this.scrub, [name]: value };
    if (name === "beta") this.scrub.guess = null; // from now on it no longer follows p
    if (name === "variant") {
      const arrays = await this.fetchArrays({ ...this.data, mask: null });
      this.takeOrder({ ...this.data, mask: null }, arrays);
    } else if (this.data.mask) {
      // The exact selection of a method without a ranking holds only for the values it was computed with.
      this.data = { ...this.data, mask: null };
      this.takeOrder(this.data, await this.fetchArrays(this.data));
    }
    this.sliders.beta?.set(this.beta());
    this.rescrub();
    this.parts.root.dataset.scrubMs = (performance.now() - began).toFixed(2);
  },

  report() {
    this.dragging = false;
    this.turn = Math.max(this.turn + 1, Date.now()); // unique, also after the map is mounted again
    const { p, variant } = this.scrub;
    this.scrub.beta = this.beta();
    if (this.polygon && this.sides.size) this.markStates();
    const beta = this.scrub.guess || this.data.scrub.kind !== "window" ? null : this.scrub.beta;
    this.component.setStateValue("scrub", { p, beta, variant, turn: this.turn });
  },

  /** The beta in effect: where the finger left it, else the guess at this pruning rate; lowered to what fits. */
  beta() {
    const { guess, beta } = this.scrub;
    return settledBeta(this.n, keptCount(this.n, this.scrub.p), guess ? null : beta, guess);
  },

  /** Membership from the sliders' values: the arithmetic of scatter-budget.js on ranks. */
  rescrub() {
    const { membership, data } = this;
    const { scrub } = data;
    if (data.mask) {
      membership.moveTo(0, data.mask.kept);
    } else if (scrub) {
      const cut = scrub.kind === "window" ? cutCount(this.n, this.beta()) : 0;
      const pinRanks = data.orders[this.scrub.variant]?.pin_ranks || [];
      membership.moveTo(...pinnedWindow(this.n, keptCount(this.n, this.scrub.p), cut, membership.pinned, pinRanks));
    } else {
      membership.moveTo(0, data.kept ?? this.n);
    }
    this.writeCounts();
    this.request();
  },

  writeCounts() {
    const { membership, data, parts } = this;
    const kept = membership.kept;
    parts.root.dataset.kept = String(kept);
    const tail = element("small", {}, ` of ${this.n.toLocaleString("en")} images selected`);
    if (this.hasSelection()) parts.count.replaceChildren(kept.toLocaleString("en"), tail);
    else parts.count.replaceChildren(this.n.toLocaleString("en"), element("small", {}, " images"));
    const colours = this.themeColours();
    this.bars?.draw(membership.groupKept, membership.groupTotal, rgb(colours.kept), this.hasSelection());
    this.histogram?.draw(membership.binKept, membership.binTotal, rgb(colours.kept), rgb(colours.rest));
  },
};
