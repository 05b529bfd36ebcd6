import { expect, test } from "vitest";
import { edgePath, edgeWidth, gapOf, hottest, needsNarrow, scaleOf, scrolledTo, visibleNodes } from "./graph";

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

test("a line leaves a box on its right, arrives on the left, and goes straight between the boxes of a column", () => {
  const at = (x: number, y: number) => ({ x, y });
  const columns = [100, 280, 460];
  expect(edgePath(at(100, 10), at(280, 70), 100, [at(150, 12), at(190, 40), at(230, 60)], columns)).toBe(
    "M150,10 C190,10 190,70 230,70",
  );
  expect(edgePath(at(100, 10), at(460, 70), 100, [at(150, 12), at(280, 200), at(370, 90)], columns)).toBe(
    "M150,10 C190,10 190,200 230,200 H330 C370,200 370,70 410,70",
  );
  expect(edgePath(at(460, 10), at(100, 10), 100, [], columns).startsWith("M410,10")).toBe(true);
});

test("a gap of nothing is not known", () => {
  expect([gapOf({ gap_ns: 1.5e6 }), gapOf({ gap_ns: 0 }), gapOf({ gap_ns: null })]).toEqual([1.5e6, null, null]);
});

test("a map is drawn as large as its room allows, and never too small to be read", () => {
  expect(scaleOf(800, 1000)).toBe(1);
  expect(scaleOf(1000, 800)).toBe(0.8);
  expect(scaleOf(4000, 800)).toBe(0.6);
  expect(needsNarrow(1400, 780)).toBe(true);
  expect(needsNarrow(800, 780)).toBe(false);
  expect(needsNarrow(1400, 0)).toBe(false);
});

test("the hottest node is the one with the largest share of the time, and is scrolled to the middle", () => {
  expect(hottest([{ critical_share: 0.1 }, { critical_share: 0.7 }, { critical_share: 0.2 }])).toEqual({
    critical_share: 0.7,
  });
  expect(hottest([])).toBeNull();
  expect(scrolledTo(1500, 800, 2000)).toBe(1100);
  expect(scrolledTo(1900, 800, 2000)).toBe(1200);
  expect(scrolledTo(100, 800, 2000)).toBe(0);
  expect(scrolledTo(100, 800, 500)).toBe(0);
});
