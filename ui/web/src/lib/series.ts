// Series of a metric on one axis of time.

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

function median(values: number[]): number {
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.floor((ordered.length - 1) / 2)] ?? 0;
}
