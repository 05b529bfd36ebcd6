// Colours of data. Cividis for density (readable with any colour vision), hues after Okabe-Ito for services, blue/orange for
// differences. The light theme reverses cividis, so that dense always differs most from the ground.

export type Rgb = readonly [number, number, number];

// Cividis sampled at nine points, dark to light (Nuñez, Anderton, Renslow: PLoS ONE 13(7), 2018).
const CIVIDIS: Rgb[] = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [254, 232, 56],
];

/** Colour of a density between 0 and 1. */
export function density(share: number, dark: boolean): Rgb {
  const clamped = Math.min(1, Math.max(0, share));
  return sample(CIVIDIS, dark ? 0.12 + clamped * 0.88 : 1 - clamped);
}

function sample(stops: Rgb[], at: number): Rgb {
  const x = at * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(x));
  const f = x - i;
  const [a, b] = [stops[i], stops[i + 1]];
  return [a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f, a[2] + (b[2] - a[2]) * f];
}

// Okabe-Ito's hues without its oranges, which mark the critical path, then some between them. Always beside a name.
const SERVICE_HUES = [
  "#0072b2",
  "#009e73",
  "#c46a9b",
  "#3a9bd4",
  "#7a6bb8",
  "#8c6d31",
  "#4d9296",
  "#a0567f",
  "#5b8c3a",
  "#6b7f99",
];

/** Colours of series that stand beside each other: no two of a few are alike. */
export function seriesColor(at: number): string {
  const order = [0, 5, 1, 2, 3, 4, 9, 8, 7, 6];
  return SERVICE_HUES[order[at % order.length]];
}

/** The colour of a service: the same on every page and in every session. */
export function serviceColor(name: string): string {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  return SERVICE_HUES[(hash >>> 0) % SERVICE_HUES.length];
}

/** Blue for less, orange for more, ground for unchanged; `change` is relative, -1 to 1. */
export function difference(change: number, dark: boolean): Rgb {
  const strength = Math.min(1, Math.abs(change));
  const ground: Rgb = dark ? [58, 64, 72] : [226, 229, 233];
  const full: Rgb = change > 0 ? (dark ? [230, 126, 34] : [226, 108, 10]) : dark ? [64, 150, 220] : [58, 134, 200];
  return [0, 1, 2].map((i) => ground[i] + (full[i] - ground[i]) * strength) as unknown as Rgb;
}

export function css(rgb: Rgb): string {
  return `rgb(${rgb.map(Math.round).join(" ")})`;
}

/** Black or white, whichever reads better on the colour (WCAG relative luminance). */
export function inkOn(rgb: Rgb): "#000" | "#fff" {
  const linear = (c: number) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const l = 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2]);
  return (l + 0.05) / 0.05 > 1.05 / (l + 0.05) ? "#000" : "#fff";
}

export function rgbOf(hex: string): Rgb {
  const n = Number.parseInt(hex.slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}
