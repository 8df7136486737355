// Drawing one frame of a map: points, pictures, names, lasso outline, and the rings around the picked image and its
// nearest neighbours.

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
    if (camera.width !== width || camera.height !== height || !camera.scale) {
      camera.resize(width, height, this.bounds, this.allBounds);
    }
    this.renderer.draw({ camera, ratio, lassoed: Boolean(this.chosen), highlight: this.highlight, shaped: this.isShaped(),
      segments: this.shownSegments(), ...this.looks() });
    this.drawPictures(ratio);
    this.drawNames();
    this.drawLasso();
    this.drawRings();
    parts.root.dataset.frames = String((Number(parts.root.dataset.frames) || 0) + 1);
    parts.root.dataset.frameMs = (performance.now() - began).toFixed(2);
  },

  shownSegments() {
    return this.membership.segments().filter(([, , kept]) => !this.sides.has(kept ? "kept" : "dropped"));
  },

  /** Categories beyond the eighth have another shape, so that two that look alike in colour differ in form. */
  isShaped() {
    return this.data.colour?.kind === "category" && this.data.colour.labels.length > 8;
  },

  /** Size and opacity of selected and other points. Above 300,000 points opacity falls with their overlap. In small
   *  sets the images that are not selected are rings, in large ones faint dots. */
  looks() {
    const { camera, n, data } = this;
    const size = clamp(dotSize(n) * Math.sqrt(camera.zoom), 1.2, 13);
    const overlap = (n * size * size) / (camera.width * camera.height * camera.zoom ** 2);
    const thin = n > 300000 ? clamp(1.5 / overlap, 0.08, 1) : 1;
    const few = clamp(Math.log(20000 / n) / Math.log(40), 0, 1); // 0 from 20,000 images on, 1 up to 500
    const colours = this.themeColours();
    const coloured = Boolean(data.colour);
    const hasSelection = this.hasSelection();
    const restAlpha = coloured ? 0.16 + 0.5 * few : 0.4 + 0.4 * few;
    return {
      keptLook: { colour: colours.kept, coloured, size: hasSelection ? size * 1.15 : size, alpha: (coloured || !hasSelection ? 0.8 : 0.9) * thin },
      restLook: { colour: colours.rest, coloured: coloured && n <= 300000, size: size * 0.85, alpha: restAlpha * thin, hollow: few > 0 },
    };
  },

  drawLasso() {
    const corners = (this.polygon || []).map(([x, y]) => this.camera.toPixel(x, y).map((v) => v.toFixed(1)).join());
    this.parts.lasso.setAttribute("points", corners.join(" "));
    this.parts.clear.hidden = !this.polygon;
  },

  /** A ring around the picked image, and lines to its nearest neighbours. */
  drawRings() {
    const { ring, lines, root } = this.parts;
    const shown = this.picked !== null && this.picked < this.n;
    ring.style.display = lines.style.display = shown ? "" : "none";
    if (!shown) return;
    const at = (i) => this.camera.toPixel(this.xy[2 * i], this.xy[2 * i + 1]).map((v) => v.toFixed(1));
    const [x, y] = at(this.picked);
    root.style.setProperty("--cm-picked", this.theme().picked);
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    const near = this.data.neighbours?.of === this.picked ? this.data.neighbours.positions : [];
    const line = (to) => `M${x} ${y}L${to.join(" ")}`;
    const circle = ([cx, cy]) => `M${cx - 6} ${cy}a6 6 0 1 0 12 0a6 6 0 1 0 -12 0`;
    lines.setAttribute("d", near.map((i) => line(at(i)) + circle(at(i).map(Number))).join(""));
  },
};

/** Pixels of a dot at zoom 1: 8 at 360 images, 5 at 1,800, 2.2 at 60,000. */
export function dotSize(n) {
  return clamp(35 * n ** -0.252, 1.3, 9);
}
