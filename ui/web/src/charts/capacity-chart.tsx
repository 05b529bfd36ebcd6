// Throughput against concurrency: measured points, the fitted curve, the limit with its interval, and the knee.

import { useMemo } from "react";
import type uPlot from "uplot";
import type { CapacityNode } from "../api/capacity";
import { useText } from "../i18n";
import { curveOf, lawOf, queueOf } from "../lib/capacity";
import { number } from "../lib/format";
import { dark } from "../state/settings";
import { Plot } from "./plot";
import { CHART_FONT, type Ink, ink, valueAxis } from "./theme";

export function CapacityChart({ node, summary }: { node: CapacityNode; summary: string }) {
  const { t, lang } = useText();
  const isDark = dark.use();
  const curve = useMemo(
    // Where the limit is a queue's, the other law may pass it.
    () =>
      curveOf(
        node.points,
        node.law === "queue" ? queueOf(node) : lawOf(node),
        node.limit_concurrency ?? node.knee_concurrency,
      ),
    [node],
  );
  const data = useMemo<uPlot.AlignedData>(
    () => [curve.map((p) => p.concurrency), curve.map((p) => p.measured), curve.map((p) => p.fitted)],
    [curve],
  );
  const top = Math.max(
    1e-9,
    ...curve.map((p) => Math.max(p.measured ?? 0, p.fitted ?? 0)),
    node.limit_qps !== null && isNear(node.limit_qps, curve) ? node.limit_qps : 0,
  );
  const words = { limit: t("capacity.limit"), knee: t("capacity.knee") };
  // biome-ignore lint/correctness/useExhaustiveDependencies: made again for another node, theme or language
  const options = useMemo<Omit<uPlot.Options, "width" | "height">>(() => {
    const colors = ink();
    return {
      cursor: { points: { size: 6 } },
      legend: { show: true },
      padding: [16, 16, 0, 0],
      scales: { x: { time: false }, y: { range: [0, top * 1.12] } },
      axes: [
        {
          stroke: colors.dim,
          font: CHART_FONT,
          size: 42,
          label: t("capacity.concurrency"),
          labelFont: CHART_FONT,
          labelSize: 16,
          grid: { stroke: colors.line, width: 1 },
          ticks: { show: false },
          values: (_, splits) => splits.map(number),
        },
        valueAxis(colors, perSecond),
      ],
      series: [
        { label: t("capacity.concurrency"), value: (_, v) => (v === null ? "–" : number(v)) },
        {
          label: t("capacity.measured"),
          stroke: colors.text,
          paths: () => null,
          points: { show: true, size: 5, fill: colors.text, stroke: colors.text },
          value: (_, v) => perSecond(v),
        },
        {
          label: t("capacity.fitted"),
          stroke: colors.orange,
          width: 2,
          spanGaps: true,
          points: { show: false },
          value: (_, v) => perSecond(v),
        },
      ],
      hooks: { drawClear: [(u) => limits(u, node, colors, words)] },
    };
  }, [isDark, lang, node, top]);
  return <Plot options={options} data={data} height={280} summary={summary} />;
}

function perSecond(v: number | null): string {
  return v == null ? "–" : `${number(v)}/s`;
}

/** Whether a limit lies near enough to what was seen to be drawn without flattening the curve. */
function isNear(limit: number, curve: readonly { measured: number | null }[]): boolean {
  return limit <= 3 * Math.max(0, ...curve.map((p) => p.measured ?? 0));
}

/** The limit as a line over its interval, the knee as an upright line. */
function limits(u: uPlot, node: CapacityNode, colors: Ink, words: { limit: string; knee: string }) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const y = (v: number) => Math.min(bbox.top + bbox.height, Math.max(bbox.top, u.valToPos(v, "y", true)));
  const top = u.scales.y.max ?? 0;
  ctx.save();
  ctx.font = CHART_FONT.replace("11px", `${11 * ratio}px`);
  if (node.limit_low_qps !== null) {
    const high = y(node.limit_high_qps ?? top);
    ctx.fillStyle = colors.orange;
    ctx.globalAlpha = 0.1;
    ctx.fillRect(bbox.left, high, bbox.width, y(node.limit_low_qps) - high);
    ctx.globalAlpha = 1;
  }
  ctx.setLineDash([4 * ratio, 4 * ratio]);
  ctx.lineWidth = ratio;
  if (node.limit_qps !== null && node.limit_qps <= top) {
    line(ctx, colors.orange, bbox.left, y(node.limit_qps), bbox.left + bbox.width, y(node.limit_qps));
    ctx.fillStyle = colors.text;
    ctx.textBaseline = "bottom";
    // Away from the knee, which lies at the left.
    ctx.textAlign = "right";
    const right = bbox.left + bbox.width - 6 * ratio;
    ctx.fillText(`${words.limit} ${number(node.limit_qps)}/s`, right, y(node.limit_qps) - 2 * ratio);
    ctx.textAlign = "left";
  }
  if (node.knee_concurrency !== null && node.knee_concurrency <= (u.scales.x.max ?? 0)) {
    const x = u.valToPos(node.knee_concurrency, "x", true);
    line(ctx, colors.blue, x, bbox.top, x, bbox.top + bbox.height);
    ctx.fillStyle = colors.text;
    ctx.textBaseline = "bottom";
    ctx.fillText(words.knee, x + 4 * ratio, bbox.top + bbox.height - 4 * ratio);
  }
  ctx.restore();
}

function line(ctx: CanvasRenderingContext2D, color: string, x0: number, y0: number, x1: number, y1: number) {
  ctx.strokeStyle = color;
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
