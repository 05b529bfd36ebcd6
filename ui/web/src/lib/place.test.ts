import { expect, test } from "vitest";
import { placeAmong } from "./place";

const OF = { count: 1000, p50_ns: 50, p90_ns: 90, p99_ns: 99 };

test("a duration is placed between the quantiles of its operation", () => {
  expect([50, 51, 91, 100].map((ns) => placeAmong(ns, OF))).toEqual(["fast", "usual", "slow", "outlier"]);
});

test("among too few nothing is said", () => {
  expect(placeAmong(100, { ...OF, count: 29 })).toBe(null);
  expect(placeAmong(100, { ...OF, p99_ns: null })).toBe(null);
});
