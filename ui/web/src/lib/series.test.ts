import { expect, test } from "vitest";
import { aligned } from "./series";

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
