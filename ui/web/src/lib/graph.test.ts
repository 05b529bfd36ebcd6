import { expect, test } from "vitest";
import { edgeWidth, visibleNodes } from "./graph";

const edge = (from: string, to: string, critical_share = 0) => ({ from, to, critical_share, calls: 1 });

test("a small map is shown whole, a node's neighbourhood on demand", () => {
  const edges = [edge("a", "b"), edge("b", "c"), edge("c", "d")];
  expect(visibleNodes(["a", "b", "c", "d"], edges, "")).toEqual(new Set(["a", "b", "c", "d"]));
  expect(visibleNodes(["a", "b", "c", "d"], edges, "b")).toEqual(new Set(["a", "b", "c"]));
});

test("of a large map the heaviest edges are shown", () => {
  const names = Array.from({ length: 200 }, (_, i) => `s${i}`);
  const edges = names.slice(1).map((n, i) => edge(names[i], n, i));
  const shown = visibleNodes(names, edges, "");
  expect(shown.size).toBeLessThanOrEqual(150);
  expect(shown.has("s199")).toBe(true);
});

test("edges grow with their share", () => {
  expect(edgeWidth(0)).toBe(1);
  expect(edgeWidth(1)).toBe(10);
  expect(edgeWidth(7)).toBe(10);
});
