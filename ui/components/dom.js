// make("div", { class: "x", onclick: f, disabled: false }, child, ...): an element; an attribute of false is left out.
// Put before the scripts of components that ask for it (browser_script.py).
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node[name] = value;
    else if (value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

