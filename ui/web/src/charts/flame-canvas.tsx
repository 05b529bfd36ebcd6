// The call tree as a flame graph on a canvas, roots on top. The table below it is its twin for keyboard and screen
// reader; the picture itself answers to the pointer.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useText } from "../i18n";
import { type Box, type FlameNode, growth, layoutFlame, type Weights } from "../lib/flame";
import { count, duration, percent } from "../lib/format";
import { css, difference, inkOn, type Rgb, rgbOf, serviceColor } from "../lib/palette";
import { dark } from "../state/settings";
import { CHART_FONT, ink } from "./theme";

export interface FlameCanvasProps {
  nodes: readonly FlameNode[];
  weights: Weights;
  requests: number;
  baselineRequests: number | null;
  /** Colour by growth against the baseline instead of by service. */
  compare: boolean;
  zoom: number | null;
  setZoom(node: number | null): void;
  /** Text to look for: other boxes fade. */
  find: string;
  summary: string;
}

const ROW = 22;

export function FlameCanvas(props: FlameCanvasProps) {
  const { nodes, weights, zoom, setZoom, find } = props;
  const { t } = useText();
  const isDark = dark.use();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<number | null>(null);
  const boxes = useMemo(() => layoutFlame(weights, zoom), [weights, zoom]);
  const height = (boxes.reduce((deepest, b) => Math.max(deepest, b.depth), 0) + 1) * ROW;

  useLayoutEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const watcher = new ResizeObserver(() => setWidth(element.clientWidth));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);

  useEffect(() => {
    const colorOf = (i: number): Rgb =>
      props.compare
        ? difference(growth(weights, i, props.requests, props.baselineRequests ?? 0), isDark)
        : rgbOf(serviceColor(nodes[i].service));
    if (canvas.current && width > 0) paint(canvas.current, width, height, boxes, nodes, colorOf, find);
  }, [boxes, nodes, weights, width, height, isDark, find, props.compare, props.requests, props.baselineRequests]);

  const hit = (e: React.MouseEvent): Box | undefined => {
    const box = canvas.current!.getBoundingClientRect();
    const x = (e.clientX - box.left) / box.width;
    const depth = Math.floor((e.clientY - box.top) / ROW);
    return boxes.find((b) => b.depth === depth && x >= b.x0 && x < b.x1);
  };
  return (
    <div className="flame">
      <div
        role="img"
        aria-label={props.summary}
        className="flame-place"
        style={{ height }}
        onMouseMove={(e) => setHover(hit(e)?.node ?? null)}
        onMouseLeave={() => setHover(null)}
        onClick={(e) => {
          const box = hit(e);
          if (box) setZoom(box.node === zoom ? null : box.node);
        }}
      >
        <canvas ref={canvas} style={{ width: "100%", height }} />
      </div>
      <p className="heat-hover">
        {hover !== null && nodes[hover] ? <HoverText {...props} node={hover} /> : t("flame.hint")}
      </p>
    </div>
  );
}

function HoverText({ nodes, weights, requests, baselineRequests, node }: FlameCanvasProps & { node: number }) {
  const { t } = useText();
  const n = nodes[node];
  const whole = weights.roots.reduce((sum, i) => sum + weights.inclusive[i], 0);
  const grown = weights.base && baselineRequests ? growth(weights, node, requests, baselineRequests) : null;
  return (
    <>
      <b>
        {n.service} · {n.operation}
      </b>{" "}
      {t("flame.hover", {
        per: duration(weights.inclusive[node] / Math.max(1, requests)),
        share: percent(weights.inclusive[node] / Math.max(1, whole)),
        calls: count(n.calls),
      })}
      {grown !== null && ` · ${grown >= 1 ? t("flame.new") : `${grown > 0 ? "+" : ""}${percent(grown)}`}`}
    </>
  );
}

function paint(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  boxes: Box[],
  nodes: readonly FlameNode[],
  colorOf: (node: number) => Rgb,
  find: string,
) {
  const ratio = devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(ratio, ratio);
  context.font = CHART_FONT;
  context.textBaseline = "middle";
  const wanted = find.trim().toLowerCase();
  const ground = ink().raised;
  for (const b of boxes) {
    const n = nodes[b.node];
    const color = colorOf(b.node);
    const x = b.x0 * width;
    const w = (b.x1 - b.x0) * width;
    const y = b.depth * ROW;
    context.globalAlpha = wanted && !`${n.service} ${n.operation}`.toLowerCase().includes(wanted) ? 0.22 : 1;
    context.fillStyle = css(color);
    context.fillRect(x, y, Math.max(0.5, w - 1), ROW - 1);
    if (w < 28) continue;
    context.fillStyle = context.globalAlpha < 1 ? ground : inkOn(color);
    context.save();
    context.beginPath();
    context.rect(x, y, w - 4, ROW);
    context.clip();
    context.fillText(`${n.service} · ${n.operation}`, x + 5, y + ROW / 2);
    context.restore();
  }
  context.globalAlpha = 1;
}
