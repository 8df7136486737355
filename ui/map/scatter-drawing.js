// Drawing one frame of a map: points, lasso outline, and the ring around the picked image.

import { clamp } from "./scatter-geometry.js";

/** Methods of ScatterMap (scatter.js). */
export const drawing = {
  request() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  },

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
  },

  shownSegments() {
    return this.membership.segments().filter(([, , kept]) => !this.sides.has(kept ? "kept" : "dropped"));
  },

  /** Size and opacity of selected and other points. Above 300,000 points opacity falls with their overlap. */
  looks() {
    const { camera, n, data } = this;
    const base = n > 300000 ? 1.3 : n > 30000 ? 2.2 : n > 5000 ? 3 : 4.5;
    const size = clamp(base * Math.sqrt(camera.zoom), 1.2, 11);
    const overlap = (n * size * size) / (camera.width * camera.height * camera.zoom ** 2);
    const thin = n > 300000 ? clamp(1.5 / overlap, 0.08, 1) : 1;
    const colours = this.themeColours();
    const coloured = Boolean(data.colour);
    const hasSelection = this.hasSelection();
    return {
      keptLook: { colour: colours.kept, coloured, size: hasSelection ? size * 1.15 : size, alpha: (coloured || !hasSelection ? 0.8 : 0.9) * thin },
      restLook: { colour: colours.rest, coloured: coloured && n <= 300000, size: size * 0.8, alpha: (coloured ? 0.16 : 0.4) * thin },
    };
  },

  drawLasso() {
    const corners = (this.polygon || []).map(([x, y]) => this.camera.toPixel(x, y).map((v) => v.toFixed(1)).join());
    this.parts.lasso.setAttribute("points", corners.join(" "));
  },

  /** A ring around the picked image. */
  drawRing() {
    const { ring, root } = this.parts;
    const shown = this.picked !== null && this.picked < this.n;
    ring.style.display = shown ? "" : "none";
    if (!shown) return;
    const [x, y] = this.camera.toPixel(this.xy[2 * this.picked], this.xy[2 * this.picked + 1]);
    root.style.setProperty("--cm-picked", this.theme().picked);
    ring.setAttribute("cx", x.toFixed(1));
    ring.setAttribute("cy", y.toFixed(1));
  },
};
