// Mounts a map. Streamlit sends this text with every rerun, so it stays small; the modules are loaded once over HTTP.
// __VERSION__ is replaced by the content hash of the modules.
const modules = import(new URL("/coreset/js/__VERSION__/scatter.js", window.location.origin).href);

export default function (component) {
  let close = null;
  let removed = false;
  modules
    .then((map) => { if (!removed) close = map.mount(component); })
    .catch((fault) => { component.parentElement.textContent = `The map could not be loaded: ${fault.message}`; });
  return () => {
    removed = true;
    close?.();
  };
}
