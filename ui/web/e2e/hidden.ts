// Hidden latency, statements, exceptions, instances and load generators of the stand-in server: rows by hand, one of
// each kind.

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const META = { start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:15:00Z", elapsed_ms: 12, partial: false, notes: [] };

function meta(rows: readonly unknown[]) {
  return { ...META, rows: rows.length, unsettled_traces: 0 };
}

const CALL = { span_kind: "CLIENT", peer: null, caller_service: "order", caller_operation: "POST /orders" };

const PATTERNS = [
  {
    pattern: "n_plus_one",
    service: "order",
    operation: "SELECT prices",
    statement: "SELECT amount FROM prices WHERE product_id = ?",
    calls: 6.2,
    time_ns_per_request: 21_400_000,
  },
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
  statement: null,
  ...row,
  count: 4_000 - at * 900,
  per_request: 0.9 - at * 0.2,
  baseline_time_ns_per_request: at === 2 ? 1_200_000 : null,
  share_of_latency: 0.21 - at * 0.06,
  p50_ns: 18_000_000,
  p99_ns: 77_000_000,
  exemplar: TRACE,
}));

/** Calls served a second, calls, mean, p50 and p99 of the gap. */
const LOADS = [
  [400, 12_000, 2_000_000, 1_800_000, 5_000_000],
  [650, 19_000, 6_100_000, 4_900_000, 31_000_000],
  [900, 27_000, 40_000_000, 37_000_000, 120_000_000],
];

const QUEUES = [
  {
    caller_service: "gateway",
    service: "order",
    verdict: "grows_with_load",
    calls: 58_000,
    quiet_rate: 400,
    busy_rate: 900,
    quiet_mean_ns: 2_000_000,
    quiet_p50_ns: 1_800_000,
    quiet_p99_ns: 5_000_000,
    busy_mean_ns: 40_000_000,
    busy_p50_ns: 37_000_000,
    busy_p99_ns: 120_000_000,
    change_ns: 38_000_000,
    change_low_ns: 36_000_000,
    change_high_ns: 40_000_000,
    q: 0.0001,
    grows_from_rate: 520,
    time_ns_per_request: 14_000_000,
    loads: LOADS,
    explanation: {
      en: "What calls of gateway to order wait beside being served grows with load: 2.00 ms at 400/s, 40.0 ms at 900/s (p99 5.00 ms and 120 ms); it is longer from about 520/s on.",
      zh: "gateway 对 order 的调用在处理之外的等待随负载增长：400/s 时 2.00 ms，900/s 时 40.0 ms（p99 为 5.00 ms 和 120 ms）；约从 520/s 起变长。",
    },
  },
  {
    caller_service: "order",
    service: "payment",
    verdict: "not_enough_load_range",
    calls: 9_000,
    quiet_rate: 80,
    busy_rate: 110,
    quiet_mean_ns: null,
    quiet_p50_ns: null,
    quiet_p99_ns: null,
    busy_mean_ns: null,
    busy_p50_ns: null,
    busy_p99_ns: null,
    change_ns: null,
    change_low_ns: null,
    change_high_ns: null,
    q: null,
    grows_from_rate: null,
    time_ns_per_request: 300_000,
    loads: LOADS.slice(0, 1),
    explanation: {
      en: "The load of payment did not vary enough to tell whether calls of order queue: 80/s to 110/s; at least ×2 is needed.",
      zh: "payment 的负载变化不足，无法判断 order 的调用是否排队：80/s 到 110/s；至少需要 ×2。",
    },
  },
].map((row) => ({ ...row, exemplar: TRACE, exemplar_operation: "POST /orders", bins: [] }));

const AMPLIFIED = [
  {
    verdict: "amplified",
    entry_service: "gateway",
    entry_operation: "POST /orders",
    callee: "inventory-db",
    callee_type: "database",
    path: "gateway → order → inventory → inventory-db",
    requests: 9_000,
    calls: 81_000,
    calls_per_request: 9,
    baseline_calls_per_request: 1,
    q: 0.0001,
    retry_factor: 9,
    baseline_retry_factor: 1,
    callee_calls_per_request: 9,
    baseline_callee_calls_per_request: 1,
    multiplied_by: "order",
    multiplied_calls_of: "inventory",
    most: 9,
    exemplar: TRACE,
    explanation: {
      en: 'One request to "POST /orders" of gateway causes 9.00 calls of inventory-db, 1.00 at normal times: gateway → order ×1.00 → inventory ×3.00 → inventory-db ×3.00. They are multiplied by order (3.00 calls of inventory for each request it serves, 1.00 at normal times; 67 % repeat a failed call) and by inventory (3.00 calls of inventory-db for each request it serves, 1.00 at normal times; 67 % repeat a failed call).',
      zh: "对 gateway 的“POST /orders”的一个请求引起 9.00 次对 inventory-db 的调用，平时为 1.00 次：gateway → order ×1.00 → inventory ×3.00 → inventory-db ×3.00。放大来自 order（每处理一个请求调用 inventory 3.00 次，平时为 1.00 次；67% 是失败后的重复）和 inventory（每处理一个请求调用 inventory-db 3.00 次，平时为 1.00 次；67% 是失败后的重复）。",
    },
    tiers: [
      ["gateway", "order", 1],
      ["order", "inventory", 3],
      ["inventory", "inventory-db", 3],
    ].map(([from, to, factor]) => ({
      from,
      to,
      factor,
      baseline_factor: 1,
      retry_factor: factor,
      baseline_retry_factor: 1,
    })),
  },
];

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

const LOG_PATTERNS = [
  {
    service: "inventory",
    severity: "error",
    pattern: "order * has no reservation",
    change: "new",
    count: 310,
    rate: 0.34,
    baseline_count: 0,
    baseline_rate: 0,
    last_seen: "2026-11-22T06:14:50Z",
    example: "order 8812 has no reservation",
    exemplar: TRACE,
  },
  {
    service: "inventory",
    severity: "info",
    pattern: "reserved order * in * ms",
    change: "gone",
    count: 0,
    rate: 0,
    baseline_count: 5_210,
    baseline_rate: 5.79,
    last_seen: "2026-11-22T05:59:59Z",
    example: "reserved order 8811 in 4 ms",
    exemplar: null,
  },
];

const SKEW = {
  service: "inventory",
  span_kind: "SERVER",
  peer: null,
  instances: 4,
  p50_ns: 38_000_000,
  p99_ns: 190_000_000,
  siblings_mean_ns: 14_000_000,
  siblings_p50_ns: 12_000_000,
  siblings_p99_ns: 61_000_000,
  error_rate: 0.002,
  siblings_error_rate: 0.002,
  share_of_calls: 0.25,
  siblings_share_of_calls: 0.25,
  q: 0.0001,
  exemplar: TRACE,
};

const SKEWED = [
  {
    ...SKEW,
    kind: "slow",
    operation: "POST /reserve",
    instance: "inventory-7c9f-3",
    calls: 3_100,
    mean_ns: 42_000_000,
    ratio: 3,
    lost_ns_per_minute: 5_800_000_000,
    explanation: {
      en: 'Instance inventory-7c9f-3 of inventory takes 42.0 ms of its own in "POST /reserve", its siblings 14.0 ms: requests lose 5.80 s a minute.',
      zh: "inventory 的实例 inventory-7c9f-3 在“POST /reserve”中自身耗时 42.0 ms，其他实例为 14.0 ms：请求每分钟损失 5.80 s。",
    },
  },
  {
    ...SKEW,
    kind: "errors",
    operation: "GET /stock",
    instance: "inventory-7c9f-1",
    calls: 4_000,
    mean_ns: 13_000_000,
    error_rate: 0.12,
    siblings_error_rate: 0,
    ratio: null,
    lost_ns_per_minute: null,
    explanation: {
      en: '"GET /stock" fails on instance inventory-7c9f-1 of inventory in 12.0 % of the calls, on its siblings in 0.0 %: 32 more failed calls a minute.',
      zh: "inventory 的实例 inventory-7c9f-1 上“GET /stock”的错误率为 12.0%，其他实例为 0.0%：每分钟多出 32 次失败。",
    },
  },
  {
    ...SKEW,
    kind: "load",
    operation: "GET /stock",
    instance: "inventory-7c9f-2",
    calls: 9_000,
    mean_ns: 13_000_000,
    share_of_calls: 0.44,
    siblings_share_of_calls: 0.19,
    ratio: 2.3,
    lost_ns_per_minute: null,
    explanation: {
      en: 'Instance inventory-7c9f-2 of inventory serves 2.3 times as many calls of "GET /stock" as its siblings: 340 more a minute.',
      zh: "inventory 的实例 inventory-7c9f-2 承担的“GET /stock”调用是其他实例的 2.3 倍：每分钟多 340 次。",
    },
  },
];

const STARTS = [
  {
    kind: "instance",
    service: "payment",
    operation: null,
    started: 3,
    slow: 2,
    warm: 0,
    too_few_calls: 1,
    unsteady: 0,
    slow_for_ns: 20_000_000_000,
    longest_slow_for_ns: 35_000_000_000,
    calls: 640,
    mean_ns: 210_000_000,
    later_mean_ns: 48_000_000,
    ratio: 4.4,
    lost_ns: 103_000_000_000,
    lost_ns_per_call: 161_000_000,
    instances: [
      ["payment-5", "2026-11-22T06:07:30Z", 35_000_000_000, 420, 250_000_000, 49_000_000, 84_000_000_000],
      ["payment-6", "2026-11-22T06:07:40Z", 20_000_000_000, 220, 134_000_000, 47_000_000, 19_000_000_000],
      ["payment-7", "2026-11-22T06:14:40Z", null, null, null, null, null],
    ].map(([instance, first_seen, slow_for_ns, calls, mean_ns, later_mean_ns, lost_ns]) => ({
      instance,
      first_seen,
      outcome: calls === null ? "too_few_calls" : "slow",
      slow_for_ns,
      calls,
      mean_ns,
      later_mean_ns,
      lost_ns,
    })),
    explanation: {
      en: "3 instances of payment started, 2 of them were slow at first, for up to 35.0 s: requests lost 103 s.",
      zh: "payment 有 3 个实例启动，其中 2 个启动初期较慢，最长 35.0 s：请求共损失 103 s。",
    },
  },
  {
    kind: "function",
    service: "thumbnails",
    operation: "resize",
    started: 12,
    slow: 12,
    warm: null,
    too_few_calls: 0,
    unsteady: 0,
    slow_for_ns: null,
    longest_slow_for_ns: null,
    calls: 12,
    mean_ns: 1_900_000_000,
    later_mean_ns: 140_000_000,
    ratio: 13.6,
    lost_ns: 21_000_000_000,
    lost_ns_per_call: 1_760_000_000,
    instances: [],
    explanation: {
      en: '"resize" of thumbnails began cold 12 times: 1.90 s instead of 140 ms, 21.0 s lost altogether.',
      zh: "thumbnails 的“resize”冷启动 12 次：耗时 1.90 s 而非 140 ms，共损失 21.0 s。",
    },
  },
];

const ENTRIES = [
  {
    service: "gateway",
    operation: "POST /orders",
    requests: 9_000,
    with_intended_start: 9_000,
    carried_by: "root",
    p50_ns: 62_000_000,
    p99_ns: 310_000_000,
    p50_intended_ns: 66_000_000,
    p99_intended_ns: 2_400_000_000,
    worst_delay_ns: 3_100_000_000,
    late_share: 0.18,
    ahead: 0,
    exemplar: TRACE,
    closed_loop_suspected: true,
    explanation: {
      en: '"POST /orders" of gateway: a closed loop is suspected: when latency rises the rate falls (it varies by 38 %) and concurrency stays (2 %), so the generator waits for answers and sends less than it was meant to.',
      zh: "gateway 的“POST /orders”：疑似闭环压测：延迟升高时请求速率下降（波动 38%），而并发数几乎不变（2%），说明压测工具等待响应后才发送下一个请求，少发了请求。",
    },
  },
  {
    service: "gateway",
    operation: "GET /cart",
    requests: 3_000,
    with_intended_start: 0,
    carried_by: null,
    p50_ns: 21_000_000,
    p99_ns: 90_000_000,
    p50_intended_ns: null,
    p99_intended_ns: null,
    worst_delay_ns: null,
    late_share: null,
    ahead: 0,
    exemplar: null,
    closed_loop_suspected: null,
    explanation: {
      en: '"GET /cart" of gateway: latency hardly varied, so it cannot be told whether the generator waits for answers.',
      zh: "gateway 的“GET /cart”：延迟几乎没有变化，无法判断压测工具是否等待响应。",
    },
  },
];

/** The answers by the name of their analysis. */
export const HIDDEN: Record<string, unknown> = {
  hidden: { meta: meta(PATTERNS), requests: 12_000, rows: PATTERNS },
  queueing: { meta: meta(QUEUES), requests: 12_000, rows: QUEUES },
  amplification: { meta: meta(AMPLIFIED), requests: 12_000, rows: AMPLIFIED },
  statements: { meta: meta(STATEMENTS), statements: STATEMENTS },
  exceptions: { meta: meta(EXCEPTIONS), exceptions: EXCEPTIONS },
  "log-patterns": { meta: meta(LOG_PATTERNS), patterns: LOG_PATTERNS },
  "instance-skew": {
    meta: meta(SKEWED),
    verdict: "skewed",
    summary: {
      en: "Of 14 operations that run on several instances, some instances differ from their siblings. Judged: 52 times an instance in an operation. Not judged: 3 with fewer than 20 calls at the time of a sibling, 2 operations on one instance only, 1 operations without service.instance.id.",
      zh: "在多实例运行的 14 个操作中，有实例与其他实例不同。已判断 52 个“操作 × 实例”。未判断：3 个与其他实例同时段的调用少于 20 次，2 个操作只有一个实例，1 个操作没有 service.instance.id。",
    },
    compared: { operations: 14, instances: 52 },
    left_out: { no_instance_id: 1, one_instance: 2, too_few_calls: 3 },
    rows: SKEWED,
  },
  "cold-starts": {
    meta: meta(STARTS),
    bin_s: 5,
    services: 9,
    started: 3,
    cold_invocations: 12,
    summary: {
      en: "3 instances started while their service was at work; 12 invocations of functions began cold.",
      zh: "3 个实例在服务运行期间启动；12 次函数调用为冷启动。",
    },
    rows: STARTS,
  },
  "coordinated-omission": {
    meta: meta(ENTRIES),
    clock: {
      known: true,
      en: 'Of 12000 requests 9000 tell when they were meant to be sent: latency "from the intended start" counts from then.',
      zh: "12000 个请求中有 9000 个带有计划发送时间：“自计划发送起”的延迟从该时刻算起。",
    },
    total: {
      ...{ requests: 9_000, p50_ns: 14e6, p99_ns: 310e6, late_share: 0.21, worst_delay_ns: 2_400e6 },
      ...{ p50_intended_ns: 15e6, p90_intended_ns: 70e6, p99_intended_ns: 1_900e6, p999_intended_ns: 2_600e6 },
    },
    known: true,
    attribute: "hotspan.intended_start_unix_nano",
    requests: 12_000,
    with_intended_start: 9_000,
    closed_loops_suspected: 1,
    hint: null,
    entries: ENTRIES,
  },
};
