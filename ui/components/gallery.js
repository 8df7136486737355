// A grid of thumbnails cut from one sprite sheet, and a larger view with arrows. Every text from data is set with
// textContent, so it stays text. Reported back are `opened` (the number of the tile in the larger view, or -1), `why`
// (the number of a tile that is asked about) and `acts` (all that was put into the basket, tagged or labelled since the gallery was
// opened; Python takes over what it has not seen yet).
// The larger view also corrects the image's label, from `names`; `labels` are those given before.
// Keys on a tile and in the larger view: B or Space: basket; 1 to 9: tags; arrows: the next tile.

const QUIET_MS = 450; // marks are shown at once and reported after so long without another

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let root = parentElement.querySelector(".root");
  if (!root) {
    root = document.createElement("div");
    root.className = "root";
    const grid = document.createElement("div");
    grid.className = "gallery";
    grid.addEventListener("keydown", (event) => pressKey(root, event));
    root.append(grid, makeViewer());
    parentElement.append(root);
    root.state = { open: -1, pending: [], log: [], mount: `${Date.now()}-${Math.random()}`, timer: 0 };
  }
  root.report = (i) => setStateValue("opened", i);
  root.ask = (i) => setTriggerValue("why", i);
  root.act = (acts) => {
    root.state.log.push(...acts);
    setStateValue("acts", { mount: root.state.mount, acts: root.state.log });
  };
  const mark = `${data.set}|${data.count}|${(data.captions || []).join("\u0001")}|${(data.marks || []).join()}`;
  const fresh = root.state.drawn !== mark;
  if (fresh) flush(root);
  root.state.data = data;
  if (fresh) {
    root.state.drawn = mark;
    drawGrid(root, data);
  }
  if (!root.state.pending.length) takeMarks(root, data);
  if (data.opened !== undefined && root.state.open >= 0) fillViewer(root, data.opened, data.large, data.fact);
}

function drawGrid(root, data) {
  const grid = root.querySelector(".gallery");
  grid.style.gridTemplateColumns = `repeat(auto-fill, ${data.tile}px)`;
  grid.style.maxHeight = `${data.height}px`;
  grid.replaceChildren(...Array.from({ length: data.count }, (_, i) => makeTile(root, data, i)));
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

function makeTile(root, data, i) {
  const { tile } = data;
  const rows = Math.ceil(data.count / data.columns);
  const box = document.createElement("div");
  box.className = "tile";
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
  const tags = document.createElement("div");
  tags.className = "tags";
  picture.append(tags);
  button.append(picture);
  if (text) {
    const caption = document.createElement("div");
    caption.className = "caption";
    caption.style.width = `${tile}px`;
    caption.textContent = text;
    button.append(caption);
  }
  button.addEventListener("click", () => (data.direct ? root.ask(i) : open(root, i)));
  box.append(button);
  if (data.picks) box.append(makePick(root, data, i));
  return box;
}

function makePick(root, data, i) {
  const pick = document.createElement("input");
  pick.type = "checkbox";
  pick.className = "pick";
  pick.title = "Basket (B)";
  pick.setAttribute("aria-label", `Put ${data.ids[i]} into the basket`);
  pick.addEventListener("click", (event) => {
    const { last } = root.state;
    const range = event.shiftKey && last !== undefined ? between(last, i) : [i];
    for (const one of range) setPick(root, one, pick.checked);
    root.state.last = i;
  });
  return pick;
}

function between(a, b) {
  return Array.from({ length: Math.abs(a - b) + 1 }, (_, k) => Math.min(a, b) + k);
}

// -- basket and tags: shown at once, reported together

function takeMarks(root, data) {
  root.state.picks = [...(data.picks || [])];
  root.state.tags = (data.tags || []).map((names) => [...names]);
  root.state.labels = [...(data.labels || [])];
  root.querySelectorAll(".tile").forEach((_, i) => showMarks(root, i));
  showViewerMarks(root);
}

function showMarks(root, i) {
  const box = root.querySelectorAll(".tile")[i];
  if (!box) return;
  const pick = box.querySelector(".pick");
  if (pick) pick.checked = Boolean(root.state.picks[i]);
  box.classList.toggle("picked", Boolean(root.state.picks[i]));
  const names = root.state.tags[i] || [];
  box.querySelector(".tags").textContent = names.slice(0, 3).join(" · ");
}

function setPick(root, i, on) {
  if (!root.state.data.picks || root.state.picks[i] === on) return;
  root.state.picks[i] = on;
  showMarks(root, i);
  showViewerMarks(root);
  later(root, { kind: "basket", id: root.state.data.keys[i], on });
}

function flipTag(root, i, number) {
  const name = (root.state.data.tag_keys || [])[number - 1];
  if (!name) return false;
  const names = root.state.tags[i] || (root.state.tags[i] = []);
  const on = !names.includes(name);
  root.state.tags[i] = on ? [...names, name] : names.filter((one) => one !== name);
  showMarks(root, i);
  showViewerMarks(root);
  later(root, { kind: "tag", id: root.state.data.keys[i], name, on });
  return true;
}

function setLabel(root, i, number) {
  const name = root.state.data.names[number];
  if (name === undefined || root.state.labels[i] === name) return;
  root.state.labels[i] = name;
  showViewerMarks(root);
  later(root, { kind: "label", id: root.state.data.keys[i], label: number });
}

function later(root, act) {
  root.state.pending.push(act);
  clearTimeout(root.state.timer);
  root.state.timer = setTimeout(() => flush(root), QUIET_MS);
}

function flush(root) {
  clearTimeout(root.state.timer);
  const acts = root.state.pending;
  root.state.pending = [];
  if (acts.length) root.act(acts);
}

// -- keyboard

function pressKey(root, event) {
  const tiles = [...root.querySelectorAll(".tile")];
  const i = tiles.findIndex((tile) => tile.contains(event.target));
  if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = stepOf(root, event.key, tiles);
  if (step) tiles[Math.max(0, Math.min(tiles.length - 1, i + step))].querySelector("button").focus();
  else if (!markByKey(root, i, event.key, event.target.tagName === "BUTTON")) return;
  event.preventDefault();
}

function stepOf(root, key, tiles) {
  if (key === "ArrowLeft") return -1;
  if (key === "ArrowRight") return 1;
  if (key !== "ArrowUp" && key !== "ArrowDown") return 0;
  const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
  return key === "ArrowUp" ? -columns : columns;
}

function markByKey(root, i, key, onButton) {
  if (key === "b" || (key === " " && onButton && root.state.data.picks)) {
    setPick(root, i, !root.state.picks[i]);
    return true;
  }
  return /^[1-9]$/.test(key) && flipTag(root, i, Number(key));
}

// -- the larger view

function makeViewer() {
  const viewer = document.createElement("dialog");
  viewer.className = "viewer";
  const top = row();
  const name = document.createElement("div");
  name.className = "name";
  const buttons = row();
  const basket = textButton("Basket", () => {
    const root = viewer.parentElement;
    setPick(root, root.state.open, !root.state.picks[root.state.open]);
  });
  basket.className = "basket";
  buttons.append(basket, textButton("Why this image? →", () => {
    const root = viewer.parentElement;
    const asked = root.state.open;
    flush(root);
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
  const keys = document.createElement("div");
  keys.className = "keys";
  viewer.append(top, image, fact, makeLabel(viewer), keys, bottom);
  viewer.addEventListener("keydown", (event) => pressViewerKey(viewer, event));
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

/** "It is": a select box with the names that a label can have. */
function makeLabel(viewer) {
  const label = document.createElement("label");
  label.className = "label";
  const choice = document.createElement("select");
  choice.addEventListener("change", () => {
    const root = viewer.parentElement;
    setLabel(root, root.state.open, Number(choice.value));
  });
  label.append("It is ", choice);
  return label;
}

function showLabel(root) {
  const { open: i, labels, data } = root.state;
  const label = root.querySelector(".viewer .label");
  const choice = label.querySelector("select");
  const names = data.names || [];
  label.hidden = !names.length;
  if (choice.names !== names.join("\u0001")) {
    choice.names = names.join("\u0001");
    choice.replaceChildren(...["no correction", ...names].map((name, at) => {
      const option = document.createElement("option");
      option.value = at - 1;
      option.textContent = name;
      option.disabled = !at;
      return option;
    }));
  }
  choice.value = names.indexOf(labels[i]);
}

function pressViewerKey(viewer, event) {
  const root = viewer.parentElement;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  if (event.key === "ArrowLeft") step(viewer, -1);
  else if (event.key === "ArrowRight") step(viewer, 1);
  else if (markByKey(root, root.state.open, event.key, false)) event.preventDefault();
}

/** Basket and tags of the open image. */
function showViewerMarks(root) {
  const { open: i, picks, tags, data } = root.state;
  const viewer = root.querySelector(".viewer");
  const basket = viewer.querySelector(".basket");
  basket.hidden = !data.picks;
  if (i < 0) return;
  showLabel(root);
  basket.textContent = picks[i] ? "In the basket ✓" : "Add to basket (B)";
  basket.setAttribute("aria-pressed", String(Boolean(picks[i])));
  const chips = (data.tag_keys || []).slice(0, 9).map((name, at) => {
    const chip = textButton(`${at + 1} ${name}`, () => flipTag(root, root.state.open, at + 1));
    chip.setAttribute("aria-pressed", String((tags[i] || []).includes(name)));
    return chip;
  });
  const others = (tags[i] || []).filter((name) => !(data.tag_keys || []).slice(0, 9).includes(name));
  viewer.querySelector(".keys").replaceChildren(...chips, ...others.map((name) => {
    const said = document.createElement("span");
    said.textContent = name;
    return said;
  }));
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
  showViewerMarks(root);
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
