// Weak nodes over the rounds of a stress test: found in one, gone in a later one, back again.

export interface Finding {
  service: string;
  operation: string;
  category: string;
  peer: string | null;
  rank: number;
  change_ns_per_request: number | null;
  confidence: number | null;
}

export interface Round {
  id: string;
  name: string;
  /** RFC 3339. */
  start: string;
  /** Null while it is not known yet. */
  verdict: string | null;
  findings: readonly Finding[];
}

export type CellState = "found" | "still" | "gone" | "back" | "absent" | "unknown";

export interface Cell {
  state: CellState;
  finding: Finding | null;
}

export interface BoardRow {
  key: string;
  service: string;
  operation: string;
  peer: string | null;
  /** One for each round, in their order. */
  cells: Cell[];
}

const SURE = 0.9;
/** Findings below this place are victims or noise of the first ones. */
const DEEPEST = 5;

/** The findings of a round that name a weak node: what surely got worse, and the first place in any case. */
export function weakNodes(round: Round): Finding[] {
  if (round.verdict !== "bottleneck" && round.verdict !== "behaviour_changed") return [];
  return round.findings.filter(
    (f) => f.rank === 1 || (f.rank <= DEEPEST && (f.confidence ?? 0) >= SURE && (f.change_ns_per_request ?? 0) > 0),
  );
}

/** Rows for every node that was weak in some round; `rounds` from the first to the latest. */
export function boardOf(rounds: readonly Round[]): BoardRow[] {
  const found = rounds.map((round) => new Map(weakNodes(round).map((f) => [keyOf(f), f])));
  const names = new Map<string, Finding>();
  for (const round of found) for (const [key, f] of round) if (!names.has(key)) names.set(key, f);
  const rows = [...names].map(([key, f]) => ({
    key,
    service: f.service,
    operation: f.operation,
    peer: f.peer,
    cells: cellsOf(rounds, (i) => found[i].get(key) ?? null),
  }));
  return rows.sort((a, b) => lastSeen(b) - lastSeen(a) || placeIn(a) - placeIn(b));
}

function keyOf(f: Finding): string {
  return [f.service, f.operation, f.peer ?? ""].join("|");
}

function cellsOf(rounds: readonly Round[], findingOf: (round: number) => Finding | null): Cell[] {
  let seen = false;
  let weak = false;
  return rounds.map((round, i) => {
    const finding = findingOf(i);
    if (round.verdict === null || round.verdict === "not_enough_data") return { state: "unknown", finding: null };
    if (finding) {
      const state = weak ? "still" : seen ? "back" : "found";
      seen = true;
      weak = true;
      return { state, finding };
    }
    const state = weak ? "gone" : "absent";
    weak = false;
    return { state, finding: null };
  });
}

function lastSeen(row: BoardRow): number {
  return row.cells.findLastIndex((c) => c.finding !== null);
}

function placeIn(row: BoardRow): number {
  return row.cells[lastSeen(row)]?.finding?.rank ?? Number.POSITIVE_INFINITY;
}
