// Hidden latency, statements and exceptions of the stand-in server: rows by hand, one of each kind.

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const META = { start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:15:00Z", elapsed_ms: 12, partial: false, notes: [] };

function meta(rows: readonly unknown[]) {
  return { ...META, rows: rows.length, unsettled_traces: 0 };
}

const CALL = { span_kind: "CLIENT", peer: null, caller_service: "order", caller_operation: "POST /orders" };

const PATTERNS = [
  { pattern: "n_plus_one", service: "order", operation: "GET price", calls: 6.2, time_ns_per_request: 21_400_000 },
  { pattern: "retry", service: "payment", operation: "POST /charge", calls: 2.4, time_ns_per_request: 12_100_000 },
  {
    pattern: "before_served",
    service: "inventory",
    operation: "POST /reserve",
    calls: 1,
    time_ns_per_request: 8_300_000,
  },
].map((row, at) => ({
  ...CALL,
  ...row,
  count: 4_000 - at * 900,
  per_request: 0.9 - at * 0.2,
  baseline_time_ns_per_request: at === 2 ? 1_200_000 : null,
  share_of_latency: 0.21 - at * 0.06,
  p50_ns: 18_000_000,
  p99_ns: 77_000_000,
  exemplar: TRACE,
}));

const STATEMENTS = [
  ["inventory", "inventory-db", "UPDATE stock SET reserved = reserved + ? WHERE sku = ? AND warehouse = ?"],
  ["order", "order-db", "INSERT INTO orders (id, customer, total) VALUES (?)"],
].map(([service, peer, statement], at) => ({
  service,
  peer,
  statement,
  operation: statement.split(" ").slice(0, 2).join(" "),
  span_kind: "CLIENT",
  system: "postgresql",
  count: 9_000 - at * 4_000,
  rate: 10 - at * 4,
  errors: at === 0 ? 31 : 0,
  mean_ns: 42_000_000,
  p50_ns: 31_000_000,
  p99_ns: 410_000_000,
  total_ns: 378_000_000_000,
  critical_ns: 301_000_000_000,
  critical_share: 0.71 - at * 0.5,
  slowest: TRACE,
}));

const EXCEPTIONS = [
  {
    service: "inventory",
    operation: "UPDATE stock",
    type: "org.postgresql.util.PSQLException",
    place: "com.shop.Stock.reserve(Stock.java:42)",
    message: "canceling statement due to lock timeout",
    count: 31,
    rate: 0.03,
    baseline_count: null,
    baseline_rate: null,
    first_seen: "2026-11-22T06:06:12Z",
    last_seen: "2026-11-22T06:14:50Z",
    exemplar: TRACE,
  },
];

/** The answers by the name of their analysis. */
export const HIDDEN: Record<string, unknown> = {
  hidden: { meta: meta(PATTERNS), requests: 12_000, rows: PATTERNS },
  statements: { meta: meta(STATEMENTS), statements: STATEMENTS },
  exceptions: { meta: meta(EXCEPTIONS), exceptions: EXCEPTIONS },
};
