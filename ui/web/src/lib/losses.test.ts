import { expect, test } from "vitest";
import { type LossFacts, lossesIn, mainReason } from "./losses";

const M = 60_000;
const range = (from: number, to: number) => ({ from: from * M, to: to * M });
const totals = (minute: number, lost: number) => ({ at: minute * M, lost });
const facts = (more: Partial<LossFacts>): LossFacts => ({
  now: totals(100, 37),
  startedAt: 0,
  lastAt: null,
  earlier: [],
  ...more,
});

test("nothing lost, or nothing lost since the range began, is nothing to warn of", () => {
  expect(lossesIn(range(85, 100), facts({ now: totals(100, 0) }))).toEqual({ kind: "none" });
  expect(lossesIn(range(85, 100), facts({ lastAt: 84 * M }))).toEqual({ kind: "none" });
});

test("a server that started inside the range counts for the range", () => {
  expect(lossesIn(range(85, 100), facts({ startedAt: 90 * M }))).toEqual({ kind: "range", rows: 37, lastAt: null });
});

test("what the page saw before the range is subtracted", () => {
  const earlier = [totals(80, 30), totals(84.9, 30), totals(95, 36)];
  expect(lossesIn(range(85, 100), facts({ earlier }))).toEqual({ kind: "range", rows: 7, lastAt: 100 * M });
  expect(lossesIn(range(85, 95), facts({ earlier, lastAt: 99 * M }))).toEqual({
    kind: "range",
    rows: 6,
    lastAt: 99 * M,
  });
  const quiet = [totals(84, 37), totals(95, 37)];
  expect(lossesIn(range(85, 100), facts({ earlier: quiet }))).toEqual({ kind: "none" });
});

test("what nobody saw stays unknown", () => {
  expect(lossesIn(range(85, 100), facts({}))).toEqual({ kind: "since_start", rows: 37, lastAt: null });
  expect(lossesIn(range(85, 100), facts({ lastAt: 99 * M }))).toEqual({
    kind: "since_start",
    rows: 37,
    lastAt: 99 * M,
  });
  // An old range, looked at by a page that was opened later.
  expect(lossesIn(range(10, 20), facts({ startedAt: 15 * M, lastAt: 99 * M })).kind).toBe("since_start");
  expect(lossesIn(range(10, 20), facts({ startedAt: 15 * M, lastAt: 19 * M })).kind).toBe("range");
});

test("a loss is told of no range that lies before the server's start, or before the loss", () => {
  const started = { startedAt: 28 * M, now: totals(45, 1) };
  const seen = [totals(30, 0), totals(36.9, 0), totals(37, 1), totals(44, 1)];
  expect(lossesIn(range(17, 20), facts({ ...started }))).toEqual({ kind: "none" });
  expect(lossesIn(range(17, 20), facts({ ...started, earlier: [totals(40, 1)] }))).toEqual({ kind: "none" });
  expect(lossesIn(range(20, 35), facts({ ...started, earlier: seen }))).toEqual({ kind: "none" });
  expect(lossesIn(range(36, 38), facts({ ...started, earlier: seen })).kind).toBe("range");
});

test("between two readings that differ, nobody knows when it was", () => {
  const earlier = [totals(30, 0), totals(60, 5)];
  expect(lossesIn(range(20, 45), facts({ now: totals(100, 5), earlier })).kind).toBe("since_start");
  expect(lossesIn(range(45, 100), facts({ now: totals(100, 5), earlier })).kind).toBe("since_start");
});

test("the reason told is one that cost rows", () => {
  const reasons = [
    { outcome: "rejected", reason: "invalid", count: 300, unit: "exports" },
    { outcome: "rejected", reason: "time_out_of_range", count: 1, unit: "rows" },
    { outcome: "rejected", reason: "invalid_trace_id", count: 7, unit: "rows" },
    { outcome: "refused", reason: "overloaded", count: 40, unit: "exports" },
  ];
  expect(mainReason(reasons, { rejected: 8, refused: 0 })).toBe("invalid_trace_id");
  expect(mainReason(reasons, { rejected: 8, refused: 4000 })).toBe("overloaded");
  expect(mainReason([], { rejected: 1, refused: 0 })).toBe(null);
});
