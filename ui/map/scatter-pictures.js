// Pictures on the map: past a zoom level the points in view become their images, as many as fit without overlapping.
// They are cut from atlas pages that hold images which are close on the map, so that a view needs few of them.

import { rgb } from "./scatter-elements.js";
import { HIDDEN, SELECTED } from "./scatter-selection.js";

const FROM_ZOOM = 1.8;
const MOST_IN_VIEW = 1500; // with more points in view there is no picture
const MOST_PAGES = 120; // decoded atlas pages that are kept
const AT_ONCE = 4;

/** The atlas pages of one map, loaded when they are looked at, the newest request first. */
export class Atlas {
  constructor({ url, side, tile }, order, loaded) {
    this.url = url;
    this.side = side;
    this.tile = tile;
    this.loaded = loaded;
    this.place = new Uint32Array(order.length);
    order.forEach((i, rank) => { this.place[i] = rank; });
    this.pages = new Map(); // number -> decoded image, or null while it is loaded; the last used last
    this.waiting = [];
    this.loading = 0;
  }

  /** The picture of image i as [page, x, y], or null while its page is loaded. */
  find(i) {
    const perPage = this.side ** 2;
    const number = Math.floor(this.place[i] / perPage);
    const page = this.pages.get(number);
    if (page === undefined) this.ask(number);
    if (!page) return null;
    this.pages.delete(number);
    this.pages.set(number, page);
    const at = this.place[i] % perPage;
    return [page, (at % this.side) * this.tile, Math.floor(at / this.side) * this.tile];
  }

  ask(number) {
    this.pages.set(number, null);
    this.waiting.push(number);
    while (this.waiting.length > 40) this.pages.delete(this.waiting.shift()); // long out of view
    this.next();
  }

  async next() {
    if (this.loading >= AT_ONCE || !this.waiting.length) return;
    const number = this.waiting.pop();
    this.loading += 1;
    const image = new Image();
    image.src = this.url.replace("{page}", number);
    try {
      await image.decode();
      this.pages.set(number, image);
    } catch {
      this.pages.delete(number); // a page that could not be read may be asked for again
      this.waiting.length = 0;
    }
    this.loading -= 1;
    for (const old of this.pages.keys()) {
      if (this.pages.size <= MOST_PAGES) break;
      if (this.pages.get(old)) this.pages.delete(old);
    }
    this.loaded();
    this.next();
  }
}

/** Methods of ScatterMap (scatter.js). */
export const pictures = {
  /** Draw pictures where there are few enough points in view; returns how many. */
  drawPictures(ratio) {
    const canvas = this.parts.pictures;
    const paint = canvas.getContext("2d");
    const [wide, tall] = [this.parts.canvas.width, this.parts.canvas.height];
    if (canvas.width !== wide || canvas.height !== tall) Object.assign(canvas, { width: wide, height: tall });
    else paint.clearRect(0, 0, wide, tall);
    const size = this.pictureSize();
    const shown = this.atlas && this.withPictures && this.camera.zoom >= FROM_ZOOM ? this.fitting(size) : [];
    let drawn = 0;
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const one of shown) drawn += this.drawPicture(paint, one, size) ? 1 : 0;
    paint.setTransform(1, 0, 0, 1, 0, 0);
    this.parts.root.dataset.pictures = String(drawn);
    return drawn;
  },

  pictureSize() {
    return Math.min(72, Math.max(40, 34 * Math.sqrt(this.camera.zoom / FROM_ZOOM)));
  },

  /** The images in view that get a picture: [i, px, py], none nearer than `size` to another. */
  fitting(size) {
    const { camera, xy, membership } = this;
    const [left, high] = camera.toData(-size / 2, -size / 2);
    const [right, low] = camera.toData(camera.width + size / 2, camera.height + size / 2);
    const inView = [];
    this.grid.visit({ left, right, low, high }, (i) => {
      if (this.isOut(i)) return true;
      const [x, y] = [xy[2 * i], xy[2 * i + 1]];
      if (x >= left && x <= right && y >= low && y <= high) inView.push(i);
      return inView.length <= MOST_IN_VIEW;
    });
    if (inView.length > MOST_IN_VIEW) return [];
    const first = (i) => (i === this.picked ? 2 : membership.keeps(i) ? 1 : 0);
    const scrambled = (i) => Math.imul(i, 2654435761) >>> 0; // the same ones while the view moves
    inView.sort((a, b) => first(b) - first(a) || scrambled(a) - scrambled(b));
    return apart(inView.map((i) => [i, ...camera.toPixel(xy[2 * i], xy[2 * i + 1])]), size + 4);
  },

  drawPicture(paint, [i, px, py], size) {
    const found = this.atlas.find(i);
    if (!found) return false;
    const [page, x, y] = found;
    const { tile } = this.atlas;
    const [left, top] = [px - size / 2, py - size / 2];
    const dim = (this.chosen && !(this.state[i] & SELECTED)) || (this.highlight >= 0 && this.codes[i] !== this.highlight);
    paint.globalAlpha = dim ? 0.2 : 1;
    paint.drawImage(page, x, y, tile, tile, left, top, size, size);
    paint.lineWidth = 2.5;
    paint.strokeStyle = rgb(this.tintOf(i));
    paint.strokeRect(left, top, size, size);
    paint.globalAlpha = 1;
    return true;
  },

  /** The colour of image i as its point has it. */
  tintOf(i) {
    if (this.data.colour) return this.palette[this.codes[i] % this.palette.length];
    const { kept, rest } = this.themeColours();
    return !this.hasSelection() || this.membership.keeps(i) ? kept : rest;
  },

  /** Whether a filter, the legend or its sides hide image i. */
  isOut(i) {
    if (this.state[i] & HIDDEN) return true;
    return this.sides.size > 0 && this.sides.has(this.membership.keeps(i) ? "kept" : "dropped");
  },
};

/** Of [i, px, py] in order of preference those that lie at least `step` pixels from every one taken before. */
export function apart(candidates, step) {
  const taken = new Map();
  const free = ([, px, py]) => {
    const [column, row] = [Math.floor(px / step), Math.floor(py / step)];
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        const other = taken.get(`${column + dx},${row + dy}`);
        if (other && Math.abs(other[1] - px) < step && Math.abs(other[2] - py) < step) return false;
      }
    }
    taken.set(`${column},${row}`, [0, px, py]);
    return true;
  };
  return candidates.filter(free);
}
