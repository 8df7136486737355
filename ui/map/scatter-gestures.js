// Pointer, wheel and keyboard input. Each gesture ends in a method of ScatterMap; nothing is drawn here.

/** Attach all listeners; returns the function that removes them. */
export function listen(map) {
  const { canvas } = map.parts;
  const drag = new Drag(map);
  const listeners = {
    pointerdown: (event) => drag.begin(event),
    pointermove: (event) => drag.move(event),
    pointerup: (event) => drag.end(event),
    pointercancel: () => drag.drop(),
    pointerleave: () => map.walker === null && map.showCard(-1),
    blur: () => map.byKeyboard(false),
    dblclick: () => map.fit(),
    wheel: (event) => zoomByWheel(map, event),
    keydown: (event) => pressKey(map, event),
  };
  for (const [name, act] of Object.entries(listeners)) canvas.addEventListener(name, act, { passive: false });
  return () => Object.entries(listeners).forEach(([name, act]) => canvas.removeEventListener(name, act));
}

function place(map, event) {
  const frame = map.parts.stage.getBoundingClientRect();
  return [event.clientX - frame.left - 1, event.clientY - frame.top - 1]; // 1 px of border
}

/** One drag: a lasso, a box or a pan; without movement it is a click. Shift swaps drawing and panning. */
class Drag {
  constructor(map) {
    this.map = map;
    this.kind = null;
  }

  begin(event) {
    const { map } = this;
    if (!map.grid) return;
    map.parts.canvas.setPointerCapture(event.pointerId);
    map.parts.canvas.focus({ preventScroll: true });
    map.byKeyboard(false);
    map.walker = map.corners = null;
    map.parts.bar.querySelector("details").open = false;
    this.first = this.last = place(map, event);
    this.moved = false;
    const draws = map.mode === "pan" ? "lasso" : map.mode;
    this.kind = map.data?.compact || (map.mode === "pan") !== event.shiftKey ? "pan" : draws;
    this.path = [map.camera.toData(...this.first)];
    map.showCard(-1);
  }

  move(event) {
    const { map } = this;
    const at = place(map, event);
    if (!this.kind) {
      const i = map.nearest(...at);
      if (i !== map.hovered && map.walker === null) map.showCard(i, ...at);
      return;
    }
    const [dx, dy] = [at[0] - this.last[0], at[1] - this.last[1]];
    if (!this.moved && Math.hypot(dx, dy) < 4) return;
    this.moved = true;
    if (this.kind === "pan") {
      map.camera.panBy(dx, dy);
      this.last = at;
      map.moved();
    } else if (this.kind === "box") {
      map.polygon = box(map.camera.toData(...this.first), map.camera.toData(...at));
      map.drawLasso();
    } else if (Math.hypot(dx, dy) > 3) {
      this.path.push(map.camera.toData(...at));
      this.last = at;
      map.polygon = this.path;
      map.drawLasso();
    }
  }

  end(event) {
    const { map, kind } = this;
    this.kind = null;
    if (!kind) return;
    if (!this.moved) pick(map, ...place(map, event));
    else if (kind !== "pan" && map.polygon?.length > 2) map.closeLasso(map.polygon);
  }

  drop() {
    this.kind = null;
  }
}

function box([x0, y0], [x1, y1]) {
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

function pick(map, px, py) {
  const i = map.nearest(px, py);
  if (i >= 0) map.pick(i);
}

/** The wheel zooms; where it cannot, it scrolls the page: beyond the full view, or up to a hidden upper edge. */
function zoomByWheel(map, event) {
  const zoomedOut = event.deltaY > 0 && map.camera.widest;
  const hiddenTop = event.deltaY < 0 && map.camera.widest && map.parts.stage.getBoundingClientRect().top < 0;
  if (zoomedOut || hiddenTop) return;
  event.preventDefault();
  map.camera.zoomAt(...place(map, event), Math.exp(-event.deltaY * 0.0015));
  map.moved();
}

/** Arrows pan, or step from image to image during a walk (W); + and - zoom, 0 fits, L B P pick a tool, N and I show names
 *  and pictures, Space puts a corner of a lasso, Enter closes it or opens an image, Escape clears. */
function pressKey(map, event) {
  const { camera } = map;
  const step = 60;
  const { walker } = map;
  const [middleX, middleY] = walker === null ? [camera.width / 2, camera.height / 2]
    : camera.toPixel(map.xy[2 * walker], map.xy[2 * walker + 1]);
  if (map.walker !== null && event.key.startsWith("Arrow")) {
    event.preventDefault();
    map.walk(event.key);
    return;
  }
  const acts = {
    w: () => map.toggleWalk(),
    n: () => map.switchNames(),
    i: () => map.switchPictures(),
    " ": () => !map.data?.compact && map.addCorner(),
    ArrowLeft: () => camera.panBy(step, 0),
    ArrowRight: () => camera.panBy(-step, 0),
    ArrowUp: () => camera.panBy(0, step),
    ArrowDown: () => camera.panBy(0, -step),
    "+": () => camera.zoomAt(middleX, middleY, 1.4),
    "=": () => camera.zoomAt(middleX, middleY, 1.4),
    "-": () => camera.zoomAt(middleX, middleY, 1 / 1.4),
    0: () => map.fit(),
    l: () => !map.data?.compact && map.setMode("lasso"),
    b: () => !map.data?.compact && map.setMode("box"),
    p: () => map.setMode("pan"),
    Escape: () => map.clear(),
    Enter: () => map.closeCorners() || pickCentre(map, middleX, middleY),
  };
  const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  map.byKeyboard(true);
  act();
  map.moved();
}

/** Open the image that the walk has reached, else the one nearest the crosshair. */
function pickCentre(map, x, y) {
  if (map.walker !== null) {
    map.pick(map.walker);
    return;
  }
  const i = map.nearest(x, y, 200);
  if (i < 0) return;
  map.showCard(i, x, y);
  map.pick(i);
}
