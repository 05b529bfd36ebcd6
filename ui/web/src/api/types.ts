// The HTTP API's answers, as docs/api.md and interface.md promise them. Durations are nanoseconds; `t_us` and `start_us`
// are microseconds since the answer's `t0`, a decimal text of unix nanoseconds.

import type { Figures } from "../lib/generator";
import type { LoadLevel } from "../lib/levels";

export interface Meta {
  start: string;
  end: string;
  elapsed_ms: number;
  rows: number;
  partial: boolean;
  unsettled_traces: number;
  notes: string[];
  /** The same in Chinese. */
  notes_zh?: string[];
}

export interface ApiErrorBody {
  error: { kind: string; message: string; hint?: string | null };
}

export interface TimelineBin {
  t_us: number;
  requests: number;
  errors: number;
  p50_ns: number | null;
  p99_ns: number | null;
  in_flight: number | null;
}

export type LoadStep = LoadLevel;

export interface StepsAnswer {
  meta: Meta;
  t0: string;
  bin_us: number;
  timeline: TimelineBin[];
  steps: LoadStep[];
  baseline_step: number | null;
  current_step: number | null;
  /** Of all requests of the window. */
  total?: Figures;
}

export interface RequestWindow {
  start: string;
  end: string;
  requests: number;
}

export type Verdict = "bottleneck" | "behaviour_changed" | "no_significant_change" | "not_enough_data";

export interface HotSpot {
  rank: number;
  service: string;
  operation: string;
  span_kind: string;
  category: string;
  peer: string | null;
  instance: string | null;
  attribute: { key: string; value: unknown } | null;
  critical_path_ns_per_request: number;
  share_of_latency: number;
  change_ns_per_request: number | null;
  confidence: number | null;
  callers: [string, string][];
  explanation: { en: string; zh: string };
  exemplars: string[];
  p99_ns?: number | null;
  baseline_p99_ns?: number | null;
  errors_per_request?: number | null;
  calls_per_request?: number | null;
  baseline_critical_path_ns_per_request?: number | null;
  /** The 95 % interval of the change. */
  interval_ns?: [number, number] | null;
  /** The time is waited where no request waits for it: before a consumer takes a message. */
  off_path?: boolean;
  /** Slower only because of this one; they have no rank of their own. */
  victims?: [string, string][];
  vitals?: Vital[];
  logs?: LogSign[];
}

/** A log line of the hot spot's service that is new, gone, or more frequent. */
export interface LogSign {
  severity: "info" | "warn" | "error";
  pattern: string;
  operation: string;
  per_call: number;
  baseline_per_call: number;
  explanation: { en: string; zh: string };
}

/** What a metric of the hot spot's service says. */
export interface Vital {
  sign: "saturated" | "high" | "paused" | "waiting";
  metric: string;
  instance: string;
  window: number;
  baseline: number | null;
  limit: number | null;
  since: string | null;
  explanation: { en: string; zh: string };
}

export interface EntryChange {
  entry: [string, string];
  measure: "mean" | "p50" | "p95" | "p99" | "error_rate" | "wait";
  /** Nanoseconds, or a share for the error rate. `wait` is a message's before its consumer takes it. */
  baseline: number;
  window: number;
  confidence: number;
}

export interface HotSpotsAnswer {
  meta: Meta;
  window: RequestWindow;
  baseline: RequestWindow | null;
  verdict: Verdict;
  /** How many requests would tell what these do not, where something seems worse. */
  needed?: Record<"en" | "zh", string> | null;
  /** The entry operations that got worse, the surest first: the evidence for the verdict. */
  worse?: EntryChange[];
  hotspots: HotSpot[];
}

export interface HeatMapAnswer {
  meta: Meta;
  t0: string;
  bin_us: number;
  columns: number;
  edges_ns: number[];
  counts: number[];
  max: number;
  total: number;
  errors: number[];
}

export interface Difference {
  key: string;
  scope: "span" | "resource" | "intrinsic";
  value: unknown;
  selection_count: number;
  baseline_count: number;
  selection_share: number;
  baseline_share: number;
  score: number;
  selection_coverage: number;
  baseline_coverage: number;
}

export interface CompareAnswer {
  meta: Meta;
  selection: { spans: number };
  baseline: { spans: number };
  differences: Difference[];
  exemplars: { selection: string[]; baseline: string[] };
}

export interface FlameAnswer {
  meta: Meta;
  requests: number;
  baseline_requests: number | null;
  nodes: import("../lib/flame").FlameNode[];
}

export interface MapNode {
  id: string;
  name: string;
  type: string;
  requests: number;
  rate: number;
  errors: number;
  error_rate: number;
  p50_ns: number | null;
  p99_ns: number | null;
  critical_share: number;
  instances: number;
}

export interface MapEdge {
  from: string;
  to: string;
  calls: number;
  rate: number;
  errors: number;
  p50_ns: number | null;
  p99_ns: number | null;
  critical_share: number;
  /** 0 as well where no span of the callee is known. */
  gap_ns: number | null;
}

export interface ServiceMapAnswer {
  meta: Meta;
  nodes: MapNode[];
  edges: MapEdge[];
}

export interface ServiceRow {
  service: string;
  instances: number;
  operations: number;
  spans: number;
  rate: number;
  errors: number;
  error_rate: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  critical_share: number;
  /** Null of a service that only calls. */
  trend: number[] | null;
}

export interface ServicesAnswer {
  meta: Meta;
  services: ServiceRow[];
}

export interface OperationRow {
  service: string;
  operation: string;
  kind: string;
  peer: string | null;
  count: number;
  rate: number;
  errors: number;
  error_rate: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  max_ns: number | null;
  self_ns: number | null;
  critical_ns: number | null;
  critical_share: number;
  trend: number[] | null;
}

export interface OperationsAnswer {
  meta: Meta;
  operations: OperationRow[];
}

export interface TraceHead {
  trace_id: string;
  service: string;
  operation: string;
  start_us: number;
  duration_ns: number;
  spans: number;
  services: number;
  errors: number;
  status_code: string;
  /** False: the first span has not come, or never will. */
  has_root: boolean;
}

export interface SearchAnswer {
  meta: Meta;
  t0: string;
  traces: TraceHead[];
}

export interface AttributesAnswer {
  meta: Meta;
  keys: { key: string; scope: string; type: string }[];
}

export interface TraceSpan {
  span_id: string;
  parent_span_id: string;
  /** The call in whose time a span without its parent ran, or "". */
  ran_within: string;
  name: string;
  kind: string;
  service: string;
  service_namespace: string | null;
  instance_id: string | null;
  start_us: number;
  start_ns: number;
  duration_ns: number;
  status_code: string;
  status_message: string | null;
  self_time_ns: number | null;
  critical_path_ns: number | null;
  critical_segments: [number, number][];
  flags: string[];
  attributes: Record<string, unknown>;
  resource_attributes: Record<string, unknown>;
  scope_name: string | null;
  scope_version: string | null;
  trace_state: string | null;
  events: { time_ns: number; name: string; attributes: Record<string, unknown> }[];
  links: { trace_id: string; span_id: string; attributes: Record<string, unknown> }[];
}

export interface TraceAnswer {
  trace_id: string;
  t0: string;
  duration_ns: number;
  services: number;
  depth: number;
  spans: TraceSpan[];
  truncated: boolean;
  flags: string[];
}

export interface MetricName {
  name: string;
  type: string;
  unit: string;
  description: string;
  services: number;
  points: number;
}

export interface MetricNamesAnswer {
  metrics: MetricName[];
}

export interface MetricSeriesAnswer {
  t0: string;
  step_us: number;
  unit: string;
  type: string;
  /** The aggregate that was used: the one asked for, or the type's own. */
  agg: string;
  series: { labels: Record<string, string>; t_us: number[]; values: (number | null)[] }[];
  truncated: boolean;
}

export interface SqlAnswer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  truncated: boolean;
  /** The setting that cut it. */
  cut?: { setting: "max_rows" | "max_bytes"; most: number } | null;
  elapsed_ms: number;
  /** Unknown when the answer was cut. */
  rows_total: number | null;
}

export interface SchemaAnswer {
  tables: { name: string; doc: string; columns: { name: string; type: string; doc: string }[] }[];
  functions: { name: string; doc: string; example: string }[];
}

export interface LedgerTotals {
  received: number;
  stored: number;
  rejected: number;
  refused: number;
  duplicates: number;
  in_flight: number;
}

export interface StatusAnswer {
  version: string;
  started_at: string;
  uptime_s: number;
  ledger: Record<"spans" | "metrics" | "logs", LedgerTotals>;
  /** Also what earlier processes did on this store. */
  ledger_since_creation?: Record<"spans" | "metrics" | "logs", LedgerTotals>;
  rates: { spans_per_s: number; metrics_per_s: number; logs_per_s: number; exports_per_s: number };
  export_latency_ns: { p50: number | null; p90: number | null; p99: number | null };
  wal: {
    segments: number;
    bytes: number;
    oldest_s: number | null;
    queued_bytes: number;
    limit?: number | null;
    fsync_p99_ns?: number | null;
    fsync_max_ns?: number;
  };
  /** `backlog_rows` wait in the log alone; `budget` is what the whole process may use. */
  memory: { rows: number; bytes: number; limit?: number | null; backlog_rows?: number; budget?: number | null };
  queries?: { running: number; queued: number; limit?: number | null; queue_limit?: number | null };
  flush?: { lag_s?: number | null };
  compaction?: { lag_s?: number | null; pending_files?: number | null };
  tables: { name: string; tenant: string; files: number; rows: number; bytes: number; version: number }[];
  in_flight_bytes: { now: number; limit: number };
  /** `unit` says what is counted: rows, or whole exports where they were never counted in rows. */
  reasons: {
    signal: string | null;
    outcome: string;
    reason: string;
    count: number;
    unit?: string;
    last_at?: string | null;
  }[];
  process: { rss_bytes: number; cpu_seconds: number; open_fds: number; threads: number };
  disk: { free_bytes: number; total_bytes: number };
  /** `waits`: nothing is deleted by age now, since the clock jumped. */
  retention: { age_s: number | null; max_bytes: number | null; waits?: boolean | string | null };
  damage: string[];
  /** Why exports are refused at this moment. */
  refusing?: string | null;
  endpoints: { otlp_grpc: string | null; otlp_http: string | null; listen: string | null; pg: string | null };
  insecure: boolean;
}
