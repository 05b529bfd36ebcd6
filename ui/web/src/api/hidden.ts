// Where latency hides, database statements, exceptions, instances and load generators, as the HTTP API tells them
// (docs/api.md).

import type { Meta } from "./types";

export interface HiddenRow {
  pattern: "n_plus_one" | "retry" | "before_served" | "before_first_call";
  service: string;
  operation: string;
  span_kind: string;
  peer: string | null;
  caller_service: string | null;
  caller_operation: string | null;
  count: number;
  /** Calls in one occurrence. */
  calls: number;
  per_request: number;
  time_ns_per_request: number;
  baseline_time_ns_per_request: number | null;
  share_of_latency: number;
  p50_ns: number | null;
  p99_ns: number | null;
  exemplar: string;
  /** What the calls say, without values; null where they carry no statement. */
  statement: string | null;
}

export interface HiddenAnswer {
  meta: Meta;
  requests: number;
  rows: HiddenRow[];
}

export interface StatementRow {
  service: string;
  operation: string;
  span_kind: string;
  peer: string | null;
  system: string | null;
  statement: string | null;
  count: number;
  rate: number;
  errors: number;
  mean_ns: number;
  p50_ns: number | null;
  p99_ns: number | null;
  total_ns: number;
  critical_ns: number;
  critical_share: number;
  slowest: string;
}

export interface StatementsAnswer {
  meta: Meta;
  statements: StatementRow[];
}

export interface ExceptionRow {
  service: string;
  operation: string;
  type: string;
  place: string | null;
  message: string | null;
  count: number;
  rate: number;
  baseline_count: number | null;
  baseline_rate: number | null;
  first_seen: string;
  last_seen: string;
  exemplar: string;
}

export interface ExceptionsAnswer {
  meta: Meta;
  exceptions: ExceptionRow[];
}

export interface LogPatternRow {
  service: string;
  severity: "info" | "warn" | "error";
  /** The words of the lines without their values. */
  pattern: string;
  change: "new" | "gone" | null;
  count: number;
  rate: number;
  baseline_count: number | null;
  baseline_rate: number | null;
  last_seen: string;
  example: string | null;
  exemplar: string | null;
}

export interface LogPatternsAnswer {
  meta: Meta;
  patterns: LogPatternRow[];
}

/** The same in both languages. */
export interface Sentence {
  en: string;
  zh: string;
}

/** Calls served a second, calls, then mean, p50 and p99 of the gap in ns. */
export type GapAtLoad = [number, number, number | null, number | null, number | null];

export interface QueueingRow {
  caller_service: string;
  service: string;
  verdict:
    | "grows_with_load"
    | "falls_with_load"
    | "does_not_depend_on_load"
    | "no_evidence"
    | "not_enough_load_range"
    | "not_enough_data";
  calls: number;
  /** Calls served a second. */
  quiet_rate: number | null;
  busy_rate: number | null;
  quiet_mean_ns: number | null;
  quiet_p50_ns: number | null;
  quiet_p99_ns: number | null;
  busy_mean_ns: number | null;
  busy_p50_ns: number | null;
  busy_p99_ns: number | null;
  change_ns: number | null;
  change_low_ns: number | null;
  change_high_ns: number | null;
  q: number | null;
  grows_from_rate: number | null;
  time_ns_per_request: number;
  /** The trace with the longest gap, and the operation that was served after it. */
  exemplar: string;
  exemplar_operation: string;
  explanation: Sentence;
  /** From the quietest to the busiest. */
  loads: GapAtLoad[];
  /** In order of time, with the start. */
  bins: [string, ...GapAtLoad][];
}

export interface QueueingAnswer {
  meta: Meta;
  requests: number;
  rows: QueueingRow[];
}

export interface AmplificationTier {
  from: string;
  to: string;
  factor: number;
  baseline_factor: number | null;
  retry_factor: number;
  baseline_retry_factor: number | null;
}

export interface AmplificationRow {
  verdict: "amplified" | "steady" | "not_enough_data";
  entry_service: string;
  entry_operation: string;
  callee: string;
  callee_type: "service" | "database" | "cache" | "messaging" | "external";
  path: string;
  requests: number;
  calls: number;
  calls_per_request: number;
  baseline_calls_per_request: number | null;
  q: number | null;
  retry_factor: number;
  baseline_retry_factor: number | null;
  /** By all paths of the entry. */
  callee_calls_per_request: number;
  baseline_callee_calls_per_request: number | null;
  multiplied_by: string | null;
  multiplied_calls_of: string | null;
  /** Calls of one request. */
  most: number;
  exemplar: string;
  explanation: Sentence;
  tiers: AmplificationTier[];
}

export interface AmplificationAnswer {
  meta: Meta;
  requests: number;
  rows: AmplificationRow[];
}

export interface SkewRow {
  kind: "slow" | "errors" | "load";
  service: string;
  operation: string;
  span_kind: string;
  peer: string | null;
  instance: string;
  instances: number;
  calls: number;
  share_of_calls: number;
  siblings_share_of_calls: number | null;
  mean_ns: number | null;
  p50_ns: number | null;
  p99_ns: number | null;
  siblings_mean_ns: number | null;
  siblings_p50_ns: number | null;
  siblings_p99_ns: number | null;
  error_rate: number;
  siblings_error_rate: number | null;
  /** Of what is compared; null where the siblings' is 0. */
  ratio: number | null;
  q: number;
  /** Only of kind slow. */
  lost_ns_per_minute: number | null;
  exemplar: string;
  explanation: Sentence;
}

export interface InstanceSkewAnswer {
  meta: Meta;
  verdict: "skewed" | "even" | "not_enough_data";
  summary: Sentence;
  compared: { operations: number; instances: number };
  left_out: { no_instance_id: number; one_instance: number; too_few_calls: number };
  rows: SkewRow[];
}

export interface StartedInstance {
  instance: string;
  first_seen: string;
  outcome: "slow" | "warm" | "too_few_calls" | "unsteady";
  slow_for_ns: number | null;
  calls: number | null;
  mean_ns: number | null;
  later_mean_ns: number | null;
  lost_ns: number | null;
}

export interface ColdStartRow {
  kind: "instance" | "function";
  service: string;
  /** Of a function. */
  operation: string | null;
  started: number;
  slow: number | null;
  warm: number | null;
  too_few_calls: number;
  unsteady: number;
  slow_for_ns: number | null;
  longest_slow_for_ns: number | null;
  calls: number;
  mean_ns: number | null;
  later_mean_ns: number | null;
  ratio: number | null;
  lost_ns: number;
  lost_ns_per_call: number | null;
  instances: StartedInstance[];
  explanation: Sentence;
}

export interface ColdStartsAnswer {
  meta: Meta;
  bin_s: number;
  services: number;
  started: number;
  cold_invocations: number;
  summary: Sentence;
  rows: ColdStartRow[];
}

export interface OmissionEntry {
  service: string;
  operation: string;
  requests: number;
  with_intended_start: number;
  carried_by: "entry" | "root" | null;
  p50_ns: number | null;
  p99_ns: number | null;
  p50_intended_ns: number | null;
  p99_intended_ns: number | null;
  worst_delay_ns: number | null;
  late_share: number | null;
  ahead: number;
  exemplar: string | null;
  /** Null: it cannot be told. */
  closed_loop_suspected: boolean | null;
  explanation: Sentence;
}

/** From when latencies count, in words. */
export interface Clock extends Sentence {
  known: boolean;
}

/** Latency of the requests that tell when they were meant to be sent, from their start and from then. */
export interface FromBothClocks {
  requests: number;
  p50_ns: number;
  p99_ns: number;
  p50_intended_ns: number;
  p90_intended_ns: number;
  p99_intended_ns: number;
  p999_intended_ns: number;
  late_share: number;
  worst_delay_ns: number;
}

export interface OmissionAnswer {
  meta: Meta;
  clock: Clock;
  /** Null where no request tells it. */
  total: FromBothClocks | null;
  known: boolean;
  attribute: string;
  requests: number;
  with_intended_start: number;
  closed_loops_suspected: number;
  hint: Sentence | null;
  entries: OmissionEntry[];
}
