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

/** Where we look: centre in data coordinates and pixels per unit. */
export class Camera {
  constructor() {
    this.x = 0;
    this.y = 0;
    this.scale = 0; // 0 = not yet fitted
    this.fitted = 1;
    this.width = 1;
    this.height = 1;
  }

  resize(width, height, bounds) {
    const whole = this.scale === 0 || Math.abs(this.scale - this.fitted) < 1e-9;
    this.width = width;
    this.height = height;
    if (whole) this.fit(bounds);
  }

  fit(bounds) {
    this.x = (bounds.left + bounds.right) / 2;
    this.y = (bounds.low + bounds.high) / 2;
    const across = this.width / (bounds.right - bounds.left || 1);
    const down = this.height / (bounds.high - bounds.low || 1);
    this.scale = this.fitted = 0.94 * Math.min(across, down);
    this.home = [this.x, this.y];
  }

  toPixel(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, this.height / 2 - (y - this.y) * this.scale];
  }

  toData(px, py) {
    return [(px - this.width / 2) / this.scale + this.x, (this.height / 2 - py) / this.scale + this.y];
  }

  zoomAt(px, py, factor) {
    const [x, y] = this.toData(px, py);
    this.scale = Math.min(this.fitted * 2000, Math.max(this.fitted, this.scale * factor));
    this.x = x - (px - this.width / 2) / this.scale;
    this.y = y + (py - this.height / 2) / this.scale;
    if (this.scale === this.fitted && this.home) [this.x, this.y] = this.home; // nothing to see beyond the whole
  }

  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
  }

  get zoom() {
    return this.scale / this.fitted;
  }
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
