import { expect, test } from "vitest";
import { aligned, axisRange, fillsUp, hasRequests, wholeBins, wholeSteps, wholeTrend } from "./series";

test("a series that is sent every second moment is one line; where it pauses the line breaks", () => {
  const t_us = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
  const values = [5, null, 6, null, 7, null, null, null, null, null, 8, null];
  expect(aligned([{ t_us, values }]).columns).toEqual([
    [5, undefined, 6, undefined, 7, null, null, null, null, null, 8, null],
  ]);
});

test("series with other moments share one axis and stay unbroken", () => {
  const { moments, columns } = aligned([
    { t_us: [0, 10, 20], values: [1, 2, 3] },
    { t_us: [5, 15], values: [7, 8] },
  ]);
  expect(moments).toEqual([0, 5, 10, 15, 20]);
  expect(columns).toEqual([
    [1, undefined, 2, undefined, 3],
    [null, 7, undefined, 8, null],
  ]);
});

test("nothing, and single points, are no lines", () => {
  expect(aligned([])).toEqual({ moments: [], columns: [] });
  expect(aligned([{ t_us: [3], values: [null] }]).columns).toEqual([[null]]);
});

test("a bin that time begins or ends within is left out, a whole one stays", () => {
  const timeline = [{ t_us: 0 }, { t_us: 10e6 }, { t_us: 20e6 }];
  const bins = (start: string, steps: { end: string }[]) =>
    wholeBins({ meta: { start }, t0: "1795327200000000000", bin_us: 10e6, timeline, steps }).map((b) => b.t_us / 1e6);
  expect(bins("2026-11-22T06:00:00Z", [{ end: "2026-11-22T06:00:30Z" }])).toEqual([0, 10, 20]);
  expect(bins("2026-11-22T06:00:00Z", [{ end: "2026-11-22T06:00:24.939309125Z" }])).toEqual([0, 10]);
  expect(bins("2026-11-22T06:00:00.516754142Z", [{ end: "2026-11-22T06:00:30Z" }])).toEqual([10, 20]);
  expect(bins("2026-11-22T05:00:00Z", [])).toEqual([0, 10, 20]);
});

test("a step of a metric that is not over is left out", () => {
  const series = [{ labels: {}, t_us: [0, 7, 14], values: [5, 6, 1] }];
  expect(wholeSteps(series, 7, 18)).toEqual([{ labels: {}, t_us: [0, 7], values: [5, 6] }]);
  expect(wholeSteps(series, 7, 21)).toEqual(series);
});

test("a trend ends with the last part that is over", () => {
  const trend = Array.from({ length: 30 }, (_, i) => i);
  const end = "2026-11-22T06:15:00.5Z";
  // 30 parts of 31 s, from the second in which the window starts: the last one is cut by the window's end.
  expect(wholeTrend(trend, { start: "2026-11-22T06:00:00.5Z", end })).toHaveLength(29);
  expect(wholeTrend(trend, { start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:15:00Z" })).toBe(trend);
  expect(wholeTrend(trend, { start: "2026-11-22T06:14:50.5Z", end })).toBe(trend);
  expect(wholeTrend(null, { start: "2026-11-22T06:00:00Z", end })).toBe(null);
});

test("an axis begins at zero unless the values vary too little to be seen there", () => {
  expect(axisRange(40, 100)).toEqual([0, 108]);
  expect(axisRange(7, 7)[0]).toBe(0);
  expect(axisRange(0, 0)).toEqual([0, 1]);
  expect(axisRange(null, null)).toEqual([0, 1]);
  const [from, to] = axisRange(1_000_000, 1_002_000);
  expect(from).toBeGreaterThan(990_000);
  expect(to).toBeLessThan(1_010_000);
});

test("an axis of values that may be negative holds zero where they lie on both sides of it", () => {
  const [from, to] = axisRange(-5, 5);
  expect(from).toBeLessThan(-5);
  expect(to).toBeGreaterThan(5);
  expect(axisRange(-100, -40)[1]).toBeCloseTo(0);
  expect(axisRange(-0.5, 0)[0]).toBeLessThan(-0.5);
});

test("bins without a request are nothing to draw", () => {
  expect(hasRequests({ timeline: [] })).toBe(false);
  expect(hasRequests({ timeline: [{ requests: 0 }, { requests: 0 }] })).toBe(false);
  expect(hasRequests({ timeline: [{ requests: 0 }, { requests: 1 }] })).toBe(true);
});

test("the last step of what counts is still filling up, that of what is at a moment is not", () => {
  for (const type of ["SUM", "HISTOGRAM", "GAUGE"]) {
    expect(fillsUp({ agg: "rate", type }, true)).toBe(true);
    expect(fillsUp({ agg: "count", type }, true)).toBe(true);
    expect(fillsUp({ agg: "avg", type }, true)).toBe(false);
    expect(fillsUp({ agg: "p99", type }, false)).toBe(false);
  }
  for (const type of ["HISTOGRAM", "EXPONENTIAL_HISTOGRAM", "SUMMARY"])
    expect(fillsUp({ agg: "sum", type }, true)).toBe(true);
  expect(fillsUp({ agg: "sum", type: "GAUGE" }, true)).toBe(false);
  // By itself the server adds up only sums that may fall, such as the connections of a pool.
  expect(fillsUp({ agg: "sum", type: "SUM" }, false)).toBe(false);
  expect(fillsUp({ agg: "sum", type: "SUM" }, true)).toBe(true);
});
