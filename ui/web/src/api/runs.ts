// Stress-test runs as the HTTP API tells them (docs/api.md). Times are RFC 3339.

import type { Meta } from "./types";

export interface Mark {
  time: string;
  name: string;
}

export interface Run {
  id: string;
  name: string;
  start: string;
  /** Null while it runs. */
  end: string | null;
  labels?: Record<string, string>;
  notes?: string | null;
  marks?: Mark[];
}

export interface RunsAnswer {
  runs: Run[];
}

/** One side of a compared operation; durations in ns, the error rate a share. */
export interface ComparedSide {
  count: number;
  rate?: number | null;
  mean_ns?: number | null;
  p50_ns?: number | null;
  p99_ns?: number | null;
  error_rate?: number | null;
}

export interface ComparedOperation {
  service: string;
  operation: string;
  kind?: string | null;
  peer?: string | null;
  verdict: "better" | "worse" | "no_evidence";
  /** What the verdict is about: `mean`, `p50`, `p99`, `error_rate`, `critical`. */
  measure?: string | null;
  a: ComparedSide;
  b: ComparedSide;
  change_ns?: number | null;
  interval_ns?: [number, number] | null;
  confidence?: number | null;
}

export interface RunWindow {
  id?: string | null;
  name?: string | null;
  start: string;
  end: string;
  requests?: number | null;
  qps?: number | null;
}

export interface CompareRunsAnswer {
  meta?: Meta;
  a: RunWindow;
  b: RunWindow;
  operations: ComparedOperation[];
}
