// A grid of thumbnails cut from one sprite sheet, and a larger view with arrows. Every text from data is set with
// textContent, so it stays text. Reported back are `opened`, the number of the tile or -1, and `why`, the number of a
// tile that is asked about.

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let root = parentElement.querySelector(".root");
  if (!root) {
    root = document.createElement("div");
    root.className = "root";
    const grid = document.createElement("div");
    grid.className = "gallery";
    root.append(grid, makeViewer());
    parentElement.append(root);
    root.state = { open: -1, pending: null };
  }
  root.report = (i) => setStateValue("opened", i);
  root.ask = (i) => setTriggerValue("why", i);
  const mark = `${data.set}|${data.count}|${(data.captions || []).join("\u0001")}|${(data.marks || []).join()}`;
  if (root.state.drawn !== mark) {
    root.state.drawn = mark;
    drawGrid(root, data);
  }
  root.state.data = data;
  if (data.opened !== undefined && root.state.open >= 0) fillViewer(root, data.opened, data.large, data.fact);
}

function drawGrid(root, data) {
  const grid = root.querySelector(".gallery");
  const tile = data.tile;
  const rows = Math.ceil(data.count / data.columns);
  grid.style.gridTemplateColumns = `repeat(auto-fill, ${tile}px)`;
  grid.style.maxHeight = `${data.height}px`;
  const parts = document.createDocumentFragment();
  for (let i = 0; i < data.count; i += 1) {
    const button = document.createElement("button");
    const text = (data.captions && data.captions[i]) || "";
    button.type = "button";
    button.title = data.ids[i];
    button.setAttribute("aria-label", `${data.ids[i]} ${text}`);
    const picture = document.createElement("div");
    picture.className = "picture";
    const x = (i % data.columns) * tile;
    const y = Math.floor(i / data.columns) * tile;
    picture.style.cssText = `width:${tile}px;height:${tile}px;background-position:-${x}px -${y}px;` +
      `background-size:${data.columns * tile}px ${rows * tile}px`;
    if (data.marks && /^#[0-9a-fA-F]{6}$/.test(data.marks[i] || "")) {
      const bar = document.createElement("div");
      bar.className = "mark";
      bar.style.background = data.marks[i];
      picture.append(bar);
    }
    button.append(picture);
    if (text) {
      const caption = document.createElement("div");
      caption.className = "caption";
      caption.style.width = `${tile}px`;
      caption.textContent = text;
      button.append(caption);
    }
    button.addEventListener("click", () => open(root, i));
    parts.append(button);
  }
  grid.replaceChildren(parts);
  // One rule for all tiles: the sheet is decoded once.
  let sheet = root.querySelector("style");
  if (!sheet) {
    sheet = document.createElement("style");
    root.prepend(sheet);
  }
  sheet.textContent = `.picture { background-image: url("${data.sprite}"); }`;
  const viewer = root.querySelector(".viewer");
  if (viewer.open) viewer.close();
}

function makeViewer() {
  const viewer = document.createElement("dialog");
  viewer.className = "viewer";
  const top = row();
  const name = document.createElement("div");
  name.className = "name";
  const buttons = row();
  buttons.append(textButton("Why this image? →", () => {
    const root = viewer.parentElement;
    const asked = root.state.open;
    root.state.open = -1; // close without reporting: a second message would reach the server while it changes the page
    viewer.close();
    root.ask(asked);
  }), textButton("Close", () => viewer.close()));
  top.append(name, buttons);
  const image = document.createElement("img");
  const bottom = row();
  const place = document.createElement("span");
  place.className = "place";
  bottom.append(textButton("← Previous", () => step(viewer, -1)), place, textButton("Next →", () => step(viewer, 1)));
  const fact = document.createElement("div");
  fact.className = "fact";
  viewer.append(top, image, fact, bottom);
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(viewer, -1);
    if (event.key === "ArrowRight") step(viewer, 1);
  });
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer && !within(viewer, event)) viewer.close(); // the dark part around it
  });
  viewer.addEventListener("close", () => {
    const root = viewer.parentElement;
    if (root.state.open < 0) return;
    root.state.open = -1;
    root.report(-1);
  });
  return viewer;
}

function within(viewer, event) {
  const { left, right, top, bottom } = viewer.getBoundingClientRect();
  return event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
}

function row() {
  const element = document.createElement("div");
  element.className = "row";
  return element;
}

function textButton(text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}

function step(viewer, by) {
  const root = viewer.parentElement;
  const next = root.state.open + by;
  if (next >= 0 && next < root.state.data.count) open(root, next);
}

function open(root, i) {
  const { data } = root.state;
  root.state.open = i;
  const viewer = root.querySelector(".viewer");
  viewer.querySelector(".name").textContent = data.ids[i];
  viewer.querySelector(".place").textContent = `${i + 1} of ${data.count}`;
  viewer.querySelector(".fact").textContent = (data.captions && data.captions[i]) || "";
  viewer.querySelector("img").removeAttribute("src");
  if (!viewer.open) viewer.showModal();
  if (data.opened === i) fillViewer(root, i, data.large, data.fact); // requested before: the server sends nothing new
  root.report(i);
}

function fillViewer(root, i, large, fact) {
  if (i !== root.state.open) return; // the answer to an older request
  const viewer = root.querySelector(".viewer");
  const image = viewer.querySelector("img");
  image.src = large;
  image.alt = root.state.data.ids[i];
  image.style.imageRendering = "auto";
  if (fact) viewer.querySelector(".fact").textContent = fact;
}
