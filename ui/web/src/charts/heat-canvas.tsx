// The latency heat map: one pixel per cell blown up without smoothing, axes beside it, the selection as an element on
// top so that brushing never redraws the picture. Drawing a box, a strip of time or a band of durations selects; so do
// the arrow keys.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useText } from "../i18n";
import { clockOrDate, count, duration, timeMark } from "../lib/format";
import { type Cells, cellsOf, type HeatGrid, nudge, type Selection, selectionOf } from "../lib/heat";
import { density } from "../lib/palette";
import { timeTicks } from "../lib/time";
import { dark, frozen } from "../state/settings";
import { CHART_FONT, ink } from "./theme";

export type BrushShape = "box" | "strip" | "band";

export interface HeatCanvasProps {
  grid: HeatGrid;
  errors: ArrayLike<number>;
  /** Largest count of a cell. */
  max: number;
  selection: Selection | null;
  shape: BrushShape;
  summary: string;
  select(selection: Selection | null): void;
}

const LEFT = 62;
const BOTTOM = 24;
const TOP = 6;
const HEIGHT = 380;

export function HeatCanvas(props: HeatCanvasProps) {
  const { grid, selection, summary, select } = props;
  const { t } = useText();
  const isDark = dark.use();
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [draft, setDraft] = useState<Cells | null>(null);
  const [hover, setHover] = useState<{ c: number; r: number } | null>(null);
  const anchor = useRef<{ c: number; r: number } | null>(null);

  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const watcher = new ResizeObserver(() => setWidth(element.clientWidth));
    watcher.observe(element);
    setWidth(element.clientWidth);
    return () => watcher.disconnect();
  }, []);

  const plotWidth = Math.max(1, width - LEFT - 2);
  const plotHeight = HEIGHT - TOP - BOTTOM;
  const picture = useMemo(() => paintCells(grid, props.max, isDark), [grid, props.max, isDark]);

  useEffect(() => {
    if (canvas.current && width > 0) draw(canvas.current, width, picture, grid, isDark);
  }, [width, picture, grid, isDark]);

  const cellAt = (e: React.PointerEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const c = Math.floor(((e.clientX - box.left - LEFT) / plotWidth) * grid.columns);
    const r = Math.floor((1 - (e.clientY - box.top - TOP) / plotHeight) * grid.rows);
    return { c: Math.min(grid.columns - 1, Math.max(0, c)), r: Math.min(grid.rows - 1, Math.max(0, r)) };
  };
  const between = (a: { c: number; r: number }, b: { c: number; r: number }): Cells => {
    const box = {
      c0: Math.min(a.c, b.c),
      c1: Math.max(a.c, b.c) + 1,
      r0: Math.min(a.r, b.r),
      r1: Math.max(a.r, b.r) + 1,
    };
    if (props.shape === "strip") return { ...box, r0: 0, r1: grid.rows };
    if (props.shape === "band") return { ...box, c0: 0, c1: grid.columns };
    return box;
  };
  const finish = (e: React.PointerEvent) => {
    if (!anchor.current) return;
    select(selectionOf(grid, between(anchor.current, cellAt(e)), selection?.errors ?? false));
    anchor.current = null;
    setDraft(null);
    frozen.set(false);
  };
  const onKey = (e: React.KeyboardEvent) => {
    const step = ARROWS[e.key];
    if (e.key === "Escape") select(null);
    else if (step) {
      const start = selection ? cellsOf(grid, selection) : middleOf(grid);
      select(selectionOf(grid, nudge(grid, start, step[0], step[1], e.shiftKey), selection?.errors ?? false));
    } else return;
    e.preventDefault();
    e.stopPropagation();
  };

  const shown = draft ?? (selection ? cellsOf(grid, selection) : null);
  return (
    <div className="heat" ref={place}>
      <div
        className="heat-place"
        role="application"
        aria-roledescription={t("heat.role")}
        aria-label={`${summary} ${t("heat.keys")}`}
        tabIndex={0}
        style={{ height: HEIGHT }}
        onKeyDown={onKey}
        onPointerDown={(e) => {
          if (e.button !== 0) return;
          e.currentTarget.setPointerCapture(e.pointerId);
          anchor.current = cellAt(e);
          frozen.set(true);
          setDraft(between(anchor.current, anchor.current));
        }}
        onPointerMove={(e) => {
          const cell = cellAt(e);
          setHover(cell);
          if (anchor.current) setDraft(between(anchor.current, cell));
        }}
        onPointerUp={finish}
        onPointerCancel={() => {
          anchor.current = null;
          setDraft(null);
          frozen.set(false);
        }}
        onPointerLeave={() => setHover(null)}
      >
        <canvas ref={canvas} aria-hidden="true" style={{ width: "100%", height: HEIGHT }} />
        {shown && (
          <div
            className="heat-brush"
            style={{
              left: LEFT + (shown.c0 / grid.columns) * plotWidth,
              width: ((shown.c1 - shown.c0) / grid.columns) * plotWidth,
              top: TOP + (1 - shown.r1 / grid.rows) * plotHeight,
              height: ((shown.r1 - shown.r0) / grid.rows) * plotHeight,
            }}
          />
        )}
      </div>
      <div className="heat-foot">
        <p className="heat-hover">{hover ? cellText(props, hover, t) : t("heat.hint")}</p>
        <Legend max={props.max} isDark={isDark} />
      </div>
    </div>
  );
}

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

function middleOf(grid: HeatGrid): Cells {
  const c0 = Math.floor(grid.columns * 0.75);
  const r0 = Math.floor(grid.rows * 0.6);
  return { c0, c1: grid.columns, r0, r1: grid.rows };
}

function cellText(props: HeatCanvasProps, at: { c: number; r: number }, t: ReturnType<typeof useText>["t"]): string {
  const { grid, errors } = props;
  const from = (grid.t0 + at.c * grid.binUs) / 1e3;
  const top = at.r === grid.rows - 1 ? "∞" : duration(grid.edges[at.r + 1]);
  const i = at.c * grid.rows + at.r;
  return t("heat.cell", {
    time: clockOrDate(from),
    low: duration(grid.edges[at.r]),
    high: top,
    n: count(grid.counts[i]),
    errors: count(errors[i] ?? 0),
  });
}

/** Colour of a count: a log scale, so that single slow spans are still seen beside thousands of fast ones. */
function shade(n: number, max: number): number {
  return n === 0 ? 0 : 0.16 + 0.84 * (Math.log(n) / Math.log(Math.max(2, max)));
}

function paintCells(grid: HeatGrid, max: number, isDark: boolean): HTMLCanvasElement {
  const small = document.createElement("canvas");
  small.width = grid.columns;
  small.height = grid.rows;
  const context = small.getContext("2d");
  if (!context) return small;
  const image = context.createImageData(grid.columns, grid.rows);
  for (let c = 0; c < grid.columns; c++) {
    for (let r = 0; r < grid.rows; r++) {
      const n = grid.counts[c * grid.rows + r];
      if (n === 0) continue;
      const [red, green, blue] = density(shade(n, max), isDark);
      const at = ((grid.rows - 1 - r) * grid.columns + c) * 4;
      image.data.set([red, green, blue, 255], at);
    }
  }
  context.putImageData(image, 0, 0);
  return small;
}

function draw(canvas: HTMLCanvasElement, width: number, cells: HTMLCanvasElement, grid: HeatGrid, _isDark: boolean) {
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  const context = canvas.getContext("2d");
  if (!context) return;
  const colors = ink();
  const w = width - LEFT - 2;
  const h = HEIGHT - TOP - BOTTOM;
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = false;
  context.drawImage(cells, LEFT, TOP, w, h);
  context.strokeStyle = colors.line;
  context.strokeRect(LEFT - 0.5, TOP - 0.5, w + 1, h + 1);
  context.font = CHART_FONT;
  context.fillStyle = colors.dim;
  drawDurations(context, grid, h);
  drawTimes(context, grid, w, h);
}

function drawDurations(context: CanvasRenderingContext2D, grid: HeatGrid, h: number) {
  context.textAlign = "right";
  context.textBaseline = "middle";
  let last = Infinity;
  for (const ns of niceDurations(grid.edges[1], grid.edges[grid.rows])) {
    const y = TOP + h * (1 - positionOf(grid.edges, ns) / grid.rows);
    if (last - y < 22 || y < TOP + 4) continue;
    context.fillText(duration(ns), LEFT - 8, y);
    context.fillRect(LEFT - 4, y, 3, 1);
    last = y;
  }
}

function drawTimes(context: CanvasRenderingContext2D, grid: HeatGrid, w: number, h: number) {
  context.textBaseline = "top";
  const from = grid.t0 / 1e6;
  const seconds = (grid.columns * grid.binUs) / 1e6;
  for (const at of timeTicks(from, from + seconds, Math.max(2, Math.floor(w / 110)))) {
    const x = LEFT + ((at - from) / seconds) * w;
    const text = timeMark(at * 1e3);
    const half = context.measureText(text).width / 2;
    context.textAlign = x + half > LEFT + w ? "right" : "center";
    context.fillText(text, Math.min(x, LEFT + w), TOP + h + 7);
    context.fillRect(x, TOP + h + 1, 1, 4);
  }
}

function niceDurations(low: number, high: number): number[] {
  const out: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(Math.max(1, low))); power <= high; power *= 10) {
    for (const m of [1, 2, 5]) if (m * power >= low && m * power <= high) out.push(m * power);
  }
  return out;
}

/** Where a duration lies among the rows, with its fraction on the log scale. */
function positionOf(edges: number[], ns: number): number {
  let r = 0;
  while (r < edges.length - 2 && edges[r + 1] <= ns) r++;
  const low = Math.max(1, edges[r]);
  const span = Math.log(edges[r + 1]) - Math.log(low);
  return r + (span > 0 ? Math.min(1, Math.max(0, (Math.log(ns) - Math.log(low)) / span)) : 0);
}

function Legend({ max, isDark }: { max: number; isDark: boolean }) {
  const { t } = useText();
  const steps = [1, 0.02 * max, 0.2 * max, max].map((n) => Math.max(1, Math.round(n)));
  return (
    <p className="legend">
      <span>{t("heat.legend")}</span>
      {[...new Set(steps)].map((n) => (
        <span key={n} className="legend-step">
          <i style={{ background: `rgb(${density(shade(n, max), isDark).map(Math.round).join(" ")})` }} />
          {count(n)}
        </span>
      ))}
    </p>
  );
}
