import { expect, test } from "vitest";
import { type LossFacts, lossesIn } from "./losses";

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
  const earlier = [totals(80, 30), totals(84, 30), totals(95, 36)];
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
