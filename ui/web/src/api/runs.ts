// Stress-test runs as the HTTP API tells them (docs/api.md). Times are RFC 3339.

import type { Generator } from "../lib/generator";
import type { Meta } from "./types";

export interface Mark {
  time: string;
  name: string;
}

export interface Run {
  id: string;
  name: string;
  start_time: string;
  /** Null while it runs. */
  end_time: string | null;
  labels: Record<string, string>;
  notes: string;
  marks: Mark[];
  generator?: Generator | null;
}

export interface RunsAnswer {
  runs: Run[];
}

/** One figure of both sides; durations in ns, rates of errors as shares. `low` and `high` are a 95 % interval. */
export interface Measured {
  measure: string;
  before: number | null;
  after: number | null;
  change: number | null;
  low: number | null;
  high: number | null;
  /** The false-discovery rate at which the change would just count. */
  q: number | null;
}

export interface ComparedOperation extends Partial<Measured> {
  service: string;
  operation: string;
  kind: string | null;
  peer: string | null;
  outcome: "better" | "worse" | "same" | "no_evidence";
  reason: string | null;
  calls_a: number;
  calls_b: number;
  measures: Measured[];
}

export interface ComparedSide {
  start: string;
  end: string;
  requests: number;
  errors: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  levels: { qps: number; start: string; end: string }[];
}

export interface CompareRunsAnswer {
  meta?: Meta;
  verdict: "worse" | "better" | "same" | "no_evidence" | "not_enough_data";
  worse: number;
  better: number;
  /** What counts as no change: a change of this share, or of so many nanoseconds. */
  limits: { ratio: number; latency_ns: number };
  a: ComparedSide;
  b: ComparedSide;
  /** The load levels that both have, which alone are compared. */
  matched: { qps_a: number; qps_b: number; seconds_a: number; seconds_b: number }[];
  operations: ComparedOperation[];
}
