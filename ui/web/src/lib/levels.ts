// Load levels of a run in order: which of them was still healthy, and where latency left the flat.

export interface LoadLevel {
  index: number;
  start: string;
  end: string;
  qps: number;
  /** The mean number of requests in the system. */
  concurrency: number;
  requests: number;
  errors: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  p999_ns: number | null;
  transition: boolean;
}

/** A p99 beyond this many times that of the first level has left the flat; below two milliseconds nothing has. */
const FLAT = 1.5;
const FLOOR_NS = 2e6;

export function levelsOf<T extends LoadLevel>(steps: readonly T[]): T[] {
  return steps.filter((s) => !s.transition);
}

/** Whether a level is slow or failing beside the first one. */
export function isStrained(level: LoadLevel, first: LoadLevel): boolean {
  const slow =
    level.p99_ns !== null &&
    first.p99_ns !== null &&
    level.p99_ns > first.p99_ns * FLAT &&
    level.p99_ns - first.p99_ns > FLOOR_NS;
  const share = (l: LoadLevel) => (l.requests > 0 ? l.errors / l.requests : 0);
  return slow || share(level) > share(first) + 0.01;
}

/** The last level before the first strained one: what the others are compared with. */
export function healthyLevel<T extends LoadLevel>(levels: readonly T[]): T | null {
  const first = levels[0];
  if (!first) return null;
  const strained = levels.findIndex((l) => isStrained(l, first));
  return strained > 0 ? levels[strained - 1] : first;
}

export interface Knee {
  /** The rates between which it lies. */
  from: number;
  to: number;
}

/** Between which two rates the system left the flat; null when it never did, or was strained from the beginning. */
export function kneeOf(levels: readonly LoadLevel[]): Knee | null {
  const first = levels[0];
  if (!first) return null;
  const strained = levels.findIndex((l) => isStrained(l, first));
  if (strained <= 0) return null;
  const from = levels[strained - 1].qps;
  const to = levels[strained].qps;
  return to > from ? { from, to } : null;
}

const STEADY_MS = 30_000;

/**
 * The end of a level cut to half a minute, so that the level that is still going on asks its question again only so
 * often. A level shorter than that keeps its end.
 */
export function steadyEnd(start: string, end: string): string {
  const cut = Math.floor(Date.parse(end) / STEADY_MS) * STEADY_MS;
  return cut - Date.parse(start) >= STEADY_MS ? new Date(cut).toISOString() : end;
}
