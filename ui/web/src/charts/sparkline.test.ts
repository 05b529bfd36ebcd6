import { expect, test } from "vitest";
import { Sparkline } from "./sparkline";

test("what has no course, as a service that only calls, has no line", () => {
  expect(Sparkline({ values: null })).toBe(null);
  expect(Sparkline({ values: [3] })).toBe(null);
  expect(Sparkline({ values: [3, 4] })).not.toBe(null);
});
