// The map by keyboard: a crosshair in the middle of the view, a walk from image to image, and a lasso of corners.
// What is under the crosshair or reached by a step is read out by a live region.

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Methods of ScatterMap (scatter.js). */
export const walking = {
  /** Whether the keyboard was used last: the crosshair is then shown. */
  byKeyboard(on) {
    this.parts.stage.classList.toggle("keys", on);
  },

  /** Start a walk at the picked image where it is in view, else at the image nearest the crosshair; or end it. */
  toggleWalk() {
    if (this.walker !== null) {
      this.endWalk();
      return;
    }
    const { camera } = this;
    const start = this.nearest(camera.width / 2, camera.height / 2, 1e6);
    if (start >= 0) this.standOn(start);
  },

  endWalk() {
    this.walker = null;
    this.showCard(-1);
    this.say("");
  },

  /** One step of the walk: the nearest image in the direction of the arrow. */
  walk(key) {
    const [dx, dy] = STEPS[key];
    const [x, y] = [this.xy[2 * this.walker], this.xy[2 * this.walker + 1]];
    const next = this.grid.towards(x, y, dx, dy, (i) => !this.isOut(i));
    if (next >= 0) this.standOn(next);
    else this.say("No further image in this direction.");
  },

  standOn(i) {
    const [x, y] = [this.xy[2 * i], this.xy[2 * i + 1]];
    this.walker = i;
    this.camera.reveal(x, y);
    this.showCard(i, ...this.camera.toPixel(x, y));
    this.moved();
  },

  /** Put a corner of the lasso under the crosshair, or on the image that the walk has reached. */
  addCorner() {
    const { camera, walker } = this;
    const corner = walker === null ? [camera.x, camera.y] : [this.xy[2 * walker], this.xy[2 * walker + 1]];
    this.corners = [...(this.corners || []), corner];
    this.polygon = this.corners;
    this.drawLasso();
    const more = this.corners.length < 3 ? "" : " Press Enter to close the lasso.";
    this.say(`Corner ${this.corners.length}.${more}`);
  },

  /** Close the lasso of corners; false where there is none. */
  closeCorners() {
    const { corners } = this;
    if (!corners || corners.length < 3) return false;
    this.corners = null;
    this.closeLasso(corners);
    const noun = this.chosen === 1 ? "image" : "images";
    this.say(`${this.chosen.toLocaleString("en")} ${noun} in the lasso.`);
    return true;
  },

  say(words) {
    this.parts.said.textContent = words;
  },
};
