// Since when, and with which change of load: what a verdict is read together with.

export interface Level {
  start: string;
  end: string;
  qps: number;
  transition: boolean;
}

export interface LoadChange {
  /** RFC 3339: when the analysed level of load began. */
  since: string;
  /** It began with the range, so perhaps before it. */
  earlier: boolean;
  before: number | null;
  now: number | null;
}

export interface Finding {
  rank: number;
  confidence: number | null;
}

/** Whether a verdict names what is to blame. */
export function isClaim(verdict: string | null): boolean {
  return verdict === "bottleneck" || verdict === "behaviour_changed";
}

/** How sure a finding is, where the verdict claims one: a row that did not change has a figure that means nothing. */
export function claimed(verdict: string | null, finding: Finding): number | null {
  if (!isClaim(verdict)) return null;
  return finding.rank === 1 || (finding.confidence ?? 0) >= 0.5 ? finding.confidence : null;
}

export interface Rise {
  critical_path_ns_per_request: number;
  share_of_latency: number;
  change_ns_per_request: number | null;
  interval_ns?: [number, number] | null;
}

/** A rise of less than this part of the latency is not worth a word. */
const LEAST_RISE = 0.1;

/** Of findings that are no verdict: the largest rise whose interval is above zero. */
export function largestRise<R extends Rise>(findings: readonly R[]): R | null {
  const size = (r: R) => r.change_ns_per_request ?? 0;
  const risen = findings.filter(
    (r) => (r.interval_ns?.[0] ?? 0) > 0 && size(r) * r.share_of_latency > LEAST_RISE * r.critical_path_ns_per_request,
  );
  return risen.reduce<R | null>((most, r) => (most && size(most) >= size(r) ? most : r), null);
}

interface Span {
  start: string;
  end: string;
}

/** A window starts with a bin, so a little before or after the range. */
const NEAR_MS = 2_000;

/** The load levels behind two compared windows; a window that is no level has no figure. */
export function loadChange(levels: readonly Level[], window: Span, baseline: Span | null, from?: string): LoadChange {
  return {
    since: window.start,
    earlier: from !== undefined && Math.abs(Date.parse(window.start) - Date.parse(from)) < NEAR_MS,
    before: baseline ? rateOf(levels, baseline) : null,
    now: rateOf(levels, window),
  };
}

/** The rate of the one level that covers most of a window. */
function rateOf(levels: readonly Level[], window: Span): number | null {
  const from = Date.parse(window.start);
  const to = Date.parse(window.end);
  for (const level of levels) {
    if (level.transition) continue;
    const shared = Math.min(to, Date.parse(level.end)) - Math.max(from, Date.parse(level.start));
    if (shared > (to - from) / 2) return level.qps;
  }
  return null;
}

/** Whether two rates differ enough to call it a change of load. */
export function loadMoved(change: LoadChange): "rose" | "fell" | null {
  if (change.before === null || change.now === null || change.before <= 0) return null;
  const ratio = change.now / change.before;
  return ratio >= 1.1 ? "rose" : ratio <= 1 / 1.1 ? "fell" : null;
}
