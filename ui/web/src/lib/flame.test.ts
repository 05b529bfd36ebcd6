import { expect, test } from "vitest";
import { byOperation, type FlameNode, growth, layoutFlame, weigh } from "./flame";

function node(
  id: number,
  parent: number | null,
  operation: string,
  self: number,
  base: number | null = null,
): FlameNode {
  return {
    id,
    parent,
    service: "shop",
    operation,
    kind: "INTERNAL",
    peer: null,
    calls: 1,
    total_ns: self,
    self_ns: self,
    critical_ns: self,
    errors: 0,
    base_calls: base === null ? null : 1,
    base_total_ns: base,
    base_self_ns: base,
    base_critical_ns: base,
  };
}

const NODES = [node(1, null, "root", 10), node(2, 1, "a", 30), node(3, 1, "b", 40), node(4, 3, "a", 20)];

test("weights add up the tree, heaviest child first", () => {
  const w = weigh(NODES, "self");
  expect([...w.inclusive]).toEqual([100, 30, 60, 20]);
  expect(w.children[0]).toEqual([2, 1]);
});

test("boxes lie inside their parent and do not overlap", () => {
  const boxes = layoutFlame(weigh(NODES, "self"), null);
  const at = (n: number) => boxes.find((b) => b.node === n)!;
  expect(at(0)).toMatchObject({ depth: 0, x0: 0, x1: 1 });
  expect(at(2)).toMatchObject({ depth: 1, x0: 0, x1: 0.6 });
  expect(at(1).x0).toBeCloseTo(0.6);
  expect(at(1).x1).toBeCloseTo(0.9);
  expect(at(3)).toMatchObject({ depth: 2, x0: 0 });
  expect(at(3).x1).toBeCloseTo(0.2);
});

test("a zoomed box takes the whole width below its ancestors", () => {
  const boxes = layoutFlame(weigh(NODES, "self"), 2);
  expect(boxes.filter((b) => b.node !== 3)).toEqual([
    { node: 0, depth: 0, x0: 0, x1: 1 },
    { node: 2, depth: 1, x0: 0, x1: 1 },
  ]);
  expect(boxes.some((b) => b.node === 1)).toBe(false);
});

test("parallel children that exceed their parent's total are fitted into it", () => {
  const nodes = [node(1, null, "root", 100), node(2, 1, "x", 90), node(3, 1, "y", 90)];
  const ends = layoutFlame(weigh(nodes, "total"), null).map((b) => b.x1);
  expect(Math.max(...ends)).toBeLessThanOrEqual(1);
});

test("growth is per request: twice the load alone is no growth", () => {
  const w = weigh([node(1, null, "root", 200, 100), node(2, 1, "new", 50, 0)], "self");
  expect(growth(w, 0, 2, 1)).toBeCloseTo(0.25);
  expect(growth(w, 1, 2, 1)).toBe(1);
  expect(growth(weigh(NODES, "self"), 0, 2, 1)).toBe(0);
});

test("bottom up, an operation counts once with all its callers", () => {
  const a = byOperation(NODES).find((o) => o.operation === "a")!;
  expect(a.self_ns).toBe(50);
  expect([...a.callers.values()].map((c) => [c.operation, c.self_ns])).toEqual([
    ["root", 30],
    ["b", 20],
  ]);
});

test("a chain of 50,000 nodes needs no stack", () => {
  const chain = Array.from({ length: 50_000 }, (_, i) => node(i, i === 0 ? null : i - 1, "f", 1));
  const w = weigh(chain, "self");
  expect(w.inclusive[0]).toBe(50_000);
  expect(layoutFlame(w, null).length).toBeGreaterThan(49_000);
});
