import { expect, test } from "vitest";
import { fixedRange, timeTicks, widerThan } from "./time";

const NOW = Date.UTC(2026, 10, 22, 6, 15);
const at = (minute: number, second = 0) => new Date(Date.UTC(2026, 10, 22, 6, minute, second)).toISOString();

test("a fixed range no longer moves with now, and holds its part", () => {
  const part = { start: at(6), end: at(12) };
  expect(fixedRange({ start: "now-15m", end: "now" }, NOW, part)).toEqual({ start: at(0), end: at(15) });
  expect(fixedRange({ start: "now-5m", end: "now" }, NOW, part)).toEqual({ start: at(6), end: at(15) });
  expect(fixedRange({ start: at(7), end: at(10) }, NOW, part)).toEqual({ start: at(6), end: at(12) });
});

test("a wider range reaches further back than the present one", () => {
  expect(widerThan({ start: "now-15m", end: "now" }, NOW)).toBe("now-1h");
  expect(widerThan({ start: at(-120), end: at(-110) }, NOW)).toBe("now-1d");
  expect(widerThan({ start: "now-7d", end: "now" }, NOW)).toBe(null);
});

test("marks of a time axis are round times, whatever the range begins with", () => {
  const from = Date.parse(at(2, 39)) / 1e3;
  const clocks = (most: number) =>
    timeTicks(from, from + 900, most).map((s) => new Date(s * 1e3).toISOString().slice(14, 19));
  expect(clocks(8)).toEqual(["03:00", "06:00", "09:00", "12:00", "15:00"]);
  expect(clocks(4)).toEqual(["05:00", "10:00", "15:00"]);
  expect(timeTicks(10, 10, 5)).toEqual([10]);
});

test("whole days are marked at local midnight", () => {
  const midnight = new Date(2026, 10, 20).getTime() / 1e3;
  expect(timeTicks(midnight - 7200, midnight + 3 * 86_400, 5)).toEqual([0, 1, 2, 3].map((d) => midnight + d * 86_400));
});
