// Colours of the map: from hex stops given by Python to [r, g, b] per code.

/** 0 (black) to 1 (white), of any CSS colour. */
export function brightness(colour) {
  const paint = document.createElement("canvas").getContext("2d");
  paint.fillStyle = colour.trim() || "#fff";
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(paint.fillStyle.slice(at, at + 2), 16) / 255);
  return 0.3 * r + 0.59 * g + 0.11 * b;
}

export function hexToRgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Categories: the given colours. Numbers: 255 steps between the given stops, and grey for "missing" (code 255). */
export function paletteOf(colour, theme) {
  const stops = colour.colours[theme].map(hexToRgb);
  if (colour.kind === "category") return stops;
  const steps = Array.from({ length: 255 }, (_, s) => {
    const at = (s / 254) * (stops.length - 1);
    const a = Math.min(stops.length - 2, Math.floor(at));
    return stops[a].map((v, c) => Math.round(v + (stops[a + 1][c] - v) * (at - a)));
  });
  return [...steps, [128, 128, 128]];
}

/** The palette repeated to 256 codes; numbers have their own 256 already. */
export function repeatPalette(palette, colour) {
  if (colour?.kind !== "category") return palette;
  return Array.from({ length: 256 }, (_, c) => palette[c % palette.length]);
}
