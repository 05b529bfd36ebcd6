import { expect, test } from "vitest";
import { curveOf, lawOf, nodeKey, nodeName, positive, standing, throughput } from "./capacity";

const LAW = { lambda: 100, sigma: 0.02, kappa: 0.0004 };

test("the law starts linearly, and peaks where mathematics says", () => {
  expect(throughput(LAW, 1)).toBe(100);
  expect(throughput({ lambda: 100, sigma: 0, kappa: 0 }, 7)).toBe(700);
  const peak = Math.sqrt((1 - LAW.sigma) / LAW.kappa);
  expect(throughput(LAW, peak)).toBeGreaterThan(throughput(LAW, peak - 1));
  expect(throughput(LAW, peak)).toBeGreaterThan(throughput(LAW, peak + 1));
});

test("without all three parameters there is no law", () => {
  expect(lawOf({ lambda: 1, sigma: null, kappa: 0 })).toBe(null);
  expect(lawOf(LAW)).toEqual(LAW);
});

test("curve and points share one rising axis that ends a little beyond what was seen", () => {
  const curve = curveOf(
    [
      [10, 900],
      [4, 390],
    ],
    LAW,
    49.5,
  );
  const axis = curve.map((p) => p.concurrency);
  expect([...axis].sort((a, b) => a - b)).toEqual(axis);
  expect(axis.at(-1)).toBe(30);
  expect(curve.filter((p) => p.measured !== null).map((p) => p.measured)).toEqual([390, 900]);
  expect(curveOf([[10, 900]], null, null)).toEqual([{ concurrency: 10, measured: 900, fitted: null }]);
  expect(curveOf([], LAW, null)).toEqual([]);
});

test("a node is named by what it is", () => {
  const none = { service: null, operation: null, peer: null, instance: null };
  expect(nodeName({ ...none, node: "dependency", peer: "redis" })).toBe("redis");
  expect(nodeName({ ...none, node: "service", service: "order" })).toBe("order");
  expect(nodeName({ ...none, node: "instance", service: "order", instance: "order-2" })).toBe("order · order-2");
  expect(nodeKey({ ...none, node: "service", service: "order" })).not.toBe(
    nodeKey({ ...none, node: "entry", service: "order" }),
  );
});

test("a node stands by the target when there is one, else by its head-room", () => {
  const judged = (headroom: number | null, load: number | null, gives: boolean | null) =>
    standing({ headroom, load_at_target: load, gives_way: gives });
  expect(judged(0.5, 1.3, true)).toBe("over");
  expect(judged(0.1, null, null)).toBe("near");
  expect(judged(2, null, null)).toBe("free");
  expect(judged(0.1, 0.5, false)).toBe("free");
  expect(judged(null, null, null)).toBe("unknown");
  expect(judged(null, null, false)).toBe("free");
});

test("fields hold positive numbers or nothing", () => {
  expect(["40,000", "0.5", "", "0", "-1", "x"].map(positive)).toEqual([40000, 0.5, null, null, null, null]);
});
