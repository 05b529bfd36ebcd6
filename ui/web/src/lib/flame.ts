// The call tree over all traces as boxes and tables. Width is the chosen metric of a node and everything below it, per
// request; with a baseline, each box also knows how much it grew or shrank.

export interface FlameNode {
  id: number;
  parent: number | null;
  service: string;
  operation: string;
  kind: string;
  peer: string | null;
  calls: number;
  total_ns: number;
  self_ns: number;
  critical_ns: number;
  errors: number;
  base_calls: number | null;
  base_total_ns: number | null;
  base_self_ns: number | null;
  base_critical_ns: number | null;
}

export type Metric = "critical" | "self" | "total";

export interface Box {
  /** Position in the node list. */
  node: number;
  depth: number;
  /** Of the whole width, 0 to 1. */
  x0: number;
  x1: number;
}

export interface Weights {
  /** The metric of the node and its subtree, nanoseconds in the whole window. */
  inclusive: Float64Array;
  base: Float64Array | null;
  children: number[][];
  roots: number[];
  parent: Int32Array;
}

/** Inclusive weights. For `total` a node's own total is its weight; parallel children may exceed it. */
export function weigh(nodes: readonly FlameNode[], metric: Metric): Weights {
  const at = new Map(nodes.map((n, i) => [n.id, i]));
  const parent = Int32Array.from(nodes, (n) => (n.parent === null ? -1 : (at.get(n.parent) ?? -1)));
  const children: number[][] = nodes.map(() => []);
  const roots: number[] = [];
  parent.forEach((p, i) => {
    (p === -1 ? roots : children[p]).push(i);
  });
  const own = (n: FlameNode) => (metric === "critical" ? n.critical_ns : metric === "self" ? n.self_ns : n.total_ns);
  const ownBase = (n: FlameNode) =>
    (metric === "critical" ? n.base_critical_ns : metric === "self" ? n.base_self_ns : n.base_total_ns) ?? 0;
  const inclusive = Float64Array.from(nodes, own);
  const hasBase = nodes.some((n) => n.base_calls !== null);
  const base = hasBase ? Float64Array.from(nodes, ownBase) : null;
  if (metric !== "total") {
    // Parents stand before their children, so walking backwards adds each subtree once.
    for (let i = nodes.length - 1; i >= 0; i--) {
      if (parent[i] === -1) continue;
      inclusive[parent[i]] += inclusive[i];
      if (base) base[parent[i]] += base[i];
    }
  }
  for (const list of children) list.sort((a, b) => inclusive[b] - inclusive[a]);
  roots.sort((a, b) => inclusive[b] - inclusive[a]);
  return { inclusive, base, children, roots, parent };
}

/** Boxes of the tree below `zoom` (or of all), with its ancestors drawn over the full width above it. */
export function layoutFlame(weights: Weights, zoom: number | null, minShare = 0.0005): Box[] {
  const boxes: Box[] = [];
  const stack: Box[] = [];
  if (zoom === null) {
    spread(weights.roots, 0, 1, 0, null);
  } else {
    const path: number[] = [];
    for (let i = zoom; i !== -1; i = weights.parent[i]) path.unshift(i);
    path.slice(0, -1).forEach((node, depth) => {
      boxes.push({ node, depth, x0: 0, x1: 1 });
    });
    stack.push({ node: zoom, depth: path.length - 1, x0: 0, x1: 1 });
  }
  while (stack.length > 0) {
    const box = stack.pop()!;
    boxes.push(box);
    spread(weights.children[box.node], box.x0, box.x1, box.depth + 1, weights.inclusive[box.node]);
  }
  return boxes;

  function spread(list: number[], x0: number, x1: number, depth: number, whole: number | null) {
    let sum = 0;
    for (const i of list) sum += weights.inclusive[i];
    const scale = (x1 - x0) / Math.max(sum, whole ?? 0, Number.MIN_VALUE);
    let x = x0;
    for (const node of list) {
      const width = weights.inclusive[node] * scale;
      if (width >= minShare) stack.push({ node, depth, x0: x, x1: x + width });
      x += width;
    }
  }
}

/** Relative growth per request against the baseline, -1 to 1 (1: doubled or new). */
export function growth(weights: Weights, node: number, requests: number, baseRequests: number): number {
  if (!weights.base || requests === 0 || baseRequests === 0) return 0;
  const now = weights.inclusive[node] / requests;
  const before = weights.base[node] / baseRequests;
  if (before === 0) return now > 0 ? 1 : 0;
  return Math.max(-1, Math.min(1, (now - before) / before));
}

export interface OperationSum {
  key: string;
  service: string;
  operation: string;
  kind: string;
  peer: string | null;
  calls: number;
  self_ns: number;
  critical_ns: number;
  total_ns: number;
  /** Null without a baseline. */
  base_critical_ns: number | null;
  base_self_ns: number | null;
  callers: Map<string, { service: string; operation: string; calls: number; critical_ns: number; self_ns: number }>;
}

/** The bottom-up view: each operation once, wherever it is called from, with its direct callers. */
export function byOperation(nodes: readonly FlameNode[]): OperationSum[] {
  const at = new Map(nodes.map((n) => [n.id, n]));
  const sums = new Map<string, OperationSum>();
  for (const n of nodes) {
    const key = `${n.service}\u0000${n.operation}\u0000${n.kind}\u0000${n.peer ?? ""}`;
    let sum = sums.get(key);
    if (!sum) {
      const { service, operation, kind, peer } = n;
      const zero = { calls: 0, self_ns: 0, critical_ns: 0, total_ns: 0 };
      const base = n.base_calls === null ? null : 0;
      sum = {
        key,
        service,
        operation,
        kind,
        peer,
        ...zero,
        base_critical_ns: base,
        base_self_ns: base,
        callers: new Map(),
      };
      sums.set(key, sum);
    }
    sum.calls += n.calls;
    sum.self_ns += n.self_ns;
    sum.critical_ns += n.critical_ns;
    sum.total_ns += n.total_ns;
    if (sum.base_critical_ns !== null) sum.base_critical_ns += n.base_critical_ns ?? 0;
    if (sum.base_self_ns !== null) sum.base_self_ns += n.base_self_ns ?? 0;
    const caller = n.parent === null ? undefined : at.get(n.parent);
    if (caller) {
      const callerKey = `${caller.service}\u0000${caller.operation}`;
      const c = sum.callers.get(callerKey) ?? {
        service: caller.service,
        operation: caller.operation,
        calls: 0,
        critical_ns: 0,
        self_ns: 0,
      };
      c.calls += n.calls;
      c.critical_ns += n.critical_ns;
      c.self_ns += n.self_ns;
      sum.callers.set(callerKey, c);
    }
  }
  return [...sums.values()];
}
