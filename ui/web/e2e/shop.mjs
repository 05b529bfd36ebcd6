// Writes the test fixtures: the answers that the HTTP API would give for fifteen minutes of a small simulated shop whose
// load steps from 8 to 24 requests per second. Updates of the stock then wait for a row lock, mostly on one instance.
// Every figure in every file is counted from the same traces, so that pages agree with each other. Seeded: the same
// files each time.  Usage: node e2e/shop.mjs

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OUT = join(dirname(fileURLToPath(import.meta.url)), "fixtures");
const START = Date.UTC(2026, 10, 22, 6, 0, 0); // 14:00 in Shanghai
const MINUTES = 15;
const STEP_AT = 360;
const MS = 1e6;

let state = 20261122;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
const around = (ms) => ms * MS * Math.exp(0.28 * (random() + random() + random() - 1.5) * 2);
const hex = (n) => Array.from({ length: n }, () => Math.floor(random() * 16).toString(16)).join("");
const pick = (list) => list[Math.floor(random() * list.length)];

/** One span and what it calls; times are filled by `run`. */
function span(service, name, kind, ownMs, children = [], more = {}) {
  return { service, name, kind, own: around(ownMs), children, ...more };
}

function order(busy) {
  const instance = `inventory-${1 + Math.floor(random() * 3)}`;
  const region = random() < 0.3 ? "shenzhen" : pick(["hangzhou", "beijing"]);
  const hot = busy && instance === "inventory-2" && region === "shenzhen";
  const waitMs = hot ? 420 : busy ? 14 : 5;
  const failed = hot && random() < 0.08;
  const items = 2 + Math.floor(random() * 6);
  return span(
    "gateway",
    "POST /order",
    "SERVER",
    1.8,
    [
      span("gateway", "POST", "CLIENT", 0.8, [
        span(
          "order",
          "POST /orders",
          "SERVER",
          4,
          [
            span("order", "INSERT orders", "CLIENT", 3.2, [], {
              peer: "order-db",
              attributes: { "db.system": "postgresql", "db.statement": "INSERT INTO orders …" },
            }),
            ...Array.from({ length: items }, () =>
              span("order", "GET price", "CLIENT", 0.5, [], { peer: "redis", attributes: { "db.system": "redis" } }),
            ),
            span("order", "POST", "CLIENT", 0.9, [
              span(
                "inventory",
                "POST /reserve",
                "SERVER",
                2.4,
                [
                  span("inventory", "UPDATE stock", "CLIENT", waitMs, [], {
                    peer: "inventory-db",
                    failed,
                    attributes: {
                      "db.system": "postgresql",
                      "db.statement": "UPDATE stock SET n = n - $1 WHERE sku = $2",
                      "app.region": region,
                      "db.rows": items,
                    },
                    events: hot
                      ? [{ at: 0.1, name: "lock.wait", attributes: { "lock.kind": "row", "lock.holder": "tx-4711" } }]
                      : [],
                  }),
                ],
                { instance, attributes: { "app.region": region, "http.route": "/reserve" } },
              ),
            ]),
            span("order", "POST /charge", "CLIENT", 18, [], {
              peer: "bank",
              attributes: { "http.request.method": "POST", "server.address": "bank.example" },
            }),
          ],
          { attributes: { "http.route": "/orders", "app.region": region } },
        ),
      ]),
    ],
    {
      failed,
      attributes: {
        "http.route": "/order",
        "http.request.method": "POST",
        "app.region": region,
        "user.tier": pick(["free", "gold"]),
      },
    },
  );
}

function products() {
  return span(
    "gateway",
    "GET /products",
    "SERVER",
    1.5,
    [
      span("gateway", "GET", "CLIENT", 0.6, [
        span(
          "catalog",
          "GET /list",
          "SERVER",
          3,
          [
            span("catalog", "SELECT products", "CLIENT", 6, [], {
              peer: "catalog-db",
              attributes: { "db.system": "postgresql" },
            }),
          ],
          { attributes: { "http.route": "/list" } },
        ),
      ]),
      span(
        "gateway",
        "GET",
        "CLIENT",
        0.5,
        [span("recommend", "GET /similar", "SERVER", 5, [], { attributes: { "http.route": "/similar" } })],
        { parallel: true },
      ),
    ],
    { attributes: { "http.route": "/products", "http.request.method": "GET", "user.tier": pick(["free", "gold"]) } },
  );
}

function cart() {
  return span(
    "gateway",
    "GET /cart",
    "SERVER",
    1.2,
    [
      span("gateway", "GET", "CLIENT", 0.5, [
        span(
          "cart",
          "GET /cart",
          "SERVER",
          2,
          [span("cart", "HGETALL", "CLIENT", 0.7, [], { peer: "redis", attributes: { "db.system": "redis" } })],
          { attributes: { "http.route": "/cart" } },
        ),
      ]),
    ],
    { attributes: { "http.route": "/cart", "http.request.method": "GET" } },
  );
}

/** Lays a request out in time; answers its flat spans. */
function run(request, t0us) {
  const spans = [];
  const place = (s, parent, start) => {
    const out = {
      span_id: hex(16),
      parent_span_id: parent ? parent.span_id : "",
      ran_within: "",
      name: s.name,
      kind: s.kind,
      service: s.service,
      peer: s.peer ?? null,
      instance_id:
        s.instance ??
        (parent?.service === s.service ? parent.instance_id : null) ??
        `${s.service}-${1 + Math.floor(random() * 2)}`,
      start_ns: start,
      failed: Boolean(s.failed),
      attributes: s.attributes ?? {},
      eventSpecs: s.events ?? [],
      parent,
    };
    spans.push(out);
    let at = start + s.own * 0.4;
    let end = at;
    for (const c of s.children) {
      const from = c.parallel ? start + s.own * 0.4 : at;
      const done = place(c, out, from);
      if (!c.parallel) at = done;
      end = Math.max(end, done);
    }
    out.duration_ns = Math.round(Math.max(at, end) + s.own * 0.6 - start);
    out.start_ns = Math.round(out.start_ns);
    return start + out.duration_ns;
  };
  place(request, null, 0);
  const trace = { trace_id: hex(32), t0us, spans, root: spans[0] };
  assemble(trace);
  return trace;
}

/** Self time and critical path, walking back from the root's end to the child that ended last. */
function assemble({ spans, root }) {
  const children = new Map(spans.map((s) => [s, []]));
  for (const s of spans) {
    s.critical_segments = [];
    if (s.parent) children.get(s.parent).push(s);
  }
  for (const s of spans) {
    let covered = 0;
    let at = s.start_ns;
    for (const c of [...children.get(s)].sort((a, b) => a.start_ns - b.start_ns)) {
      const end = c.start_ns + c.duration_ns;
      covered += Math.max(0, end - Math.max(at, c.start_ns));
      at = Math.max(at, end);
    }
    s.self_time_ns = s.duration_ns - covered;
  }
  const walk = (s, until) => {
    let at = until;
    const kids = [...children.get(s)].sort((a, b) => b.start_ns + b.duration_ns - (a.start_ns + a.duration_ns));
    for (const c of kids) {
      const end = Math.min(c.start_ns + c.duration_ns, at);
      if (c.start_ns >= at) continue;
      if (end < at) s.critical_segments.unshift([end, at]);
      walk(c, end);
      at = c.start_ns;
    }
    if (at > s.start_ns) s.critical_segments.unshift([s.start_ns, at]);
  };
  walk(root, root.start_ns + root.duration_ns);
  for (const s of spans) s.critical_path_ns = s.critical_segments.reduce((sum, [a, b]) => sum + b - a, 0);
}

// ---- the fifteen minutes
const traces = [];
for (let second = 0; second < MINUTES * 60; second++) {
  const qps = second < STEP_AT ? 8 : second < STEP_AT + 20 ? 16 : 24;
  const n = Math.floor(qps * (0.88 + 0.24 * random()) + random());
  for (let i = 0; i < n; i++) {
    const at = (second + random()) * 1e6;
    const dice = random();
    const busy = second >= STEP_AT;
    traces.push(run(dice < 0.4 ? order(busy) : dice < 0.75 ? products() : cart(), Math.round(at)));
  }
}
traces.sort((a, b) => a.t0us - b.t0us);

const T0 = `${BigInt(START) * 1000000n}`;
const iso = (second) => new Date(START + second * 1e3).toISOString();
const END = MINUTES * 60;
const NOW_WINDOW = [380, END];
const BASE_WINDOW = [0, STEP_AT];
const within = (list, [from, to]) => list.filter((t) => t.t0us >= from * 1e6 && t.t0us < to * 1e6);
const now = within(traces, NOW_WINDOW);
const base = within(traces, BASE_WINDOW);
const quantile = (list, q) =>
  list.length === 0 ? null : [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(q * list.length))];
const sum = (list) => list.reduce((a, b) => a + b, 0);
const meta = (rows, notes = []) => ({
  start: iso(0),
  end: iso(END),
  elapsed_ms: 12.4,
  rows,
  partial: false,
  unsettled_traces: 0,
  notes,
});
const write = (name, value) => writeFileSync(join(OUT, `${name}.json`), `${JSON.stringify(value)}\n`);
const groupBy = (list, key) => {
  const groups = new Map();
  for (const x of list) {
    const members = groups.get(key(x));
    if (members) members.push(x);
    else groups.set(key(x), [x]);
  }
  return groups;
};
/** The server span that a client span reached. */
const childOf = new Map(
  traces.flatMap((t) => t.spans.filter((s) => s.parent?.kind === "CLIENT").map((s) => [s.parent, s])),
);

mkdirSync(OUT, { recursive: true });
steps();
const spots = hotspots();
heatAndCompare();
flame();
tablesOfServices();
search();
oneTrace();
metrics();
rest();
console.log(
  `${traces.length} traces, ${sum(traces.map((t) => t.spans.length))} spans; worst: ${spots[0].service} ${spots[0].operation}`,
);

function steps() {
  const binUs = 10e6;
  const timeline = [];
  for (let b = 0; b < (END * 1e6) / binUs; b++) {
    const list = within(traces, [(b * binUs) / 1e6, ((b + 1) * binUs) / 1e6]);
    const d = list.map((t) => t.root.duration_ns);
    timeline.push({
      t_us: b * binUs,
      requests: list.length,
      errors: list.filter((t) => t.root.failed).length,
      p50_ns: quantile(d, 0.5),
      p99_ns: quantile(d, 0.99),
      in_flight: sum(d) / 1e9 / 10,
    });
  }
  const level = (index, [from, to], transition) => {
    const list = within(traces, [from, to]);
    const d = list.map((t) => t.root.duration_ns);
    return {
      index,
      start: iso(from),
      end: iso(to),
      qps: list.length / (to - from),
      concurrency: sum(d) / 1e9 / (to - from),
      requests: list.length,
      errors: list.filter((t) => t.root.failed).length,
      p50_ns: quantile(d, 0.5),
      p90_ns: quantile(d, 0.9),
      p95_ns: quantile(d, 0.95),
      p99_ns: quantile(d, 0.99),
      p999_ns: quantile(d, 0.999),
      transition,
    };
  };
  write("steps", {
    meta: meta(traces.length),
    t0: T0,
    bin_us: binUs,
    timeline,
    steps: [level(0, BASE_WINDOW, false), level(1, [STEP_AT, 380], true), level(2, NOW_WINDOW, false)],
    baseline_step: 0,
    current_step: 2,
  });
}

function opKey(s) {
  return [s.service, s.name, s.kind, s.peer ?? ""].join("|");
}

function perOperation(list) {
  const out = new Map();
  for (const t of list)
    for (const s of t.spans) {
      const o = out.get(opKey(s)) ?? {
        service: s.service,
        operation: s.name,
        kind: s.kind,
        peer: s.peer,
        spans: [],
        critical: 0,
        self: 0,
        errors: 0,
      };
      o.spans.push(s);
      o.critical += s.critical_path_ns;
      o.self += s.self_time_ns;
      o.errors += s.failed ? 1 : 0;
      out.set(opKey(s), o);
    }
  return out;
}

function hotspots() {
  const [a, b] = [perOperation(now), perOperation(base)];
  const whole = sum(now.map((t) => t.root.duration_ns));
  const rows = [...a.entries()].map(([key, o]) => {
    const before = b.get(key);
    const per = o.critical / now.length;
    const was = (before?.critical ?? 0) / base.length;
    const holders = now
      .filter((t) => t.spans.some((s) => opKey(s) === key))
      .sort((x, y) => y.root.duration_ns - x.root.duration_ns);
    const stock = o.operation === "UPDATE stock";
    const parents = new Set(o.spans.filter((s) => s.parent).map((s) => `${s.parent.service}|${s.parent.name}`));
    return {
      service: o.service,
      operation: o.operation,
      span_kind: o.kind,
      category: stock
        ? "lock"
        : o.peer === "redis"
          ? "cache"
          : o.peer === "bank"
            ? "external"
            : o.peer
              ? "database"
              : o.kind === "CLIENT"
                ? "network"
                : "self",
      peer: o.peer,
      instance: stock ? "inventory-2" : null,
      attribute: stock ? { key: "app.region", value: "shenzhen" } : null,
      critical_path_ns_per_request: Math.round(per),
      share_of_latency: o.critical / whole,
      change_ns_per_request: Math.round(per - was),
      confidence: stock ? 0.99 : Math.min(0.8, 0.3 + Math.abs(per - was) / 1e7),
      callers: [...parents].map((p) => p.split("|")),
      explanation: stock
        ? {
            en: "Updates of the stock wait for a row lock since the load rose, on instance inventory-2 and for app.region = shenzhen only. Time in the statement itself did not change.",
            zh: "负载上升后，库存更新在等待行锁，仅发生在实例 inventory-2 且 app.region = shenzhen。语句本身的耗时没有变化。",
          }
        : { en: "Takes about as long per call as before.", zh: "单次调用耗时与之前基本相同。" },
      exemplars: (stock ? holders.filter((t) => t.spans.some((s) => s.eventSpecs.length > 0)) : holders)
        .slice(40, 45)
        .map((t) => t.trace_id),
      p99_ns: quantile(
        o.spans.map((s) => s.duration_ns),
        0.99,
      ),
      baseline_p99_ns: before
        ? quantile(
            before.spans.map((s) => s.duration_ns),
            0.99,
          )
        : null,
      errors_per_request: o.errors / now.length,
      calls_per_request: o.spans.length / now.length,
      baseline_critical_path_ns_per_request: Math.round(was),
      interval_ns: [Math.round((per - was) * 0.91), Math.round((per - was) * 1.08)],
      victims: stock
        ? [
            ["order", "POST /orders"],
            ["gateway", "POST /order"],
          ]
        : [],
    };
  });
  rows.sort((x, y) => y.change_ns_per_request - x.change_ns_per_request);
  const hotspots = rows.slice(0, 12).map((r, i) => ({ rank: i + 1, ...r }));
  write("hotspots", {
    meta: meta(now.length),
    window: { start: iso(NOW_WINDOW[0]), end: iso(NOW_WINDOW[1]), requests: now.length },
    baseline: { start: iso(0), end: iso(STEP_AT), requests: base.length },
    verdict: "bottleneck",
    worse: worse(),
    hotspots,
  });
  return hotspots;
}

function worse() {
  const p99 = (list) =>
    quantile(
      list.filter((t) => t.root.name === "POST /order").map((t) => t.root.duration_ns),
      0.99,
    );
  return [
    { entry: ["gateway", "POST /order"], measure: "p99", baseline: p99(base), window: p99(now), confidence: 0.99 },
  ];
}

function heatmapOf(spans) {
  const [columns, rows] = [120, 40];
  const low = Math.max(1e3, Math.min(...spans.map((s) => s.d)));
  const high = Math.max(...spans.map((s) => s.d)) * 1.0001;
  const edges = [0, ...Array.from({ length: rows }, (_, i) => low * (high / low) ** (i / (rows - 1)))];
  const counts = new Array(columns * rows).fill(0);
  const errors = new Array(columns * rows).fill(0);
  const binUs = (END * 1e6) / columns;
  for (const s of spans) {
    const c = Math.min(columns - 1, Math.floor(s.at / binUs));
    const r = Math.max(0, Math.min(rows - 1, edges.findIndex((e) => e > s.d) - 1));
    counts[c * rows + r]++;
    if (s.failed) errors[c * rows + r]++;
  }
  return {
    meta: meta(spans.length),
    t0: T0,
    bin_us: binUs,
    columns,
    edges_ns: edges,
    counts,
    max: Math.max(...counts),
    total: spans.length,
    errors,
  };
}

function heatAndCompare() {
  const stock = traces.flatMap((t) =>
    t.spans
      .filter((s) => s.name === "UPDATE stock")
      .map((s) => ({ at: t.t0us, d: s.duration_ns, failed: s.failed, span: s, trace: t })),
  );
  write("heatmap", heatmapOf(stock));
  write(
    "heatmap-requests",
    heatmapOf(traces.map((t) => ({ at: t.t0us, d: t.root.duration_ns, failed: t.root.failed }))),
  );
  const slowFrom = quantile(
    stock.filter((s) => s.at < STEP_AT * 1e6).map((s) => s.d),
    0.99,
  );
  const selection = stock.filter((s) => s.at >= NOW_WINDOW[0] * 1e6 && s.d >= slowFrom * 4);
  const baseline = stock.filter((s) => s.at < STEP_AT * 1e6);
  const differences = [];
  const facets = [
    ["instance_id", "intrinsic", (s) => s.span.instance_id],
    ["app.region", "span", (s) => s.span.attributes["app.region"]],
    ["status_code", "intrinsic", (s) => (s.failed ? "ERROR" : "UNSET")],
    ["db.rows", "span", (s) => s.span.attributes["db.rows"]],
    ["host.name", "resource", (s) => s.span.instance_id.replace("inventory", "node")],
    ["db.system", "span", (s) => s.span.attributes["db.system"]],
  ];
  for (const [key, scope, read] of facets) {
    for (const value of new Set([...selection, ...baseline].map(read))) {
      const [n, m] = [selection, baseline].map((side) => side.filter((s) => read(s) === value).length);
      const [a, b] = [n / selection.length, m / baseline.length];
      differences.push({
        key,
        scope,
        value,
        selection_count: n,
        baseline_count: m,
        selection_share: a,
        baseline_share: b,
        score: Math.abs(a - b),
        selection_coverage: 1,
        baseline_coverage: 1,
      });
    }
  }
  differences.sort((x, y) => y.score - x.score);
  write("compare", {
    meta: meta(stock.length),
    selection: { spans: selection.length },
    baseline: { spans: baseline.length },
    differences: differences.filter((d) => d.score > 0.005),
    exemplars: {
      selection: selection.slice(30, 35).map((s) => s.trace.trace_id),
      baseline: baseline.slice(0, 3).map((s) => s.trace.trace_id),
    },
  });
}

function flame() {
  const nodes = new Map();
  const add = (list, side) => {
    for (const t of list) {
      const idOf = new Map();
      for (const s of t.spans) {
        const parent = s.parent ? idOf.get(s.parent) : null;
        const key = `${parent}>${opKey(s)}`;
        let n = nodes.get(key);
        if (!n) {
          n = {
            id: nodes.size + 1,
            parent,
            service: s.service,
            operation: s.name,
            kind: s.kind,
            peer: s.peer,
            calls: 0,
            total_ns: 0,
            self_ns: 0,
            critical_ns: 0,
            errors: 0,
            base_calls: 0,
            base_total_ns: 0,
            base_self_ns: 0,
            base_critical_ns: 0,
          };
          nodes.set(key, n);
        }
        idOf.set(s, n.id);
        const p = side === "now" ? "" : "base_";
        n[`${p}calls`]++;
        n[`${p}total_ns`] += s.duration_ns;
        n[`${p}self_ns`] += s.self_time_ns;
        n[`${p}critical_ns`] += s.critical_path_ns;
        if (side === "now" && s.failed) n.errors++;
      }
    }
  };
  add(now, "now");
  add(base, "base");
  write("flame", {
    meta: meta(now.length),
    requests: now.length,
    baseline_requests: base.length,
    nodes: [...nodes.values()],
  });
}

function tablesOfServices() {
  const seconds = NOW_WINDOW[1] - NOW_WINDOW[0];
  const whole = sum(now.map((t) => t.root.duration_ns));
  const trendOf = (list) => {
    const out = new Array(30).fill(0);
    for (const at of list) out[Math.min(29, Math.floor(((at / 1e6 - NOW_WINDOW[0]) / seconds) * 30))]++;
    return out.map((n) => n / (seconds / 30));
  };
  const all = now.flatMap((t) => t.spans.map((s) => ({ s, at: t.t0us })));
  const figures = (list) => {
    const d = list.map((x) => x.s.duration_ns);
    const errors = list.filter((x) => x.s.failed).length;
    return {
      rate: list.length / seconds,
      errors,
      error_rate: errors / list.length,
      p50_ns: quantile(d, 0.5),
      p90_ns: quantile(d, 0.9),
      p99_ns: quantile(d, 0.99),
    };
  };
  const services = [...groupBy(all, (x) => x.s.service)].map(([service, list]) => {
    const served = list.filter((x) => x.s.kind === "SERVER");
    return {
      service,
      instances: new Set(list.map((x) => x.s.instance_id)).size,
      operations: new Set(list.map((x) => x.s.name)).size,
      spans: list.length,
      ...figures(served),
      critical_share: sum(list.map((x) => x.s.critical_path_ns)) / whole,
      trend: trendOf(served.map((x) => x.at)),
    };
  });
  write("services", { meta: meta(services.length), services });
  const operations = [...groupBy(all, (x) => opKey(x.s))].map(([, list]) => {
    const { service, name: operation, kind, peer } = list[0].s;
    const critical = sum(list.map((x) => x.s.critical_path_ns));
    return {
      service,
      operation,
      kind,
      peer,
      count: list.length,
      ...figures(list),
      max_ns: Math.max(...list.map((x) => x.s.duration_ns)),
      self_ns: sum(list.map((x) => x.s.self_time_ns)),
      critical_ns: critical,
      critical_share: critical / whole,
      trend: trendOf(list.map((x) => x.at)),
    };
  });
  write("operations", { meta: meta(operations.length), operations });

  const types = {
    "order-db": "database",
    "inventory-db": "database",
    "catalog-db": "database",
    redis: "cache",
    bank: "external",
  };
  const calls = all
    .filter((x) => x.s.kind === "CLIENT")
    .map((x) => ({ ...x, to: x.s.peer ?? childOf.get(x.s)?.service }));
  const nodes = [
    ...services.map((s) => ({
      id: s.service,
      name: s.service,
      type: "service",
      requests: Math.round(s.rate * seconds),
      rate: s.rate,
      errors: s.errors,
      error_rate: s.error_rate,
      p50_ns: s.p50_ns,
      p99_ns: s.p99_ns,
      critical_share: s.critical_share,
      instances: s.instances,
    })),
    ...[
      ...groupBy(
        calls.filter((c) => c.s.peer),
        (c) => c.to,
      ),
    ].map(([peer, list]) => ({
      id: peer,
      name: peer,
      type: types[peer],
      requests: list.length,
      ...figures(list),
      critical_share: sum(list.map((x) => x.s.critical_path_ns)) / whole,
      instances: 1,
    })),
  ];
  const edges = [...groupBy(calls, (c) => `${c.s.service}|${c.to}`)].map(([key, list]) => {
    const [from, to] = key.split("|");
    const gaps = list.filter((c) => childOf.get(c.s)).map((c) => c.s.duration_ns - childOf.get(c.s).duration_ns);
    const below = list.map((c) => c.s.critical_path_ns + (childOf.get(c.s)?.critical_path_ns ?? 0));
    return {
      from,
      to,
      calls: list.length,
      ...figures(list),
      critical_share: sum(below) / whole,
      gap_ns: gaps.length > 0 ? sum(gaps) / gaps.length : null,
    };
  });
  write("service-map", { meta: meta(edges.length), nodes, edges });
}

function search() {
  const head = (t) => ({
    trace_id: t.trace_id,
    service: t.root.service,
    operation: t.root.name,
    start_us: t.t0us,
    duration_ns: t.root.duration_ns,
    spans: t.spans.length,
    services: new Set(t.spans.map((s) => s.service)).size,
    errors: t.spans.filter((s) => s.failed).length,
    status_code: t.root.failed ? "ERROR" : "UNSET",
  });
  write("search", { meta: meta(50), t0: T0, traces: now.slice(-50).reverse().map(head) });
}

function oneTrace() {
  const chosen = traces.find((t) => t.trace_id === spots[0].exemplars[0]);
  write("trace", traceAnswer(chosen));
}

function traceAnswer(t) {
  const depthOf = (s) => (s.parent ? 1 + depthOf(s.parent) : 1);
  const spans = t.spans.map((s) => ({
    span_id: s.span_id,
    parent_span_id: s.parent_span_id,
    ran_within: "",
    name: s.name,
    kind: s.kind,
    service: s.service,
    service_namespace: "shop",
    instance_id: s.instance_id,
    start_us: Math.round(s.start_ns / 1e3),
    start_ns: s.start_ns,
    duration_ns: s.duration_ns,
    status_code: s.failed ? "ERROR" : "UNSET",
    status_message: s.failed ? "canceling statement due to lock timeout" : "",
    self_time_ns: s.self_time_ns,
    critical_path_ns: s.critical_path_ns,
    critical_segments: s.critical_segments,
    flags: [],
    attributes: s.attributes,
    resource_attributes: {
      "service.name": s.service,
      "service.instance.id": s.instance_id,
      "host.name": s.instance_id.replace(/^[a-z]+/, "node"),
      "telemetry.sdk.language": "java",
    },
    scope_name: "io.opentelemetry.jdbc",
    scope_version: "2.9.0",
    trace_state: "",
    events: s.eventSpecs.map((e) => ({
      time_ns: s.start_ns + e.at * s.duration_ns,
      name: e.name,
      attributes: e.attributes,
    })),
    links: [],
  }));
  return {
    trace_id: t.trace_id,
    t0: `${BigInt(START) * 1000000n + BigInt(t.t0us) * 1000n}`,
    duration_ns: t.root.duration_ns,
    services: new Set(spans.map((s) => s.service)).size,
    depth: Math.max(...t.spans.map(depthOf)),
    spans,
    truncated: false,
    flags: [],
  };
}

function metrics() {
  write("metrics-names", {
    metrics: [
      {
        name: "db.client.connections.usage",
        type: "GAUGE",
        unit: "{connection}",
        description: "Connections in use, by state",
        services: 3,
        points: 540,
      },
      {
        name: "http.server.request.duration",
        type: "HISTOGRAM",
        unit: "s",
        description: "Duration of HTTP server requests",
        services: 6,
        points: 1080,
      },
      {
        name: "jvm.gc.duration",
        type: "HISTOGRAM",
        unit: "s",
        description: "Duration of garbage collections",
        services: 6,
        points: 1080,
      },
      { name: "jvm.memory.used", type: "GAUGE", unit: "By", description: "Memory in use", services: 6, points: 1080 },
      { name: "process.cpu.time", type: "SUM", unit: "s", description: "CPU time", services: 6, points: 1080 },
    ],
  });
  const stepUs = 10e6;
  const t_us = Array.from({ length: 90 }, (_, i) => i * stepUs);
  const series = ["inventory", "order", "catalog"].map((service) => ({
    labels: { service_name: service },
    t_us,
    values: t_us.map((t) => Math.round((service === "inventory" && t >= STEP_AT * 1e6 ? 18 : 5) + 2 * random())),
  }));
  write("metrics-series", {
    t0: T0,
    step_us: stepUs,
    unit: "{connection}",
    type: "GAUGE",
    agg: "avg",
    series,
    truncated: false,
  });
}

function rest() {
  const spans = sum(traces.map((t) => t.spans.length));
  const ledger = (received) => ({ received, stored: received, rejected: 0, refused: 0, duplicates: 0, in_flight: 0 });
  const held = { ...ledger(spans + 490 + 37), stored: spans, duplicates: 490, rejected: 37 };
  write("status", {
    version: "0.1.0",
    started_at: iso(-60),
    uptime_s: END + 60,
    ledger: { spans: held, metrics: ledger(4860), logs: ledger(0) },
    rates: { spans_per_s: spans / END, metrics_per_s: 5.4, logs_per_s: 0, exports_per_s: 6.2 },
    export_latency_ns: { p50: 2.1e6, p90: 4.8e6, p99: 9.7e6 },
    wal: { segments: 2, bytes: 7.3e6, oldest_s: 14, queued_bytes: 0, fsync_p99_ns: 3.4e6 },
    memory: { rows: 2210, bytes: 1.9e6, limit: 512 * 2 ** 20, backlog_rows: 0, budget: 2 ** 30 },
    tables: [
      { name: "spans", tenant: "default", files: 7, rows: spans - 2210, bytes: (spans - 2210) * 41, version: 31 },
      { name: "metrics", tenant: "default", files: 3, rows: 4860, bytes: 92e3, version: 9 },
      { name: "logs", tenant: "default", files: 0, rows: 0, bytes: 0, version: 0 },
    ],
    in_flight_bytes: { now: 1.2e5, limit: 64 * 2 ** 20 },
    ledger_since_creation: {
      spans: { ...held, received: held.received + 4e6, stored: held.stored + 4e6 },
      metrics: ledger(4860 + 1.2e5),
      logs: ledger(0),
    },
    reasons: [
      {
        signal: "traces",
        outcome: "rejected",
        reason: "invalid_span_id",
        count: 37,
        unit: "rows",
        last_at: "2026-11-22T06:13:07.000Z",
      },
    ],
    process: { rss_bytes: 212e6, cpu_seconds: 64.2, open_fds: 58, threads: 14 },
    disk: { free_bytes: 81e9, total_bytes: 120e9 },
    retention: { age_s: 604800, max_bytes: null },
    damage: [],
    endpoints: { otlp_grpc: "127.0.0.1:4317", otlp_http: "127.0.0.1:4318", listen: "127.0.0.1:4320", pg: null },
    insecure: false,
  });
  const columns = (list) => list.map(([name, type, doc]) => ({ name, type, doc }));
  write("schema", {
    tables: [
      {
        name: "spans",
        doc: "One row per span.",
        columns: columns([
          ["trace_id", "Utf8", "32 hex digits"],
          ["span_id", "Utf8", "16 hex digits"],
          ["name", "Utf8", "Operation"],
          ["kind", "Utf8", "SERVER, CLIENT, …"],
          ["service_name", "Utf8", "From the resource"],
          ["start_time", "Timestamp(ns)", "UTC"],
          ["duration_ns", "Int64", "Nanoseconds"],
          ["status_code", "Utf8", "UNSET, OK, ERROR"],
          ["attributes", "Utf8", "JSON"],
          ["critical_path_ns", "Int64", "Null until assembled"],
        ]),
      },
      {
        name: "metrics",
        doc: "One row per data point.",
        columns: columns([
          ["name", "Utf8", "Metric"],
          ["time", "Timestamp(ns)", "UTC"],
          ["value", "Float64", "Of gauges and sums"],
        ]),
      },
    ],
    functions: [
      {
        name: "hotspots",
        doc: "The ranking as a table function.",
        example: "SELECT * FROM hotspots(now() - INTERVAL '15 minutes', now())",
      },
    ],
  });
  const rows = [...perOperation(now).values()]
    .map((o) => [
      o.service,
      o.operation,
      o.kind,
      o.spans.length,
      quantile(
        o.spans.map((s) => s.duration_ns),
        0.99,
      ) / 1e6,
    ])
    .sort((a, b) => b[4] - a[4]);
  write("sql", {
    columns: [
      ["service_name", "Utf8"],
      ["name", "Utf8"],
      ["kind", "Utf8"],
      ["spans", "Int64"],
      ["p99_ms", "Float64"],
    ].map(([name, type]) => ({ name, type })),
    rows,
    truncated: false,
    elapsed_ms: 38.2,
    rows_total: rows.length,
  });
}
