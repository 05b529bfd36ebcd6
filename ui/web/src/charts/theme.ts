// The page's colours for canvases, and the axes that all line charts share.

import type uPlot from "uplot";
import { timeMark } from "../lib/format";
import { TIME_STEPS } from "../lib/time";

export interface Ink {
  text: string;
  dim: string;
  line: string;
  ground: string;
  raised: string;
  accent: string;
  blue: string;
  orange: string;
  red: string;
}

/** Reads the theme's custom properties; call again when the theme changes. */
export function ink(): Ink {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: read("text"),
    dim: read("dim"),
    line: read("line"),
    ground: read("ground"),
    raised: read("raised"),
    accent: read("accent"),
    blue: read("blue"),
    orange: read("orange"),
    red: read("red"),
  };
}

export const CHART_FONT = '11px system-ui, -apple-system, "Segoe UI", "Noto Sans CJK SC", sans-serif';

/** Room at the right of a chart: half of a time below its last mark. */
export const RIGHT = 30;

export function timeAxis(colors: Ink): uPlot.Axis {
  return {
    stroke: colors.dim,
    font: CHART_FONT,
    size: 24,
    space: 78,
    incrs: TIME_STEPS,
    grid: { stroke: colors.line, width: 1 },
    ticks: { stroke: colors.line, width: 1, size: 4 },
    values: (_, splits) => splits.map((s) => timeMark(s * 1e3)),
  };
}

export function valueAxis(colors: Ink, print: (v: number) => string, side: 1 | 3 = 3): uPlot.Axis {
  return {
    side,
    stroke: colors.dim,
    font: CHART_FONT,
    size: 58,
    space: 26,
    gap: 4,
    grid: { show: side === 3, stroke: colors.line, width: 1 },
    ticks: { show: false },
    values: (_, splits) => splits.map(print),
  };
}
