// Where one duration lies among those of its operation.

export interface Quantiles {
  count: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
}

export type Place = "fast" | "usual" | "slow" | "outlier";

/** Below this many spans quantiles say little. */
const FEW = 30;

/** Null when there are too few spans to say. */
export function placeAmong(ns: number, of: Quantiles): Place | null {
  if (of.count < FEW || of.p50_ns === null || of.p90_ns === null || of.p99_ns === null) return null;
  if (ns > of.p99_ns) return "outlier";
  if (ns > of.p90_ns) return "slow";
  return ns > of.p50_ns ? "usual" : "fast";
}
