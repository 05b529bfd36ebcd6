// Stress-test runs of the stand-in server: five rounds of a shop whose load steps from 8,000 to 40,000 requests per
// second, kept in memory so that starting, marking and stopping can be tried.

const LEVELS = [8_000, 16_000, 24_000, 32_000, 40_000];
const MINUTES = 3;
const STOCK = {
  service: "inventory",
  operation: "UPDATE stock",
  kind: "CLIENT",
  peer: "inventory-db",
  category: "lock",
};
const CHARGE = { service: "order", operation: "POST /charge", kind: "CLIENT", peer: "bank", category: "external" };
const PRICE = { service: "order", operation: "GET price", kind: "CLIENT", peer: "redis", category: "n_plus_one" };
type Node = typeof STOCK;

interface Round {
  id: string;
  name: string;
  start_time: string;
  end_time: string | null;
  labels: Record<string, string>;
  notes: string;
  marks: { time: string; name: string }[];
  generator?: unknown;
}

/** What the load generator of the last round saw. */
const GENERATOR = {
  tool: "k6",
  version: null,
  format: "k6-json",
  total: figures(3_600_000, 1_200, 4_000, 62e6),
  named: [
    { name: "POST http://shop.test/order", what: "request", ...figures(3_600_000, 1_200, 4_000, 62e6) },
    { name: "Flow", what: "transaction", ...figures(40_000, 0, 44, 310e6) },
  ],
  notes: ["percentiles were counted from the log, to three digits"],
};

function figures(requests: number, errors: number, rate: number, mean: number) {
  const of = (factor: number) => Math.round(mean * factor);
  const times = { mean_ns: mean, p50_ns: of(0.8), p90_ns: of(1.9), p95_ns: of(2.4), p99_ns: null, max_ns: of(9) };
  return { requests, errors, rate, ...times };
}

/** What each round suffers from: the lock goes in round 3 and is back in round 5. */
const WEAK: Node[][] = [[STOCK], [STOCK, PRICE], [CHARGE], [], [STOCK]];

const at = (day: number, minute: number) => new Date(Date.UTC(2026, 10, 18 + day, 6, minute)).toISOString();

function firstRounds(): Round[] {
  const names = ["Round 1", "Round 2: pool 64", "Round 3: no row lock", "Round 4: bank cached", "Round 5: release 4.2"];
  return names.map((name, i) => ({
    id: `r${i + 1}`,
    name,
    start_time: at(i, 0),
    end_time: at(i, LEVELS.length * MINUTES),
    labels: { git: `4f1c2a${i}`, env: "staging" },
    notes: i === 2 ? "Stock is reserved in the cache; the database is written behind." : "",
    marks: i >= 3 ? [{ time: at(i, 2 * MINUTES), name: "24K" }] : [],
    generator: i === 4 ? GENERATOR : null,
  }));
}

let rounds = firstRounds();

export interface RunRequest {
  method: string;
  path: string;
  params: URLSearchParams;
  body: () => Promise<string>;
}

/** The answer of one request below /runs, or null when there is no such thing. */
export async function runs(request: RunRequest): Promise<{ status: number; body: unknown } | null> {
  const [, id, what] = request.path.split("/");
  if (id === undefined) {
    if (request.method === "GET") return { status: 200, body: { runs: rounds } };
    const { name, labels } = JSON.parse(await request.body());
    if (name === "taken") return refusal(409, "invalid", "a run of this name is going on", "stop it first");
    const run = { id: "new", name, start_time: at(4, 0), end_time: null, labels, notes: "", marks: [] };
    rounds = [...firstRounds(), run];
    return { status: 201, body: run };
  }
  if (id === "compare") return { status: 200, body: comparison(request.params) };
  const run = rounds.find((r) => r.id === id);
  if (!run) return refusal(404, "not_found", `there is no run ${id}`, "GET /api/v1/runs lists them");
  if (what === "marks") run.marks.push({ time: at(4, 6), name: JSON.parse(await request.body()).name });
  if (request.method === "DELETE") rounds = rounds.filter((r) => r !== run);
  if (request.method === "PATCH") {
    const patch = JSON.parse(await request.body());
    if (patch.end_time === "now") run.end_time = at(4, LEVELS.length * MINUTES);
    if (typeof patch.notes === "string") run.notes = patch.notes;
  }
  return { status: 200, body: run };
}

function refusal(status: number, kind: string, message: string, hint: string) {
  return { status, body: { error: { kind, message, hint } } };
}

const META = { elapsed_ms: 3, rows: 1, partial: false, unsettled_traces: 0, notes: [] };

/** p99 in milliseconds of a level: flat to 24,000 requests per second in a weak round, flat throughout in a good one. */
function p99Of(level: number, weak: boolean): number {
  return weak ? [42, 44, 47, 180, 640][level] : [42, 43, 45, 46, 52][level];
}

function isWeak(round: number): boolean {
  return (WEAK[Math.min(round, 4)] ?? []).length > 0;
}

function levelsOf(round: number) {
  const weak = isWeak(round);
  const t0 = Date.parse(rounds[round].start_time);
  return LEVELS.map((qps, i) => ({
    index: i,
    start: new Date(t0 + i * MINUTES * 60e3).toISOString(),
    end: new Date(t0 + (i + 1) * MINUTES * 60e3).toISOString(),
    qps,
    concurrency: qps * 20e-3 * (1 + i / 10),
    requests: qps * MINUTES * 60,
    errors: weak && i === 4 ? qps * 2 : 0,
    p50_ns: 13e6 + i * 1e6,
    p90_ns: 15e6 + i * 1e6,
    p95_ns: (p99Of(i, weak) * 1e6) / 2,
    p99_ns: p99Of(i, weak) * 1e6,
    p999_ns: p99Of(i, weak) * 1.6e6,
    transition: false,
  }));
}

/** Of the whole run, or of a stage of it. */
function totalOf(params: URLSearchParams, levels: ReturnType<typeof levelsOf>) {
  const start = params.get("start");
  if (!start) return { ...figures(3_599_000, 1_190, 3_999, 60e6), concurrency: 240, p99_ns: 640e6, p999_ns: 1_020e6 };
  const part = levels.filter((l) => l.start >= start && l.end <= (params.get("end") ?? l.end));
  const sum = (of: (l: (typeof levels)[number]) => number) => part.reduce((all, l) => all + of(l), 0);
  const requests = sum((l) => l.requests);
  const slowest = part.at(-1)?.p99_ns ?? null;
  return {
    ...figures(
      requests,
      sum((l) => l.errors),
      requests / Math.max(1, part.length * MINUTES * 60),
      24e6,
    ),
    ...{ concurrency: sum((l) => l.concurrency) / Math.max(1, part.length), p99_ns: slowest, p999_ns: slowest },
  };
}

export function runSteps(params: URLSearchParams): unknown | null {
  const round = rounds.findIndex((r) => r.id === params.get("run"));
  if (round < 0) return null;
  const weak = isWeak(round);
  const t0 = Date.parse(rounds[round].start_time);
  const levels = levelsOf(round);
  const timeline = Array.from({ length: LEVELS.length * MINUTES * 6 }, (_, i) => {
    const level = Math.floor(i / (MINUTES * 6));
    const wave = 1 + 0.03 * Math.sin(i * 1.7);
    return {
      t_us: i * 10e6,
      requests: Math.round(LEVELS[level] * 10 * wave),
      errors: 0,
      p50_ns: (13e6 + level * 1e6) * wave,
      p99_ns: p99Of(level, weak) * 1e6 * wave,
      in_flight: 400,
    };
  });
  return {
    meta: { ...META, start: levels[0].start, end: levels[4].end },
    t0: `${t0}000000`,
    bin_us: 10e6,
    timeline,
    steps: levels,
    total: totalOf(params, levels),
    baseline_step: 3,
    current_step: 4,
  };
}

/** Hot spots of a run, or of one level of it, in the form of the fixture; null when they are of no run. */
export function runHotSpots(params: URLSearchParams, fixture: { hotspots: Record<string, unknown>[] }): unknown | null {
  const round = rounds.findIndex((r) => r.id === params.get("run"));
  if (round < 0) return null;
  // Of a whole run the server takes the level of the highest load.
  const last = levelsOf(round).length - 1;
  const given = params.get("start");
  const level = given
    ? Math.round((Date.parse(given) - Date.parse(rounds[round].start_time)) / (MINUTES * 60e3))
    : last;
  const { start, end, requests } = levelsOf(round)[Math.min(level, last)];
  const strain = [0, 0.01, 0.03, 0.25, 1][level];
  const weak = strain > 0.1 ? (WEAK[Math.min(round, 4)] ?? []) : [];
  const spots = [STOCK, CHARGE, PRICE].map((node) => {
    const place = weak.indexOf(node);
    const before = 3e6 + node.operation.length * 2e5;
    const change = place >= 0 ? 24e6 * strain * (place === 0 ? 1 : 0.4) : 4e4;
    return {
      ...fixture.hotspots[0],
      rank: place >= 0 ? place + 1 : 9,
      service: node.service,
      operation: node.operation,
      span_kind: node.kind,
      category: node.category,
      peer: node.peer,
      instance: null,
      attribute: null,
      critical_path_ns_per_request: before + change,
      baseline_critical_path_ns_per_request: before,
      change_ns_per_request: change,
      interval_ns: [change * 0.9, change * 1.1],
      share_of_latency: (before + change) / 60e6,
      confidence: place >= 0 ? 0.99 : 0.3,
    };
  });
  spots.sort((a, b) => a.rank - b.rank);
  spots.forEach((s, i) => {
    s.rank = i + 1;
  });
  return {
    ...fixture,
    window: { start, end, requests },
    verdict: weak.length > 0 ? "bottleneck" : "no_significant_change",
    hotspots: spots,
  };
}

function comparison(params: URLSearchParams): unknown {
  const side = (name: string) => {
    const id = (params.get(name) ?? "").split("@")[0];
    const run = rounds.find((r) => r.id === id) ?? rounds[0];
    const figures = { requests: 21_600_000, errors: 1200, p50_ns: 14e6, p90_ns: 60e6, p99_ns: 310e6, levels: [] };
    return { start: run.start_time, end: run.end_time, ...figures };
  };
  const measure = (name: string, before: number, after: number, q: number) => ({
    measure: name,
    before,
    after,
    change: after - before,
    low: Math.min(0.8 * (after - before), 1.2 * (after - before)),
    high: Math.max(0.8 * (after - before), 1.2 * (after - before)),
    q,
  });
  const operation = (node: Node, outcome: string, before: number, after: number) => {
    const q = outcome === "no_evidence" ? 0.62 : 0.0002;
    const measures = [measure("mean_ns", before * 1e6, after * 1e6, q), measure("error_rate", 0.001, 0.004, 0.2)];
    const { category: _, ...of } = node;
    return { ...of, outcome, reason: null, ...measures[0], calls_a: 120_000, calls_b: 118_400, measures };
  };
  const band = (by: string, before: number, after: number) => ({
    ...{ matched_by: by, qps_a: before, qps_b: after, concurrency_a: before / 50, concurrency_b: before / 49 },
    ...{ throughput: null as unknown, seconds_a: 180, seconds_b: 180, times_a: [], times_b: [] },
  });
  // The last round is slower at the same number of users.
  const [now, outcome] = params.get("b") === "r5" ? [18_480, "worse"] : [23_600, "no_evidence"];
  const users = band("concurrency", 24_000, now);
  const material = 4_800;
  users.throughput = { ...measure("throughput", 24_000, now, outcome === "worse" ? 0.0001 : 0.4), material, outcome };
  return {
    meta: { ...META, start: at(0, 0), end: at(4, 15) },
    verdict: "worse",
    worse: 1,
    better: 1,
    same: 1,
    no_evidence: 1,
    too_few_calls: 1,
    only_in_a: 0,
    only_in_b: 2,
    found: 7,
    limits: { ratio: 0.2, latency_ns: 2e6, error_rate: 0.005 },
    a: side("a"),
    b: side("b"),
    matched: [band("rate", 8_000, 8_000), band("rate", 16_000, 16_000), users],
    operations: [
      operation(CHARGE, "worse", 18, 26),
      operation(STOCK, "better", 41, 6),
      operation(PRICE, "no_evidence", 0.5, 0.51),
      operation({ ...PRICE, operation: "GET stock" }, "same", 12, 12.1),
    ],
  };
}
