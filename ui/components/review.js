// The review queue: one image at a time with typical images of its label and of the suggested one. Every decision is
// taken here at once and reported afterwards, so that no one waits for the server. Reported is `log`: all that was done since
// the queue was opened, numbered; Python takes over what it has not seen yet.
// Every text from data is set with textContent, so it stays text.

const UPCOMING = 12;
const QUIET_MS = 300;

export default function ({ data, parentElement, setStateValue }) {
  let root = parentElement.querySelector(".review");
  if (!root) {
    root = make("div", { class: "review", tabindex: "-1" });
    parentElement.append(root);
    root.onkeydown = (event) => pressKey(root, event);
    root.state = { at: 0, log: [], mount: `${Date.now()}-${Math.random()}`, timer: 0, chosen: new Set(), shown: false };
  }
  const { state } = root;
  state.report = () => setStateValue("log", { mount: state.mount, acts: state.log });
  state.data = data;
  if (state.set !== data.set) {
    state.set = data.set;
    state.done = new Map(data.items.filter((item) => item.decided).map((item) => [item.id, item.decided]));
    state.history = [];
    state.chosen.clear();
    state.at = Math.max(0, data.items.findIndex((item) => !state.done.has(item.id)));
  }
  draw(root);
  const active = root.getRootNode().activeElement || document.activeElement;
  if (!state.shown && (!active || active === document.body)) root.focus({ preventScroll: true });
  state.shown = true;
}

// -- drawing

function draw(root) {
  const { state } = root;
  const { items } = state.data;
  const held = root.getRootNode().activeElement;
  const focusIn = held && root.contains(held) ? held.dataset.id || "root" : null;
  const item = items[state.at];
  const parts = item ? [progress(root), main(root, item), buttons(root, item), upcoming(root)] : [progress(root)];
  root.replaceChildren(...parts);
  if (focusIn === "root") root.focus({ preventScroll: true });
  else if (focusIn) ([...root.querySelectorAll("[data-id]")].find((one) => one.dataset.id === focusIn) || root).focus({ preventScroll: true });
}

function progress(root) {
  const { done, data } = root.state;
  const decided = data.items.filter((item) => done.has(item.id));
  const count = (kind) => decided.filter((item) => done.get(item.id).decision === kind).length;
  const said = `${decided.length.toLocaleString("en")} of ${data.items.length.toLocaleString("en")} reviewed: ` +
    `${count("correct")} corrected, ${count("confirm")} confirmed, ${count("ignore")} ignored`;
  const bar = make("div", { class: "progress", "aria-hidden": "true" },
    make("div", { style: `width: ${data.items.length ? (100 * decided.length) / data.items.length : 0}%` }));
  const all = decided.length === data.items.length ? " Nothing is left in this list." : "";
  return make("div", {}, make("div", { class: "said", role: "status" }, said + all), bar);
}

function main(root, item) {
  const { data, done } = root.state;
  const picture = make("img", { class: "large", alt: item.id, src: data.large.replace("{i}", item.position) });
  const facts = make("div", { class: "facts" },
    make("div", { class: "name" }, item.id),
    make("div", {}, "Label ", make("b", {}, item.given || "none"),
      ...(item.suggested ? [" · suggested ", make("b", {}, item.suggested)] : [])),
    make("div", { class: "reason" }, item.reason));
  const decided = done.get(item.id);
  if (decided) facts.append(make("div", { class: "decided" }, sentenceOf(decided)));
  const shown = [item.given, item.suggested].filter((label, at, all) => label && all.indexOf(label) === at);
  const mates = make("div", { class: "mates" }, ...shown.map((label) => strip(root, label)));
  return make("div", { class: "main" }, make("div", {}, picture, facts), mates);
}

function sentenceOf({ decision, label }) {
  if (decision === "correct") return `Corrected: it is ${label}.`;
  return decision === "confirm" ? "Confirmed: the label is right." : "Ignored.";
}

function strip(root, label) {
  const { data } = root.state;
  const images = (data.mates[label] || []).map((i) => make("img", { alt: "", src: data.thumb.replace("{i}", i) }));
  return make("figure", {}, make("figcaption", {}, `Typical ${label}`), make("div", { class: "strip" }, ...images));
}

/** The key of a label: 1 to 9 for the first nine; where all labels are digits, each is its own key. */
function keyOf(labels, at) {
  if (labels.every((label) => /^\d$/.test(label))) return labels[at];
  return at < 9 ? String(at + 1) : "";
}

function buttons(root, item) {
  const { data, chosen } = root.state;
  const many = chosen.size ? ` (${chosen.size} images)` : "";
  const labels = data.labels.map((label, at) => {
    const key = keyOf(data.labels, at);
    const suggested = label === item.suggested;
    const own = key && key !== label ? [make("kbd", {}, `${key} `)] : [];
    const [typical] = /^cluster \d+$/.test(label) ? data.mates[label] || [] : []; // its name says nothing
    if (typical !== undefined) own.push(make("img", { alt: "", class: "typical", src: data.thumb.replace("{i}", typical) }));
    return make("button", { type: "button", class: suggested ? "suggested" : "", "data-id": `label ${label}`,
      "aria-label": `It is ${label}`, "aria-keyshortcuts": key || false, onclick: () => decide(root, "correct", label) },
    ...own, label);
  });
  const act = (text, key, label, run) => make("button", { type: "button", "data-id": label, "aria-label": label,
    "aria-keyshortcuts": key, onclick: run }, make("kbd", {}, `${text} `), label);
  const acts = [
    act("K", "k", "Label is right", () => decide(root, "confirm")),
    ...(item.suggested ? [act("Enter", "Enter", `Accept ${item.suggested}`, () => decide(root, "correct", item.suggested))] : []),
    act("S", "s", "Skip", () => move(root, 1)),
    act("I", "i", "Ignore", () => decide(root, "ignore")),
    act("U", "u", "Undo", () => undo(root)),
  ];
  return make("div", { class: "buttons" },
    make("div", { class: "row", role: "group", "aria-label": `It is${many}` }, make("span", { class: "lead" }, `It is${many}:`), ...labels),
    make("div", { class: "row", role: "group", "aria-label": "Other decisions" }, ...acts));
}

/** The next images; a click jumps, Ctrl- or Shift-click selects several for one decision. */
function upcoming(root) {
  const { state } = root;
  const { items, thumb } = state.data;
  const first = Math.max(0, Math.min(state.at - 2, items.length - UPCOMING));
  const tiles = items.slice(first, first + UPCOMING).map((item, k) => {
    const at = first + k;
    const marks = [at === state.at ? "now" : "", state.chosen.has(at) ? "chosen" : "", state.done.has(item.id) ? "done" : ""];
    return make("button", { type: "button", class: marks.join(" "), "data-id": `queue ${at}`,
      "aria-label": `${item.id}, ${item.given}`, "aria-pressed": String(state.chosen.has(at)), title: item.id,
      onclick: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) select(root, at, event.shiftKey);
        else move(root, at - state.at);
      } }, make("img", { alt: "", src: thumb.replace("{i}", item.position) }));
  });
  const hint = "Keys: digits label · Enter accept · K right · S skip · I ignore · U undo · arrows move · X select several";
  return make("div", {}, make("div", { class: "queue", role: "group", "aria-label": "Queue" }, ...tiles), make("div", { class: "hint" }, hint));
}

// -- decisions

function decide(root, decision, label = "") {
  const { state } = root;
  const places = state.chosen.size ? [...state.chosen] : [state.at];
  const before = places.map((at) => [state.data.items[at].id, state.done.get(state.data.items[at].id)]);
  for (const at of places) {
    const { id, given } = state.data.items[at];
    const made = decision === "correct" && label === given ? { decision: "confirm", label: "" } : { decision, label };
    state.done.set(id, made);
    state.log.push({ id, ...made });
  }
  state.history.push({ before, at: state.at });
  state.chosen.clear();
  advance(root);
  later(root);
}

/** To the next image without a decision, else stay. */
function advance(root) {
  const { state } = root;
  const { items } = state.data;
  for (let step = 1; step <= items.length; step++) {
    const at = (state.at + step) % items.length;
    if (!state.done.has(items[at].id)) {
      state.at = at;
      break;
    }
  }
  draw(root);
}

function undo(root) {
  const { state } = root;
  const last = state.history.pop();
  if (!last) return;
  for (const [id, decided] of last.before) {
    if (decided) state.done.set(id, decided);
    else state.done.delete(id);
    state.log.push({ undo: true, id });
  }
  state.at = last.at;
  draw(root);
  later(root);
}

function move(root, by) {
  const { state } = root;
  state.at = Math.max(0, Math.min(state.data.items.length - 1, state.at + by));
  draw(root);
}

function select(root, at, range) {
  const { state } = root;
  const from = range && state.anchor !== undefined ? state.anchor : at;
  for (let k = Math.min(from, at); k <= Math.max(from, at); k++) {
    if (k === at && !range && state.chosen.has(k)) state.chosen.delete(k);
    else state.chosen.add(k);
  }
  state.anchor = at;
  draw(root);
}

function later(root) {
  clearTimeout(root.state.timer);
  root.state.timer = setTimeout(root.state.report, QUIET_MS);
}

function pressKey(root, event) {
  const { state } = root;
  if (event.ctrlKey || event.metaKey || event.altKey || !state.data.items.length) return;
  const item = state.data.items[state.at];
  const acts = {
    k: () => decide(root, "confirm"),
    s: () => move(root, 1),
    i: () => decide(root, "ignore"),
    u: () => undo(root),
    x: () => select(root, state.at, false),
    ArrowRight: () => move(root, 1),
    ArrowLeft: () => move(root, -1),
    Escape: () => {
      state.chosen.clear();
      draw(root);
    },
  };
  const onButton = event.target.closest?.("button");
  if (item.suggested && !onButton) acts.Enter = () => decide(root, "correct", item.suggested);
  const { labels } = state.data;
  const label = /^\d$/.test(event.key) ? labels.find((_, at) => keyOf(labels, at) === event.key) : undefined;
  const act = label !== undefined ? () => decide(root, "correct", label) : acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
