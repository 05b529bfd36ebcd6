// Capacity and what-if of the stand-in server: nodes that follow a known law, sampled with a little noise.

import { delayed } from "../src/lib/capacity.ts";

const META = {
  start: "2026-11-22T06:00:00Z",
  end: "2026-11-22T06:15:00Z",
  elapsed_ms: 12,
  rows: 5,
  partial: false,
  unsettled_traces: 0,
  notes: [],
};

interface Law {
  lambda: number;
  sigma: number;
  kappa: number;
}

const throughput = ({ lambda, sigma, kappa }: Law, n: number) =>
  (lambda * n) / (1 + sigma * (n - 1) + kappa * n * (n - 1));

const UNKNOWN = {
  service: null,
  operation: null,
  peer: null,
  instance: null,
  law: null,
  servers: null,
  at_least_qps: null,
  lambda: null,
  sigma: null,
  kappa: null,
  intervals: null,
  limit_qps: null,
  limit_low_qps: null,
  limit_high_qps: null,
  limit_concurrency: null,
  knee_qps: null,
  knee_concurrency: null,
  p99_limit: null,
  error_limit: null,
  capacity_qps: null,
  capacity_by: null,
  headroom: null,
  needed: null,
  calls_per_request: null,
  needed_qps: null,
  load_at_target: null,
  gives_way: null,
};

/** A node that was driven up to a concurrency; saturated ones have a limit. */
function measured(of: object, law: Law, most: number, fitted: boolean) {
  const points = Array.from({ length: 24 }, (_, i) => {
    const n = ((i + 1) / 24) * most;
    const wave = 1 + 0.025 * Math.sin(i * 2.3);
    return [n, throughput(law, n) * wave, (n / throughput(law, n)) * 3e9, n > most * 0.9 ? 0.004 : 0];
  });
  const last = points[23];
  const peak = Math.sqrt((1 - law.sigma) / law.kappa);
  const limit = throughput(law, peak);
  const limits = {
    ...law,
    law: "usl",
    limit_qps: limit,
    limit_low_qps: limit * 0.94,
    limit_high_qps: limit * 1.07,
    limit_concurrency: peak,
    knee_qps: throughput(law, peak / 3),
    knee_concurrency: peak / 3,
    capacity_qps: limit,
    capacity_by: "throughput",
    headroom: limit / last[1] - 1,
  };
  return {
    ...UNKNOWN,
    ...of,
    verdict: fitted ? "fitted" : "no_saturation",
    completions: 4_000_000,
    qps: last[1],
    concurrency: last[0],
    p99_ns: last[2],
    error_rate: last[3],
    seen_qps: [points[0][1], last[1]],
    seen_concurrency: [points[0][0], last[0]],
    points,
    ...(fitted ? limits : { ...law, at_least_qps: last[1] }),
  };
}

/** A node that is a queue of servers: the law that bends from the first request on would pass its limit. */
function queued(of: object, servers: number, limit: number) {
  const at = (busy: number) => [servers * busy + (delayed(servers, busy) * busy) / (1 - busy), limit * busy];
  const points = Array.from({ length: 24 }, (_, i) => {
    const [n, x] = at(0.1 + (i / 23) * 0.82);
    return [n, x * (1 + 0.02 * Math.sin(i * 2.3)), (n / x) * 3e9, 0];
  });
  let busy = 1;
  while (at(busy - 1e-4)[0] > servers) busy -= 1e-4;
  return {
    ...measured(of, { lambda: limit / servers, sigma: 0.001, kappa: 1e-6 }, servers, true),
    ...{ law: "queue", servers, limit_qps: limit, limit_low_qps: limit * 0.93, limit_high_qps: limit * 1.12 },
    ...{ limit_concurrency: null, knee_concurrency: servers, knee_qps: limit * (busy - 1e-4) },
    ...{ capacity_qps: limit, headroom: limit / points[23][1] - 1, qps: points[23][1], points },
    ...{ seen_qps: [points[0][1], points[23][1]], seen_concurrency: [points[0][0], points[23][0]] },
  };
}

export function capacity(params: URLSearchParams): unknown {
  const nodes: Record<string, unknown>[] = [
    measured({ node: "dependency", peer: "inventory-db" }, { lambda: 190, sigma: 0.012, kappa: 0.00013 }, 70, true),
    measured({ node: "service", service: "inventory" }, { lambda: 420, sigma: 0.006, kappa: 0.00004 }, 60, true),
    measured(
      { node: "entry", service: "gateway", operation: "POST /order" },
      { lambda: 260, sigma: 0.004, kappa: 0.00002 },
      90,
      true,
    ),
    queued({ node: "service", service: "order" }, 64, 12_800),
    {
      ...measured({ node: "service", service: "catalog" }, { lambda: 900, sigma: 0.001, kappa: 1e-6 }, 30, false),
      needed: {
        qps: 60_000,
        en: "at least 26,000.0 per second can be served; up to there it is not full, and no limit can be told; let the load rise to 52,000 per second",
        zh: "至少可承受每秒 26,000.0；直到该负载尚未饱和，无法得出上限；请加压到每秒 52,000",
      },
    },
    {
      ...UNKNOWN,
      node: "dependency",
      peer: "bank",
      verdict: "not_enough_load_range",
      completions: 900,
      qps: 41,
      concurrency: 0.8,
      p99_ns: 33e6,
      error_rate: 0,
      seen_qps: [38, 44],
      seen_concurrency: [0.7, 0.9],
      needed: {
        qps: 137,
        en: "the load only went from 38.0 to 44.0 per second; let it rise step by step to 137 per second or more",
        zh: "负载只在每秒 38.0 到 44.0 之间变化；请分级加压到每秒 137 以上",
      },
      points: [[0.8, 41, 33e6, 0]],
    },
  ];
  const target = Number(params.get("target_qps") ?? 0);
  if (target > 0) {
    for (const node of nodes) {
      const full = node.capacity_qps as number | null;
      const needed = (node.qps as number) * (target / 24_000);
      Object.assign(node, { calls_per_request: (node.qps as number) / 24_000, needed_qps: needed });
      if (full !== null) Object.assign(node, { load_at_target: needed / full, gives_way: needed > full });
    }
  }
  const first = nodes.find((n) => n.gives_way === true) ?? null;
  return {
    meta: META,
    window: { start: META.start, end: META.end },
    bin_s: 5,
    nodes,
    forecast: target > 0 ? { target_qps: target, now_qps: 24_000, first, unknown: 2 } : null,
  };
}

export function whatIf(params: URLSearchParams): unknown {
  const faster = Number(params.get("faster") ?? 2);
  const entry = (operation: string, own: number, rest: number, touched: number) => {
    const figures = (name: string, scale: number) => ({
      [`${name}_ns`]: (own + rest) * scale * 1e6,
      [`new_${name}_ns`]: (own / faster + rest) * scale * 1e6,
    });
    const all = { ...figures("mean", 1), ...figures("p50", 0.7), ...figures("p90", 2), ...figures("p99", 7) };
    const saved = (own - own / faster) / (own + rest);
    return { service: "gateway", operation, requests: 5078, touched, ...all, saved_share: saved };
  };
  return {
    meta: META,
    service: params.get("service"),
    operation: params.get("operation"),
    kind: params.get("kind"),
    faster,
    spans: 5078,
    requests: 12507,
    assumptions: [
      {
        en: "only the operation's own time changes, not that of what it calls",
        zh: "只有该操作自身的时间改变，它所调用的操作不变",
      },
      { en: "the load stays the same", zh: "负载不变" },
    ],
    entries: [entry("POST /order", 56, 34, 5078), entry("GET /products", 0, 11, 0)],
  };
}
