import { expect, test } from "vitest";
import { claimed, largestRise, loadChange, loadMoved } from "./verdict";

const at = (minute: number) => new Date(Date.UTC(2026, 10, 22, 6, minute)).toISOString();
const level = (from: number, to: number, qps: number, transition = false) => ({
  start: at(from),
  end: at(to),
  qps,
  transition,
});
const LEVELS = [level(0, 6, 8), level(6, 7, 15, true), level(7, 15, 24)];

test("windows that are levels carry their rates", () => {
  const change = loadChange(LEVELS, { start: at(7), end: at(15) }, { start: at(0), end: at(6) });
  expect(change).toEqual({ since: at(7), earlier: false, before: 8, now: 24 });
  expect(loadMoved(change)).toBe("rose");
  expect(loadMoved({ ...change, before: 24, now: 8 })).toBe("fell");
  expect(loadMoved({ ...change, before: 24, now: 25 })).toBe(null);
});

test("a window over several levels, or without a baseline, has no figure", () => {
  expect(loadChange(LEVELS, { start: at(0), end: at(13) }, null)).toMatchObject({ before: null, now: null });
  expect(loadMoved({ since: at(0), earlier: false, before: null, now: 3 })).toBe(null);
});

test("a level that begins with the range may have begun before it", () => {
  const from = (start: string) => loadChange(LEVELS, { start: at(7), end: at(15) }, null, start).earlier;
  expect([from(at(7)), from(at(0))]).toEqual([true, false]);
});

test("a confidence is told where something is claimed", () => {
  const row = (rank: number, confidence: number | null) => ({ rank, confidence });
  expect(claimed("bottleneck", row(1, 0.99))).toBe(0.99);
  expect(claimed("bottleneck", row(4, 0.92))).toBe(0.92);
  expect(claimed("bottleneck", row(4, 0.068))).toBe(null);
  expect(claimed("no_significant_change", row(1, 0.068))).toBe(null);
  expect(claimed(null, row(1, 0.99))).toBe(null);
});

test("the largest rise whose interval is above zero is named, unless it is a small part of the latency", () => {
  const row = (change: number, low: number, critical = 40e6, share = 0.5) => ({
    critical_path_ns_per_request: critical,
    share_of_latency: share,
    change_ns_per_request: change,
    interval_ns: [low, 2 * change] as [number, number],
  });
  const [rose, more, unsure, small] = [row(21e6, 9e6), row(30e6, 1e6), row(50e6, -1e6), row(2e6, 1e6)];
  expect(largestRise([rose, more, unsure, small])).toBe(more);
  expect(largestRise([unsure, small])).toBe(null);
});
