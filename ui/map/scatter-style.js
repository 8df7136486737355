// CSS of the map, styled through Streamlit's --st- variables so that light and dark follow the page.

export const STYLE = `
.cm { display: grid; grid-template-columns: minmax(0, 1fr); gap: 10px; color: var(--st-text-color);
  font: 13px var(--st-font, sans-serif); container-type: inline-size; }
.cm * { box-sizing: border-box; }
.cm-body { display: grid; grid-template-columns: minmax(0, 1fr) 264px; gap: 12px; }
.cm-body.alone { grid-template-columns: minmax(0, 1fr); }
@container (max-width: 760px) { .cm-body { grid-template-columns: minmax(0, 1fr) 204px; } }
@container (max-width: 620px) { .cm-body { grid-template-columns: minmax(0, 1fr); } .cm-side { max-height: 300px; } }
.cm-stage { position: relative; overflow: hidden; border-radius: 8px; border: 1px solid var(--st-border-color);
  background: var(--st-secondary-background-color); }
.cm-stage canvas, .cm-stage svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.cm-stage canvas { touch-action: none; outline: none; }
.cm-stage canvas:focus-visible { box-shadow: inset 0 0 0 2px var(--st-primary-color); }
.cm-stage svg, .cm-stage .cm-pictures { pointer-events: none; }
.cm-names { position: absolute; inset: 0; overflow: hidden; pointer-events: none; }
.cm-names span { position: absolute; transform: translate(-50%, -50%); white-space: nowrap; font-size: 12.5px;
  font-weight: 600; --halo: var(--st-secondary-background-color); text-shadow: 0 0 2px var(--halo), 0 0 3px var(--halo),
  1px 1px 2px var(--halo), -1px -1px 2px var(--halo), 1px -1px 2px var(--halo), -1px 1px 2px var(--halo); }
.cm-names img, .cm-rows img, .cm-legend img { width: 28px; height: 28px; object-fit: cover; border-radius: 4px;
  margin-right: 4px; vertical-align: middle; }
.cm-rows img, .cm-legend img { width: 20px; height: 20px; }
.cm-near { fill: none; stroke: var(--cm-picked); stroke-width: 1.4; stroke-opacity: .85; }
.cm-cross { position: absolute; inset: 0; display: none; pointer-events: none;
  background: linear-gradient(var(--st-text-color), var(--st-text-color)) center / 23px 1.5px no-repeat,
    linear-gradient(var(--st-text-color), var(--st-text-color)) center / 1.5px 23px no-repeat; }
.cm-stage.keys .cm-cross { display: block; }
.cm-said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.cm-lasso { fill: var(--st-primary-color); fill-opacity: .1; stroke: var(--st-primary-color); stroke-width: 1.5; }
.cm-ring { fill: none; stroke: var(--cm-picked); stroke-width: 2.5; }
.cm-bar { position: absolute; top: 8px; right: 8px; display: flex; gap: 4px; flex-wrap: wrap; justify-content: end; }
.cm-save { position: relative; }
.cm-save summary { list-style: none; }
.cm-menu { position: absolute; right: 0; top: calc(100% + 4px); display: grid; gap: 4px; z-index: 2; }
.cm button, .cm-save summary { font: inherit; font-size: 12px; padding: 3px 9px; border-radius: 6px; cursor: pointer;
  border: 1px solid var(--st-border-color); background: var(--st-background-color); color: var(--st-text-color); }
.cm button[hidden] { display: none; }
.cm button[aria-pressed=true] { border-color: var(--st-primary-color); color: var(--st-primary-color); font-weight: 600; }
.cm-note { position: absolute; left: 8px; bottom: 6px; padding: 2px 6px; border-radius: 4px; font-size: 12px;
  background: color-mix(in srgb, var(--st-background-color) 80%, transparent); pointer-events: none; }
.cm-note:empty { display: none; }
.cm-card { position: absolute; display: none; z-index: 3; pointer-events: none; padding: 6px; border-radius: 8px;
  max-width: 220px; background: var(--st-background-color); border: 1px solid var(--st-border-color);
  box-shadow: 0 4px 14px rgba(0, 0, 0, .25); font-size: 12px; line-height: 1.45; overflow-wrap: anywhere; }
.cm-card img { display: block; width: 112px; height: 112px; object-fit: contain; margin-bottom: 4px; }
.cm-side { display: flex; flex-direction: column; gap: 10px; overflow: auto; }
.cm-side[hidden] { display: none; }
.cm-side h4 { margin: 0 0 4px; font-size: 12px; font-weight: 600; opacity: .75; }
.cm-legend { display: flex; flex-wrap: wrap; gap: 2px 4px; }
.cm-legend button { display: inline-flex; align-items: center; gap: 5px; border-color: transparent;
  background: none; padding: 1px 5px; }
.cm-legend button[aria-pressed=false] { opacity: .4; text-decoration: line-through; color: inherit; font-weight: 400; }
.cm-legend button[aria-pressed=true] { color: inherit; font-weight: 400; border-color: transparent; }
.cm-legend button:hover, .cm-legend button:focus-visible { background: var(--st-secondary-background-color); }
.cm-dot { width: 10px; height: 10px; border-radius: 50%; flex: none; }
.cm-dot.form1 { border-radius: 1px; }
.cm-dot.form2 { border-radius: 0; clip-path: polygon(50% 0, 100% 50%, 50% 100%, 0 50%); }
.cm-dot.form3 { border-radius: 0; clip-path: polygon(50% 0, 100% 100%, 0 100%); }
.cm-head { display: flex; gap: 8px; align-items: center; justify-content: space-between; }
.cm-hint { font-size: 11.5px; opacity: .85; margin-bottom: 4px; }
.cm-ramp { height: 10px; border-radius: 3px; }
.cm-range { position: relative; height: 16px; }
.cm-range input { position: absolute; inset: 0; width: 100%; margin: 0; background: none; appearance: none;
  pointer-events: none; height: 16px; }
.cm-range input::-webkit-slider-thumb { appearance: none; pointer-events: auto; width: 9px; height: 16px; cursor: ew-resize;
  border: 1px solid var(--st-text-color); border-radius: 3px; background: var(--st-background-color); }
.cm-range input::-moz-range-thumb { pointer-events: auto; width: 8px; height: 14px; cursor: ew-resize;
  border: 1px solid var(--st-text-color); border-radius: 3px; background: var(--st-background-color); }
.cm-ends { display: flex; justify-content: space-between; font-size: 12px; opacity: .8; }
.cm-rows { display: grid; grid-template-columns: minmax(30px, max-content) 1fr max-content; gap: 3px 6px;
  align-items: center; font-size: 12px; font-variant-numeric: tabular-nums; }
.cm-rows > span:first-child { overflow: hidden; text-overflow: ellipsis; }
.cm-track { height: 9px; border-radius: 2px; overflow: hidden; background: color-mix(in srgb, currentColor 14%, transparent); }
.cm-fill { height: 100%; transform-origin: left; }
.cm-lost { color: light-dark(#9a5b00, #f0a840); font-weight: 600; }
.cm-sliders { display: grid; gap: 6px 18px; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); }
.cm-slider { display: grid; grid-template-columns: max-content 1fr minmax(56px, max-content); gap: 8px; align-items: center; }
.cm-slider input { width: 100%; accent-color: var(--st-primary-color); }
.cm-slider input.reversed { direction: rtl; appearance: none; height: 6px; border-radius: 3px;
  background: linear-gradient(90deg, var(--st-primary-color) var(--left),
    color-mix(in srgb, currentColor 18%, transparent) var(--left)); }
.cm-slider input.reversed::-webkit-slider-thumb { appearance: none; width: 15px; height: 15px; border-radius: 50%;
  background: var(--st-primary-color); }
.cm-slider input.reversed::-moz-range-thumb { width: 15px; height: 15px; border: 0; border-radius: 50%;
  background: var(--st-primary-color); }
.cm-slider output { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.cm-count { font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.cm-count small { font-size: 12px; font-weight: 400; opacity: .8; }
`;
