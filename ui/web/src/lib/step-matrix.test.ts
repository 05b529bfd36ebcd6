import { expect, test } from "vitest";
import { type Spot, stepMatrix } from "./step-matrix";

const spot = (operation: string, ns: number, before: number): Spot => ({
  service: "s",
  operation,
  category: "self",
  peer: null,
  span_kind: "SERVER",
  critical_path_ns_per_request: ns,
  baseline_critical_path_ns_per_request: before,
  change_ns_per_request: ns - before,
  confidence: 0.99,
});

test("rows are ordered by growth, and the baseline's figures come from what was compared with it", () => {
  const rows = stepMatrix(
    [
      { level: 0, spots: null },
      { level: 2, spots: [spot("slow", 12, 10), spot("flat", 50, 50)] },
      { level: 4, spots: [spot("slow", 90, 10), spot("late", 30, 5)] },
    ],
    0,
  );
  expect(rows.map((r) => [r.spot.operation, r.cells.map((c) => c.ns)])).toEqual([
    ["slow", [10, 12, 90]],
    ["late", [5, null, 30]],
    ["flat", [50, 50, null]],
  ]);
  expect(rows[0].spot.critical_path_ns_per_request).toBe(90);
});

test("no answers yet is an empty matrix", () => {
  expect(stepMatrix([{ level: 0, spots: null }], 0)).toEqual([]);
});
