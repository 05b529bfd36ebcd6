// Series of a metric over time. Cursors of charts on one page move together.

import { useMemo } from "react";
import type uPlot from "uplot";
import type { MetricSeriesAnswer } from "../api/types";
import { useText } from "../i18n";
import { clockOrDate, inUnit } from "../lib/format";
import { seriesColor } from "../lib/palette";
import { aligned, axisRange } from "../lib/series";
import { microsOfT0 } from "../lib/time";
import { dark } from "../state/settings";
import { Plot } from "./plot";
import { ink, RIGHT, timeAxis, valueAxis } from "./theme";

export const MOST_SERIES = 24;

export function labelOf(labels: Record<string, string>): string {
  const text = Object.values(labels).join(" · ");
  return text || "–";
}

export function SeriesChart({ answer, summary }: { answer: MetricSeriesAnswer; summary: string }) {
  const { t, lang } = useText();
  const isDark = dark.use();
  const names = answer.series.slice(0, MOST_SERIES).map((s) => labelOf(s.labels));
  const data = useMemo(() => chartData(answer), [answer]);
  const print = (v: number) => inUnit(v, answer.unit);
  // biome-ignore lint/correctness/useExhaustiveDependencies: made again for theme, language and another set of series
  const options = useMemo<Omit<uPlot.Options, "width" | "height">>(() => {
    const colors = ink();
    return {
      cursor: { sync: { key: "metrics" }, points: { size: 6 } },
      legend: { show: true },
      padding: [10, RIGHT, 0, 0],
      scales: { x: { time: true }, y: { range: (_u, low, high) => axisRange(low, high) } },
      axes: [timeAxis(colors), valueAxis(colors, print)],
      series: [
        { label: t("chart.time"), value: (_, v) => (v === null ? "–" : clockOrDate(v * 1e3)) },
        ...names.map((label, i) => ({
          label,
          stroke: names.length === 1 ? colors.blue : seriesColor(i),
          width: 1.5,
          points: { show: false },
          spanGaps: false,
          value: (_: uPlot, v: number | null) => (v === null ? "–" : print(v)),
        })),
      ],
    };
  }, [isDark, lang, names.join("\u0000"), answer.unit]);
  return <Plot options={options} data={data} height={280} summary={summary} />;
}

function chartData(answer: MetricSeriesAnswer): uPlot.AlignedData {
  const { moments, columns } = aligned(answer.series.slice(0, MOST_SERIES));
  const t0 = microsOfT0(answer.t0) / 1e6;
  return [moments.map((m) => t0 + m / 1e6), ...columns] as uPlot.AlignedData;
}
