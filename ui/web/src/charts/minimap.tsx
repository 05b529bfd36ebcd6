// The whole trace at a glance: every span as a line, the critical path on top, the zoomed part framed. Drawing on it
// zooms; the keys + − 0 and the buttons beside it do the same.

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { TraceSpan } from "../api/types";
import { serviceColor } from "../lib/palette";
import { dark } from "../state/settings";
import { ink } from "./theme";

export interface MinimapProps {
  spans: readonly TraceSpan[];
  /** Depth of each span. */
  depths: Int32Array;
  range: [number, number];
  view: [number, number];
  setView(view: [number, number]): void;
}

const HEIGHT = 52;

export function Minimap({ spans, depths, range, view, setView }: MinimapProps) {
  const isDark = dark.use();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [draft, setDraft] = useState<[number, number] | null>(null);
  const anchor = useRef<number | null>(null);

  useLayoutEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const watcher = new ResizeObserver(() => setWidth(element.clientWidth));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);

  useEffect(() => {
    if (canvas.current && width > 0) paint(canvas.current, width, spans, depths, range, isDark);
  }, [width, spans, depths, range, isDark]);

  const at = (e: React.PointerEvent) => {
    const box = e.currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
    return range[0] + share * (range[1] - range[0]);
  };
  const share = (ns: number) => ((ns - range[0]) / (range[1] - range[0])) * 100;
  const shown = draft ?? view;
  return (
    <div
      className="minimap"
      aria-hidden="true"
      style={{ height: HEIGHT }}
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId);
        anchor.current = at(e);
      }}
      onPointerMove={(e) => {
        if (anchor.current === null) return;
        const to = at(e);
        setDraft([Math.min(anchor.current, to), Math.max(anchor.current, to)]);
      }}
      onPointerUp={() => {
        if (draft && draft[1] - draft[0] > (range[1] - range[0]) / 500) setView(draft);
        else setView(range);
        anchor.current = null;
        setDraft(null);
      }}
    >
      <canvas ref={canvas} style={{ width: "100%", height: HEIGHT }} />
      <div className="minimap-shade" style={{ left: 0, width: `${share(shown[0])}%` }} />
      <div className="minimap-shade" style={{ left: `${share(shown[1])}%`, right: 0 }} />
    </div>
  );
}

function paint(
  canvas: HTMLCanvasElement,
  width: number,
  spans: readonly TraceSpan[],
  depths: Int32Array,
  range: [number, number],
  _dark: boolean,
) {
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(ratio, ratio);
  const colors = ink();
  const scale = width / (range[1] - range[0]);
  let deepest = 1;
  for (const d of depths) if (d + 1 > deepest) deepest = d + 1;
  const line = Math.min(5, (HEIGHT - 8) / deepest);
  context.globalAlpha = 0.75;
  spans.forEach((s, i) => {
    context.fillStyle = serviceColor(s.service);
    const x = (s.start_ns - range[0]) * scale;
    context.fillRect(x, 2 + depths[i] * line, Math.max(0.7, s.duration_ns * scale), Math.max(0.7, line - 1));
  });
  context.globalAlpha = 1;
  context.fillStyle = colors.orange;
  for (const s of spans) {
    for (const [from, to] of s.critical_segments) {
      context.fillRect((from - range[0]) * scale, HEIGHT - 4, Math.max(0.7, (to - from) * scale), 3);
    }
  }
}
