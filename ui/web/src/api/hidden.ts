// Where latency hides, database statements and exceptions, as the HTTP API tells them (docs/api.md).

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
