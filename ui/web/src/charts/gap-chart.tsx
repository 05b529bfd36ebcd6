// What callers wait beside being served, against the calls that the callee serves in a second.

import { useMemo } from "react";
import type uPlot from "uplot";
import type { QueueingRow } from "../api/hidden";
import { useText } from "../i18n";
import { duration, number } from "../lib/format";
import { dark } from "../state/settings";
import { Plot } from "./plot";
import { CHART_FONT, ink, valueAxis } from "./theme";

export function GapChart({ row, summary }: { row: QueueingRow; summary: string }) {
  const { t, lang } = useText();
  const isDark = dark.use();
  const data = useMemo<uPlot.AlignedData>(() => {
    const rates = row.loads.map(([rate]) => rate);
    return [rates, row.loads.map(([, , mean]) => mean), row.loads.map(([, , , , p99]) => p99)];
  }, [row]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: made again for another row, theme or language
  const options = useMemo<Omit<uPlot.Options, "width" | "height">>(() => {
    const colors = ink();
    const line = (label: string, stroke: string): uPlot.Series => ({
      label,
      stroke,
      width: 2,
      spanGaps: true,
      points: { show: true, size: 5, fill: stroke, stroke },
      value: (_, v) => duration(v),
    });
    return {
      cursor: { points: { size: 6 } },
      legend: { show: true },
      padding: [16, 16, 0, 0],
      scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
      axes: [
        {
          stroke: colors.dim,
          font: CHART_FONT,
          size: 42,
          label: t("queueing.rate"),
          labelFont: CHART_FONT,
          labelSize: 16,
          grid: { stroke: colors.line, width: 1 },
          ticks: { show: false },
          values: (_, splits) => splits.map(number),
        },
        valueAxis(colors, duration),
      ],
      series: [
        { label: t("queueing.rate"), value: (_, v) => (v === null ? "–" : `${number(v)}/s`) },
        line(t("metrics.mean"), colors.blue),
        line("p99", colors.orange),
      ],
    };
  }, [isDark, lang, row]);
  return <Plot options={options} data={data} height={220} summary={summary} />;
}
