import { expect, test } from "vitest";
import {
  curveOf,
  delayed,
  lawOf,
  nodeKey,
  nodeName,
  positive,
  queueCurve,
  queueOf,
  standing,
  throughput,
} from "./capacity";

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

/** What the server tabulates: concurrency and how busy, where waits are so many times those of chance alone. */
const tabulated = (servers: number, varies: number) =>
  Array.from({ length: 97 }, (_, step): [number, number] => {
    const busy = 1 - Math.exp(-step / 8);
    return [servers * busy + (varies * delayed(servers, busy) * busy) / (1 - busy), busy];
  });

const at = (curve: [number, number][], n: number) => {
  const above = curve.findIndex((p) => p[0] >= n);
  const [[n0, x0], [n1, x1]] = [curve[above - 1], curve[above]];
  return x0 + ((x1 - x0) * (n - n0)) / (n1 - n0);
};

test("the chance to wait is Erlang's", () => {
  expect(delayed(4, 0.8)).toBeCloseTo(0.5964, 4);
  expect(delayed(1, 0.3)).toBeCloseTo(0.3);
  expect(delayed(8, 0)).toBe(0);
});

test("a queue's curve is told by its limit and its knee, whatever its service times, and never passes the limit", () => {
  for (const [servers, varies] of [
    [1, 1],
    [4, 0.5],
    [16, 2.5],
    [64, 1],
    [400, 1],
  ]) {
    const table = tabulated(servers, varies);
    const curve = queueCurve({ servers, limit: 800, knee: 800 * at(table, servers) }, servers * 3);
    expect(curve.at(-1)?.[0]).toBe(servers * 3);
    for (const [i, [n, x]] of curve.slice(0, -1).entries()) {
      expect(n / servers).toBeCloseTo(table[i][0] / servers, 6);
      expect(x).toBeCloseTo(800 * table[i][1], 6);
    }
    for (const [i, [n, x]] of curve.entries()) {
      expect(x).toBeLessThanOrEqual(800);
      if (i > 0) expect(n).toBeGreaterThan(curve[i - 1][0]);
    }
  }
});

test("where nobody waits before all servers are busy the curve is straight, then flat", () => {
  const curve = queueCurve({ servers: 8, limit: 400, knee: 400 }, 20);
  expect(at(curve, 4)).toBeCloseTo(200);
  expect(at(curve, 12)).toBeCloseTo(400, 1);
  expect(curve.at(-1)).toEqual([20, 400]);
});

test("only a limit that is a queue's has the queue's curve", () => {
  const node = { law: "queue" as const, servers: 4, limit_qps: 200, knee_qps: 150 };
  expect(queueOf(node)).toEqual({ servers: 4, limit: 200, knee: 150 });
  expect(queueOf({ ...node, law: "usl" })).toBe(null);
  expect(queueOf({ ...node, knee_qps: null })).toBe(null);
  const curve = curveOf([[10, 190]], queueOf(node), 4);
  expect(curve.filter((p) => p.measured !== null)).toEqual([{ concurrency: 10, measured: 190, fitted: null }]);
  expect(curve.at(-1)?.concurrency).toBe(12.5);
  expect(Math.max(...curve.map((p) => p.fitted ?? 0))).toBeLessThanOrEqual(200);
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
