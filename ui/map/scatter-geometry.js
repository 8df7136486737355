// The geometry of the map, free of any drawing: camera, hover grid, polygon test, membership of a window of ranks.
// Python has its own insidePolygon (ui/map/scatter.py); tests compare them. Counts and windows: scatter-budget.js.

/** Even-odd rule. polygon: [[x, y], ...] in data coordinates. */
export function insidePolygon(polygon, x, y) {
  let inside = false;
  for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
    const [xa, ya] = polygon[a];
    const [xb, yb] = polygon[b];
    if ((ya > y) !== (yb > y) && x < ((xb - xa) * (y - ya)) / (yb - ya) + xa) inside = !inside;
  }
  return inside;
}

/** Smallest and largest x and y of (N, 2) interleaved coordinates. */
export function boundsOf(xy) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < xy.length; i += 2) {
    left = Math.min(left, xy[i]);
    right = Math.max(right, xy[i]);
    low = Math.min(low, xy[i + 1]);
    high = Math.max(high, xy[i + 1]);
  }
  return { left, right, low, high };
}

const SAMPLE = 50000; // points looked at for the quantiles
const FAR = 0.004; // share of the points that may lie outside the first view, on each axis
const ROOM = 0.12; // of the central range, added on both sides

/** The bounds of the first view: those of all points, or, where a few far points would leave most of the canvas empty,
 *  those of the others. `far` counts the points outside. */
export function viewBounds(xy) {
  const all = boundsOf(xy);
  const n = xy.length / 2;
  if (n < 50) return { ...all, far: 0 };
  const [left, right] = central(xy, 0, all.left, all.right);
  const [low, high] = central(xy, 1, all.low, all.high);
  const area = (b) => (b.right - b.left) * (b.high - b.low);
  const view = { left, right, low, high };
  if (area(view) > 0.7 * area(all)) return { ...all, far: 0 };
  let far = 0;
  for (let i = 0; i < n; i++) {
    const [x, y] = [xy[2 * i], xy[2 * i + 1]];
    if (x < left || x > right || y < low || y > high) far++;
  }
  return { ...view, far };
}

/** The range of one axis without its farthest points, widened a little, but not beyond [first, last]. */
function central(xy, axis, first, last) {
  const n = xy.length / 2;
  const step = Math.max(1, Math.floor(n / SAMPLE));
  const values = new Float32Array(Math.ceil(n / step));
  for (let k = 0; k < values.length; k++) values[k] = xy[2 * k * step + axis];
  values.sort();
  const cut = Math.floor(FAR * (values.length - 1));
  const [low, high] = [values[cut], values[values.length - 1 - cut]];
  const room = ROOM * (high - low);
  return [Math.max(first, low - room), Math.min(last, high + room)];
}

/** Where we look: centre in data coordinates and pixels per unit. `least` and `most` limit the zoom. */
export class Camera {
  constructor() {
    this.x = 0;
    this.y = 0;
    this.scale = 0; // 0 = not yet fitted
    this.fitted = 1; // pixels per unit when fitted to the first view
    this.least = 1; // pixels per unit at which every point is in view
    this.most = 2000; // largest zoom, as a multiple of `fitted`
    this.width = 1;
    this.height = 1;
    this.top = this.bottom = 0; // pixels of the upper and lower edge that a toolbar and a note cover
  }

  resize(width, height, bounds, all = bounds) {
    const whole = this.scale === 0 || Math.abs(this.scale - this.fitted) < 1e-9;
    this.width = width;
    this.height = height;
    if (whole) this.fit(bounds, all);
  }

  /** Show `bounds`; `all` (the bounds of every point) is how far the view can zoom out. */
  fit(bounds, all = bounds) {
    this.scale = this.fitted = this.scaleOf(bounds);
    this.least = Math.min(this.fitted, this.scaleOf(all));
    [this.x, this.y] = this.middleOf(bounds, this.fitted);
    this.home = this.least === this.fitted ? [this.x, this.y] : this.middleOf(all, this.least);
  }

  /** The centre of a view that shows `bounds` between the toolbar and the note. */
  middleOf(bounds, scale) {
    const middle = (bounds.low + bounds.high) / 2;
    return [(bounds.left + bounds.right) / 2, middle + (this.top - this.bottom) / 2 / scale];
  }

  scaleOf(bounds) {
    const across = this.width / (bounds.right - bounds.left || 1);
    const down = Math.max(1, this.height - this.top - this.bottom) / (bounds.high - bounds.low || 1);
    return 0.94 * Math.min(across, down);
  }

  toPixel(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, this.height / 2 - (y - this.y) * this.scale];
  }

  toData(px, py) {
    return [(px - this.width / 2) / this.scale + this.x, (this.height / 2 - py) / this.scale + this.y];
  }

  zoomAt(px, py, factor) {
    const [x, y] = this.toData(px, py);
    this.scale = clamp(this.scale * factor, this.least, this.fitted * this.most);
    this.x = x - (px - this.width / 2) / this.scale;
    this.y = y + (py - this.height / 2) / this.scale;
    if (this.scale === this.least && this.home) [this.x, this.y] = this.home; // nothing to see beyond the whole
  }

  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
  }

  get zoom() {
    return this.scale / this.fitted;
  }

  get widest() {
    return this.scale <= this.least;
  }

  /** Bring a point into view, with `margin` pixels around it; the zoom stays. */
  reveal(x, y, margin = 60) {
    const [px, py] = this.toPixel(x, y);
    const beyond = (at, size) => at - clamp(at, Math.min(margin, size / 2), Math.max(size - margin, size / 2));
    this.panBy(-beyond(px, this.width), -beyond(py, this.height));
  }
}

/** The largest useful zoom: neighbours are then hundreds of pixels apart. */
export function largestZoom(n) {
  return clamp(2 * Math.sqrt(n), 12, 2000);
}

/** A uniform grid over the points (counting sort, O(N) once), so that a hover looks at a few dozen points only. */
export class Grid {
  constructor(xy, bounds) {
    const n = xy.length / 2;
    this.xy = xy;
    this.bounds = bounds;
    this.side = Math.max(8, Math.min(1024, Math.floor(Math.sqrt(n))));
    this.stepX = (bounds.right - bounds.left) / this.side || 1;
    this.stepY = (bounds.high - bounds.low) / this.side || 1;
    const cell = new Uint32Array(n);
    this.start = new Uint32Array(this.side * this.side + 1);
    for (let i = 0; i < n; i++) {
      cell[i] = this.row(xy[2 * i + 1]) * this.side + this.column(xy[2 * i]);
      this.start[cell[i] + 1]++;
    }
    for (let c = 0; c < this.side * this.side; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice();
    this.members = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.members[next[cell[i]]++] = i;
  }

  column(x) {
    return clamp(Math.floor((x - this.bounds.left) / this.stepX), 0, this.side - 1);
  }

  row(y) {
    return clamp(Math.floor((y - this.bounds.low) / this.stepY), 0, this.side - 1);
  }

  /** Call `visit(i)` for the points of all cells that touch the rectangle, until it returns false. */
  visit({ left, right, low, high }, visit) {
    for (let row = this.row(low); row <= this.row(high); row++) {
      for (let column = this.column(left); column <= this.column(right); column++) {
        const cell = row * this.side + column;
        for (let j = this.start[cell]; j < this.start[cell + 1]; j++) if (visit(this.members[j]) === false) return;
      }
    }
  }

  /** The nearest point from (x, y) in a direction (dx, dy of length 1; 45 degrees to both sides), or -1. */
  towards(x, y, dx, dy, shown) {
    const reach = Math.max(this.bounds.right - this.bounds.left, this.bounds.high - this.bounds.low);
    for (let radius = Math.max(this.stepX, this.stepY); radius < 4 * reach; radius *= 2) {
      let best = -1;
      let least = radius * radius;
      const box = { left: x - radius, right: x + radius, low: y - radius, high: y + radius };
      this.visit(box, (i) => {
        const [ax, ay] = [this.xy[2 * i] - x, this.xy[2 * i + 1] - y];
        const along = ax * dx + ay * dy;
        const aside = Math.abs(ax * dy - ay * dx);
        const distance = ax * ax + ay * ay;
        if (along > 0 && aside <= along && distance < least && shown(i)) [best, least] = [i, distance];
      });
      if (best >= 0) return best;
    }
    return -1;
  }

  /** The point nearest (x, y) within `radius`, or -1. `weight(i)` < 1 favours a point, Infinity hides it. */
  nearest(x, y, radius, weight) {
    let best = -1;
    let least = radius * radius;
    for (let row = this.row(y - radius); row <= this.row(y + radius); row++) {
      for (let column = this.column(x - radius); column <= this.column(x + radius); column++) {
        const cell = row * this.side + column;
        for (let j = this.start[cell]; j < this.start[cell + 1]; j++) {
          const i = this.members[j];
          const dx = this.xy[2 * i] - x;
          const dy = this.xy[2 * i + 1] - y;
          const distance = (dx * dx + dy * dy) * weight(i);
          if (distance < least) [best, least] = [i, distance];
        }
      }
    }
    return best;
  }
}

/** Who is kept. `order` holds all images: the free ones by rank, then `pinned` must-keeps, then `banned` nevers.
 *  An image is kept when it is pinned or its rank lies in [lo, hi). Moving the window costs only what changes sides,
 *  and the drawing needs no upload: the order itself is the element buffer, the window a range of it. */
export class Membership {
  constructor(order, pinned, banned, groups, groupCount, bins, binCount) {
    this.order = order;
    this.pinned = pinned;
    this.free = order.length - pinned - banned;
    this.groups = groups;
    this.bins = bins;
    this.groupTotal = tally(groups, groupCount);
    this.binTotal = tally(bins, binCount);
    this.groupKept = new Uint32Array(groupCount);
    this.binKept = new Uint32Array(binCount);
    this.rank = new Uint32Array(order.length);
    for (let j = 0; j < order.length; j++) this.rank[order[j]] = j;
    this.lo = this.hi = 0;
    for (let j = this.free; j < this.free + pinned; j++) this.count(j, 1);
  }

  count(j, change) {
    const i = this.order[j];
    if (this.groups) this.groupKept[this.groups[i]] += change;
    if (this.bins) this.binKept[this.bins[i]] += change;
  }

  moveTo(lo, hi) {
    for (let j = this.lo; j < Math.min(lo, this.hi); j++) this.count(j, -1);
    for (let j = Math.max(hi, this.lo); j < this.hi; j++) this.count(j, -1);
    for (let j = lo; j < Math.min(hi, this.lo); j++) this.count(j, 1);
    for (let j = Math.max(lo, this.hi); j < hi; j++) this.count(j, 1);
    this.lo = lo;
    this.hi = hi;
  }

  keeps(i) {
    const rank = this.rank[i];
    if (rank < this.free) return rank >= this.lo && rank < this.hi;
    return rank < this.free + this.pinned;
  }

  get kept() {
    return this.hi - this.lo + this.pinned;
  }

  /** Ranges of `order` as [first, count, kept?], the rest before the kept so that the kept are painted last. */
  segments() {
    const { lo, hi, free, pinned } = this;
    const all = this.order.length;
    return [
      [0, lo, false],
      [hi, free - hi, false],
      [free + pinned, all - free - pinned, false],
      [lo, hi - lo, true],
      [free, pinned, true],
    ].filter((segment) => segment[1] > 0);
  }
}

function tally(codes, count) {
  const total = new Uint32Array(count);
  if (codes) for (let i = 0; i < codes.length; i++) total[codes[i]]++;
  return total;
}

export function clamp(x, low, high) {
  return Math.max(low, Math.min(high, x));
}
