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

interface Span {
  start: string;
  end: string;
}

/** The load levels behind two compared windows; a window that is no level has no figure. */
export function loadChange(levels: readonly Level[], window: Span, baseline: Span | null): LoadChange {
  return {
    since: window.start,
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
