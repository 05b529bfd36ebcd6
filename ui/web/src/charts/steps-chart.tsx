// Throughput and latency over time with the load levels found in them, and the marked stages in a strip at the bottom. The
// window and the baseline of the analysis are shaded in both charts. A click picks the level or the stage under the pointer,
// Shift+click makes it the baseline, a drag picks a range; the tables below offer the same without a pointer.

import { useMemo, useRef } from "react";
import type uPlot from "uplot";
import type { LoadStep, StepsAnswer } from "../api/types";
import { useText } from "../i18n";
import { clockOrDate, duration, number } from "../lib/format";
import { wholeBins } from "../lib/series";
import { microsOf, microsOfT0 } from "../lib/time";
import { dark } from "../state/settings";
import { Plot } from "./plot";
import { CHART_FONT, type Ink, ink, RIGHT, timeAxis, valueAxis } from "./theme";

/** Seconds since the epoch. */
export interface Interval {
  from: number;
  to: number;
}

export interface StepsChartProps {
  answer: StepsAnswer;
  window: Interval | null;
  baseline: Interval | null;
  pickStep(step: LoadStep, asBaseline: boolean): void;
  pickRange(fromUs: number, toUs: number): void;
  /** Marked stages, in order of time. */
  stages?: readonly StageBand[];
  pickStage?(key: string, asBaseline: boolean): void;
}

export interface StageBand extends Interval {
  key: string;
}

interface Picture {
  stages: readonly StageBand[];
  levels: (Interval & { step: LoadStep })[];
  window: Interval | null;
  baseline: Interval | null;
  words: { window: string; baseline: string };
}

const NO_STAGES: readonly StageBand[] = [];
const nothing = () => {};

export function StepsChart(props: StepsChartProps) {
  const { answer, window, baseline, pickStep, pickRange, stages = NO_STAGES, pickStage = nothing } = props;
  const { t, lang } = useText();
  const isDark = dark.use();
  const data = useMemo(() => columnsOf(answer), [answer]);
  const levels = answer.steps.map((step) => ({ step, from: microsOf(step.start) / 1e6, to: microsOf(step.end) / 1e6 }));
  const picture = useRef<Picture>(null!);
  const words = { window: t("chips.window"), baseline: t("chips.baseline") };
  picture.current = { levels, window, baseline, words, stages };
  const act = useRef({ pickStep, pickRange, pickStage });
  act.current = { pickStep, pickRange, pickStage };
  const drawn = stages.map((s) => `${s.key}@${s.from}`).join();
  const shading = `${window?.from}-${window?.to}-${baseline?.from}-${baseline?.to}-${levels.length}-${drawn}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: theme, language and shading change what the hooks draw
  const [load, latency] = useMemo(() => {
    const colors = ink();
    return [
      options(colors, picture, act, true, number, t("chart.time"), [
        {
          label: t("chart.requests"),
          stroke: colors.text,
          width: 1.5,
          points: { show: false },
          value: (_, v) => rateText(v),
        },
      ]),
      options(colors, picture, act, false, duration, t("chart.time"), [
        { label: "p50", stroke: colors.blue, width: 1.5, points: { show: false }, value: (_, v) => duration(v) },
        { label: "p99", stroke: colors.orange, width: 1.5, points: { show: false }, value: (_, v) => duration(v) },
      ]),
    ];
  }, [isDark, lang, shading]);

  const last = answer.steps.filter((s) => !s.transition).at(-1);
  const found = t("chart.steps.summary", {
    n: answer.steps.filter((s) => !s.transition).length,
    qps: last ? number(last.qps) : "0",
    p99: duration(last?.p99_ns),
  });
  const names = stages.map((s) => s.key).join(t("text.comma"));
  const marked = stages.length > 0 ? [t("chart.steps.stages", { n: stages.length, names })] : [];
  const summary = [found, ...marked].join(t("text.between"));
  return (
    <div className="steps-chart">
      <div>
        <p className="chart-title">{t("chart.requests")}</p>
        <Plot options={load} data={data.load} height={150} summary={summary} />
      </div>
      <div>
        <p className="chart-title">
          {t("chart.latency")} <span className="key blue">p50</span> <span className="key orange">p99</span>
        </p>
        <Plot options={latency} data={data.latency} height={150} summary={summary} />
      </div>
    </div>
  );
}

function rateText(v: number | null): string {
  return v === null ? "–" : `${number(v)}/s`;
}

function columnsOf(answer: StepsAnswer): { load: uPlot.AlignedData; latency: uPlot.AlignedData } {
  const t0 = microsOfT0(answer.t0) / 1e6;
  const bins = wholeBins(answer);
  const x = bins.map((b) => t0 + b.t_us / 1e6);
  const seconds = answer.bin_us / 1e6;
  return {
    load: [x, bins.map((b) => b.requests / seconds)],
    latency: [x, bins.map((b) => b.p50_ns), bins.map((b) => b.p99_ns)],
  };
}

type Ref<T> = { current: T };

function options(
  colors: Ink,
  picture: Ref<Picture>,
  act: Ref<Required<Pick<StepsChartProps, "pickStep" | "pickRange" | "pickStage">>>,
  labelled: boolean,
  print: (v: number) => string,
  timeLabel: string,
  series: uPlot.Series[],
): Omit<uPlot.Options, "width" | "height"> {
  let dragged = false;
  return {
    cursor: { sync: { key: "steps" }, drag: { x: true, y: false, setScale: false, dist: 5 }, points: { size: 6 } },
    legend: { show: true, live: true },
    padding: [18, RIGHT, 0, 0],
    scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
    axes: [timeAxis(colors), valueAxis(colors, print)],
    series: [{ label: timeLabel, value: (_, v) => (v === null ? "–" : clockOrDate(v * 1e3)) }, ...series],
    hooks: {
      drawClear: [(u) => shade(u, colors, picture.current, labelled)],
      setSelect: [
        (u) => {
          if (u.select.width < 5) return;
          dragged = true;
          const from = u.posToVal(u.select.left, "x");
          const to = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          act.current.pickRange(Math.round(from * 1e6), Math.round(to * 1e6));
        },
      ],
      ready: [
        (u) => {
          u.over.addEventListener("mousedown", () => {
            dragged = false;
          });
          u.over.addEventListener("click", (e) => {
            if (dragged) return;
            const at = u.posToVal(e.offsetX, "x");
            const stage = e.offsetY >= u.over.clientHeight - STRIP && picture.current.stages.find((s) => holds(s, at));
            if (stage) {
              act.current.pickStage(stage.key, e.shiftKey);
              return;
            }
            const hit = picture.current.levels.find((l) => holds(l, at) && !l.step.transition);
            if (hit) act.current.pickStep(hit.step, e.shiftKey);
          });
        },
      ],
    },
  };
}

/** The height of the strip of stages. */
const STRIP = 17;

function holds(interval: Interval, at: number): boolean {
  return at >= interval.from && at < interval.to;
}

/** Bands behind the lines: boundaries of the levels, then baseline and window with their names, then the stages. */
function shade(u: uPlot, colors: Ink, picture: Picture, labelled: boolean) {
  const { ctx, bbox } = u;
  const x = (seconds: number) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(seconds, "x", true)));
  const ratio = devicePixelRatio;
  ctx.save();
  for (const level of picture.levels) {
    ctx.fillStyle = colors.dim;
    ctx.globalAlpha = level.step.transition ? 0.1 : 0.04;
    ctx.fillRect(x(level.from) + 1, bbox.top, Math.max(0, x(level.to) - x(level.from) - 2), bbox.height);
  }
  const bands = [
    { at: picture.baseline, color: colors.blue, word: picture.words.baseline },
    { at: picture.window, color: colors.orange, word: picture.words.window },
  ];
  for (const { at, color, word } of bands) {
    if (!at) continue;
    const left = x(at.from);
    const width = x(at.to) - left;
    ctx.fillStyle = color;
    ctx.globalAlpha = 0.13;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top - 2 * ratio, width, 2 * ratio);
    if (!labelled || width < 24 * ratio) continue;
    ctx.fillStyle = colors.text;
    ctx.font = scaledFont(ratio);
    ctx.textBaseline = "bottom";
    ctx.fillText(word, left + 2 * ratio, bbox.top - 4 * ratio, width - 8 * ratio);
  }
  picture.stages.forEach((stage, i) => {
    const left = x(stage.from);
    const width = x(stage.to) - left;
    const top = bbox.top + bbox.height - STRIP * ratio;
    ctx.fillStyle = colors.dim;
    ctx.globalAlpha = i % 2 === 0 ? 0.26 : 0.16;
    ctx.fillRect(left, top, width, STRIP * ratio);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colors.text;
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    if (!labelled || width < 16 * ratio) return;
    ctx.fillStyle = colors.text;
    ctx.font = scaledFont(ratio);
    ctx.textBaseline = "top";
    ctx.fillText(stage.key, left + 4 * ratio, top + 3 * ratio, width - 8 * ratio);
  });
  ctx.restore();
}

function scaledFont(ratio: number): string {
  return CHART_FONT.replace("11px", `${11 * ratio}px`);
}
