import { expect, test } from "vitest";
import { healthyLevel, isStrained, kneeOf, type LoadLevel, levelsOf, steadyEnd } from "./levels";

function level(index: number, qps: number, p99ms: number, errors = 0): LoadLevel {
  const at = (m: number) => new Date(Date.UTC(2026, 10, 22, 6, m)).toISOString();
  return {
    index,
    start: at(index * 5),
    end: at(index * 5 + 5),
    qps,
    concurrency: qps / 100,
    requests: 1000,
    errors,
    p50_ns: 1e6,
    p90_ns: 1.5e6,
    p95_ns: 2e6,
    p99_ns: p99ms * 1e6,
    p999_ns: p99ms * 1.2e6,
    transition: false,
  };
}

test("the level before latency leaves the flat is the baseline, and the knee lies after it", () => {
  const levels = [level(0, 8, 40), level(1, 16, 44), level(2, 24, 90), level(3, 32, 400)];
  expect(healthyLevel(levels)?.qps).toBe(16);
  expect(kneeOf(levels)).toEqual({ from: 16, to: 24 });
});

test("failing counts like slow; small figures do not count at all", () => {
  expect(isStrained(level(1, 16, 40, 50), level(0, 8, 40))).toBe(true);
  expect(isStrained(level(1, 16, 2.5), level(0, 8, 1))).toBe(false);
});

test("a flat run has no knee and begins with its baseline", () => {
  const flat = [level(0, 8, 40), level(1, 16, 41)];
  expect(kneeOf(flat)).toBe(null);
  expect(healthyLevel(flat)?.index).toBe(0);
  expect(healthyLevel([])).toBe(null);
  // Slower at less load is no knee.
  expect(kneeOf([level(0, 16, 40), level(1, 8, 400)])).toBe(null);
});

test("transitions are no levels", () => {
  expect(levelsOf([level(0, 8, 40), { ...level(1, 12, 60), transition: true }]).length).toBe(1);
});

test("a level that goes on moves its end only now and then", () => {
  const at = (seconds: number) => new Date(Date.UTC(2026, 10, 22, 6, 0, seconds)).toISOString();
  expect([75, 80, 89].map((s) => steadyEnd(at(0), at(s)))).toEqual([at(60), at(60), at(60)]);
  expect(steadyEnd(at(0), at(90))).toBe(at(90));
  expect(steadyEnd(at(50), at(75))).toBe(at(75));
});
