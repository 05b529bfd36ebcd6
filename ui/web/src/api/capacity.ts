// Capacity and what-if as the HTTP API tells them (docs/api.md). Rates are per second; what is not known is null.

import type { Meta } from "./types";

export type NodeKind = "entry" | "service" | "dependency" | "operation" | "instance";

export interface Crossing {
  is: "at" | "under" | "beyond";
  qps: number;
}

/** Concurrency, throughput, p99 in ns, share of errors. */
export type CapacityPoint = [number, number, number | null, number | null];

export interface CapacityNode {
  node: NodeKind;
  service: string | null;
  operation: string | null;
  peer: string | null;
  instance: string | null;
  verdict: "fitted" | "no_saturation" | "not_enough_load_range" | "not_enough_data";
  completions: number;
  qps: number | null;
  concurrency: number | null;
  p99_ns: number | null;
  error_rate: number | null;
  seen_qps: [number, number] | null;
  seen_concurrency: [number, number] | null;
  lambda: number | null;
  sigma: number | null;
  kappa: number | null;
  /** Which the limit is taken from; null without one. */
  law: "usl" | "queue" | null;
  /** Of the queue. */
  servers: number | null;
  /** What was served where no limit can be told. */
  at_least_qps: number | null;
  limit_qps: number | null;
  limit_low_qps: number | null;
  limit_high_qps: number | null;
  limit_concurrency: number | null;
  knee_qps: number | null;
  knee_concurrency: number | null;
  p99_limit: Crossing | null;
  error_limit: Crossing | null;
  capacity_qps: number | null;
  capacity_by: "throughput" | "p99" | "errors" | null;
  headroom: number | null;
  needed: { qps: number | null; en: string; zh: string } | null;
  points: CapacityPoint[];
  calls_per_request: number | null;
  needed_qps: number | null;
  load_at_target: number | null;
  gives_way: boolean | null;
  /** It takes longer at higher load since what it calls does. */
  held_up?: boolean;
  /** Of the service, by their ids. */
  instances?: number | null;
}

export interface CapacityAnswer {
  meta: Meta;
  window: { start: string; end: string };
  bin_s: number;
  nodes: CapacityNode[];
  /** From when latency counts, in words. */
  clock?: { known: boolean; en: string; zh: string };
  forecast: {
    target_qps: number;
    now_qps: number;
    first: Pick<CapacityNode, "node" | "service" | "operation" | "peer" | "instance" | "load_at_target"> | null;
    unknown: number;
  } | null;
}

export interface WhatIfEntry {
  service: string;
  operation: string;
  requests: number;
  touched: number;
  mean_ns: number | null;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  new_mean_ns: number | null;
  new_p50_ns: number | null;
  new_p90_ns: number | null;
  new_p99_ns: number | null;
  saved_share: number | null;
}

export interface WhatIfAnswer {
  meta: Meta;
  faster: number;
  spans?: number;
  requests?: number;
  assumptions?: { en: string; zh: string }[];
  entries: WhatIfEntry[];
}
