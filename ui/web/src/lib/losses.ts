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

/** How far a reading may lie from a moment to stand for it. */
const NEAR_MS = 15_000;

export function lossesIn(range: { from: number; to: number }, facts: LossFacts): Losses {
  const total = facts.now.lost;
  const lastAt = facts.lastAt ?? lastRise(facts);
  // Of the time before its start the server knows nothing.
  if (total === 0 || range.to <= facts.startedAt || (lastAt !== null && lastAt < range.from)) return { kind: "none" };
  const before = lostBy(range.from, facts, lastAt);
  const until = lostBy(range.to, facts, lastAt);
  if (before === null || until === null) return { kind: "since_start", rows: total, lastAt };
  return until > before ? { kind: "range", rows: until - before, lastAt } : { kind: "none" };
}

/** Rows lost by a moment: where a reading is near, or those around it agree; else null, nobody knows. */
function lostBy(moment: number, facts: LossFacts, lastAt: number | null): number | null {
  if (moment <= facts.startedAt) return 0;
  if (moment >= facts.now.at || (lastAt !== null && lastAt <= moment)) return facts.now.lost;
  const seen = [{ at: facts.startedAt, lost: 0 }, ...facts.earlier, facts.now];
  const next = seen.findIndex((t) => t.at > moment);
  const [before, after] = [seen[next - 1], seen[next]];
  if (before.lost === after.lost) return after.lost;
  const nearer = moment - before.at <= after.at - moment ? before : after;
  return Math.abs(nearer.at - moment) <= NEAR_MS ? nearer.lost : null;
}

interface Reason {
  outcome: string;
  reason: string;
  count: number;
  unit?: string;
}

/** Why most of the rows were lost. What never became rows, as an export that is not OTLP at all, cost none. */
export function mainReason(reasons: readonly Reason[], rows: { rejected: number; refused: number }): string | null {
  const outcome = rows.rejected >= rows.refused ? "rejected" : "refused";
  const costly = reasons.filter((r) => r.outcome === outcome && (outcome === "refused" || r.unit !== "exports"));
  return costly.reduce<Reason | null>((most, r) => (most && most.count >= r.count ? most : r), null)?.reason ?? null;
}

/** The first moment at which the page saw today's total, when it saw it rise; null when it never did. */
function lastRise(facts: LossFacts): number | null {
  const seen = [...facts.earlier, facts.now];
  for (let i = seen.length - 1; i > 0; i--) if (seen[i].lost > seen[i - 1].lost) return seen[i].at;
  return null;
}
