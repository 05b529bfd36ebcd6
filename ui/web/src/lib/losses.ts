// What was not kept in a range of time. The server counts since its start; a page that is open remembers what it was
// told before, so that it can subtract. What cannot be known is said so instead of guessed.

export interface LossTotals {
  /** Unix milliseconds of the moment these totals held. */
  at: number;
  /** Rows rejected or refused, of all signals, since the server started. */
  lost: number;
}

export interface LossFacts {
  now: LossTotals;
  /** When the server started, unix milliseconds. */
  startedAt: number;
  /** When the last row was lost, where the server says so. */
  lastAt: number | null;
  /** Earlier totals of the same server, oldest first. */
  earlier: readonly LossTotals[];
}

export type Losses =
  | { kind: "none" }
  /** So many in the range. */
  | { kind: "range"; rows: number; lastAt: number | null }
  /** So many since the start of the server; how many of them in the range is not known. */
  | { kind: "since_start"; rows: number; lastAt: number | null };

/** How old the newest totals may be to stand for "now". */
const FRESH_MS = 15_000;

export function lossesIn(range: { from: number; to: number }, facts: LossFacts): Losses {
  const total = facts.now.lost;
  const lastAt = facts.lastAt ?? lastRise(facts);
  if (total === 0 || (lastAt !== null && lastAt < range.from)) return { kind: "none" };
  const before = lostBefore(range.from, facts);
  const until = lostUntil(range.to, facts, lastAt);
  if (before === null || until === null) return { kind: "since_start", rows: total, lastAt };
  return until > before ? { kind: "range", rows: until - before, lastAt } : { kind: "none" };
}

/** Rows lost before a moment; null when nobody knows. */
function lostBefore(moment: number, facts: LossFacts): number | null {
  if (facts.startedAt >= moment) return 0;
  const known = [...facts.earlier, facts.now].filter((t) => t.at <= moment).at(-1);
  return known ? known.lost : null;
}

function lostUntil(moment: number, facts: LossFacts, lastAt: number | null): number | null {
  if (moment >= facts.now.at - FRESH_MS || (lastAt !== null && lastAt <= moment)) return facts.now.lost;
  return facts.earlier.find((t) => t.at >= moment)?.lost ?? null;
}

/** The first moment at which the page saw today's total, when it saw it rise; null when it never did. */
function lastRise(facts: LossFacts): number | null {
  const seen = [...facts.earlier, facts.now];
  for (let i = seen.length - 1; i > 0; i--) if (seen[i].lost > seen[i - 1].lost) return seen[i].at;
  return null;
}
