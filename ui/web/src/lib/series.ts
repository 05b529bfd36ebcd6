// Series over time: bins of load, and those of a metric on one axis.

import { microsOf, microsOfT0 } from "./time";

interface Binned<Bin> {
  meta: { start: string };
  /** Decimal text of unix nanoseconds. */
  t0: string;
  bin_us: number;
  timeline: readonly Bin[];
  /** In the order of time; the last one ends with what is known. */
  steps: readonly { end: string }[];
}

/** Whether there is a rate and a latency to draw: axes alone would show figures that nothing had. */
export function hasRequests(answer: { timeline: readonly { requests: number }[] }): boolean {
  return answer.timeline.some((bin) => bin.requests > 0);
}

/** The bins that lie wholly within what was asked for and is known: any other would draw a plunge where there was none. */
export function wholeBins<Bin extends { t_us: number }>(answer: Binned<Bin>): Bin[] {
  const t0 = microsOfT0(answer.t0);
  const from = microsOf(answer.meta.start);
  const known = answer.steps.at(-1)?.end;
  const to = known ? microsOf(known) : Number.POSITIVE_INFINITY;
  const last = answer.timeline.length - 1;
  return answer.timeline.filter((bin, i) => {
    const begin = t0 + bin.t_us;
    return !(i === 0 && begin < from) && !(i === last && begin + answer.bin_us > to);
  });
}

/** Series without the last step where it is not over; the range begins with the first one and has that length. */
export function wholeSteps<S extends TimedSeries>(series: readonly S[], stepUs: number, lengthUs: number): S[] {
  return series.map((s) => {
    const over = s.t_us.findIndex((t) => t + stepUs > lengthUs);
    return over < 0 ? s : { ...s, t_us: s.t_us.slice(0, over), values: s.values.slice(0, over) };
  });
}

/**
 * Whether a step of such an answer has only what came so far: it counts, and is no state of a moment. A sum of a counter
 * and that of a pool's connections look alike; without being asked the server adds up only the latter.
 */
export function fillsUp({ agg, type }: { agg: string; type: string }, asked: boolean): boolean {
  if (agg === "rate" || agg === "count") return true;
  return agg === "sum" && type !== "GAUGE" && (type !== "SUM" || asked);
}

/** Parts of a window in a row's trend, as the server cuts them: of whole seconds where they are not shorter than half one. */
const TREND_PARTS = 30;

/** A row's trend without the last part where the window ends within it: it would draw a plunge where there was none. */
export function wholeTrend(
  trend: readonly number[] | null,
  window: { start: string; end: string },
): readonly number[] | null {
  const start = Math.floor(microsOf(window.start) / 1e6);
  const end = microsOf(window.end) / 1e6;
  if (!trend || end - start < TREND_PARTS / 2) return trend;
  const width = Math.ceil((end - start) / TREND_PARTS);
  return start + trend.length * width > end ? trend.slice(0, -1) : trend;
}

export interface TimedSeries {
  t_us: readonly number[];
  values: readonly (number | null)[];
}

/** A pause of more than this many of a series' usual distances is a gap; a shorter one is how often it is sent. */
const GAP = 2.5;

/**
 * The moments of all series and each series' values at them. A moment without a value is `null` where the series pauses
 * (the line breaks) and `undefined` where it merely has no point (the line goes on).
 */
export function aligned(series: readonly TimedSeries[]): {
  moments: number[];
  columns: (number | null | undefined)[][];
} {
  const moments = [...new Set(series.flatMap((s) => s.t_us))].sort((a, b) => a - b);
  const at = new Map(moments.map((m, i) => [m, i]));
  const columns = series.map((s) => {
    const values: (number | null | undefined)[] = new Array(moments.length).fill(null);
    const points = s.t_us.flatMap((m, i) => (s.values[i] === null ? [] : [{ m, v: s.values[i] as number }]));
    const usual = median(points.slice(1).map((p, i) => p.m - points[i].m));
    points.forEach(({ m, v }, i) => {
      const here = at.get(m) as number;
      values[here] = v;
      const next = points[i + 1];
      if (!next || next.m - m > GAP * usual) return;
      values.fill(undefined, here + 1, at.get(next.m) as number);
    });
    return values;
  });
  return { moments, columns };
}

/** Below this part of the largest value, a spread above zero could hardly be seen on an axis that begins at zero. */
const SEEN = 0.1;

/**
 * The ends of an axis for values from `low` to `high`. It begins at zero, so that twice as high is twice as much, unless
 * the values vary too little to be seen there.
 */
export function axisRange(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (high < 0) {
    const [from, to] = axisRange(-high, -low);
    return [-to, -from];
  }
  const spread = high - Math.min(low, 0);
  if (spread === 0) return [0, 1];
  if (low < 0) return [low - 0.08 * spread, high + 0.08 * spread];
  const varies = high - low;
  if (varies === 0 || varies >= SEEN * high) return [0, 1.08 * high];
  return [Math.max(0, low - 0.2 * varies), high + 0.2 * varies];
}

function median(values: number[]): number {
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.floor((ordered.length - 1) / 2)] ?? 0;
}
