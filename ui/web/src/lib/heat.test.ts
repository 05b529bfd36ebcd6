import { describe, expect, test } from "vitest";
import { cellsOf, countIn, type HeatGrid, nudge, quantileEdge, rowOf, selectionOf, summedArea } from "./heat";

// Three columns of ten seconds, four rows: [0,1) [1,10) [10,100) [100,…) milliseconds.
const MS = 1e6;
const grid: HeatGrid = {
  t0: 1_000_000_000,
  binUs: 10_000_000,
  columns: 3,
  rows: 4,
  edges: [0, MS, 10 * MS, 100 * MS, 900 * MS],
  counts: [5, 10, 0, 0, 4, 11, 2, 0, 0, 9, 3, 7],
};

describe("the summed-area table", () => {
  test("counts any box as adding its cells up does", () => {
    const table = summedArea(grid);
    for (let c0 = 0; c0 < 3; c0++)
      for (let c1 = c0 + 1; c1 <= 3; c1++)
        for (let r0 = 0; r0 < 4; r0++)
          for (let r1 = r0 + 1; r1 <= 4; r1++) {
            let wanted = 0;
            for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) wanted += grid.counts[c * 4 + r];
            expect(countIn(table, 4, { c0, c1, r0, r1 })).toBe(wanted);
          }
  });
});

describe("selections and cells", () => {
  test("a box survives the way to a selection and back", () => {
    for (const box of [
      { c0: 1, c1: 2, r0: 2, r1: 3 },
      { c0: 0, c1: 3, r0: 1, r1: 4 },
      { c0: 2, c1: 3, r0: 0, r1: 4 },
    ]) {
      expect(cellsOf(grid, selectionOf(grid, box, false))).toEqual(box);
    }
  });

  test("sides on the border are open: time-outs above the last edge belong to the top row", () => {
    const s = selectionOf(grid, { c0: 0, c1: 3, r0: 3, r1: 4 }, true);
    expect(s).toEqual({ startUs: null, endUs: null, minNs: 100 * MS, maxNs: null, errors: true });
  });

  test("bounds inside a cell touch that cell", () => {
    const s = { startUs: grid.t0 + 12e6, endUs: grid.t0 + 13e6, minNs: 20 * MS, maxNs: 30 * MS, errors: false };
    expect(cellsOf(grid, s)).toEqual({ c0: 1, c1: 2, r0: 2, r1: 3 });
  });

  test("a selection outside the grid is clamped to its border", () => {
    const s = { startUs: 0, endUs: 1, minNs: 5000 * MS, maxNs: null, errors: false };
    expect(cellsOf(grid, s)).toEqual({ c0: 0, c1: 1, r0: 3, r1: 4 });
  });
});

test("a duration on an edge belongs to the row above it", () => {
  expect([0, 0.5 * MS, MS, 9.9 * MS, 10 * MS, 2000 * MS].map((ns) => rowOf(grid.edges, ns))).toEqual([
    0, 0, 1, 1, 2, 3,
  ]);
});

test("quantiles are upper edges of rows", () => {
  expect(quantileEdge(grid, 0.5)).toBe(10 * MS);
  expect(quantileEdge(grid, 0.99)).toBe(900 * MS);
  expect(quantileEdge(grid, 0.5, { c0: 0, c1: 1, r0: 0, r1: 4 })).toBe(10 * MS);
});

test("keys move and resize by whole cells and never leave the grid", () => {
  const box = { c0: 1, c1: 3, r0: 1, r1: 2 };
  expect(nudge(grid, box, 1, 0, false)).toEqual(box);
  expect(nudge(grid, box, -1, 1, false)).toEqual({ c0: 0, c1: 2, r0: 2, r1: 3 });
  expect(nudge(grid, box, -9, 9, true)).toEqual({ c0: 1, c1: 2, r0: 1, r1: 4 });
});
