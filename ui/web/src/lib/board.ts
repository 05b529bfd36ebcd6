// Weak nodes over the rounds of a stress test: found in one, gone in a later one, back again.

import { number } from "./format";
import type { Paper } from "./paper";

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
  /** Its place among all rounds, from 1. */
  number: number;
  name: string;
  /** RFC 3339. */
  start: string;
  /** The load may not have reached the weak node yet. */
  running?: boolean;
  /** Requests per second of its highest level, which is the one that was judged. */
  load: number;
  /** Null while it is not known yet. */
  verdict: string | null;
  findings: readonly Finding[];
}

/** `less`: not found, but at a load at which it need not show. */
export type CellState = "found" | "still" | "gone" | "less" | "back" | "absent" | "unknown" | "pending";

export interface Cell {
  state: CellState;
  finding: Finding | null;
  /** Of `less`: the load of this round, and that of the one in which the node was last found. */
  loads?: { now: number; found: number };
}

export interface BoardRow {
  key: string;
  service: string;
  operation: string;
  peer: string | null;
  /** One for each round, in their order. */
  cells: Cell[];
}

/** The newest of all rounds, each with its place among them. */
export function newestOf<R extends { start_time: string }>(
  runs: readonly R[],
  most: number,
): { run: R; number: number }[] {
  const inOrder = [...runs].sort((a, b) => a.start_time.localeCompare(b.start_time));
  return inOrder.map((run, i) => ({ run, number: i + 1 })).slice(-most);
}

/** Requests per second of a window; 0 where there is none. */
export function loadOf(window: { start: string; end: string; requests: number } | undefined): number {
  const seconds = window ? (Date.parse(window.end) - Date.parse(window.start)) / 1e3 : 0;
  return window && seconds > 0 ? window.requests / seconds : 0;
}

/** A round that comes to this part of a load has put the node to the test. */
const ENOUGH_LOAD = 0.9;
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

/** Why a board has no row: answers are still to come, no round could be judged, only some, or none had a weak node. */
export function emptiness(rounds: readonly Round[], waiting: number): "pending" | "unjudged" | "judged" | "none" {
  if (waiting > 0) return "pending";
  const judged = judgedOf(rounds);
  return judged === 0 ? "unjudged" : judged < rounds.length ? "judged" : "none";
}

/** How many rounds tell whether they had a weak node. */
export function judgedOf(rounds: readonly Round[]): number {
  return rounds.filter(isJudged).length;
}

function isJudged(round: Round): boolean {
  return round.verdict !== null && round.verdict !== "not_enough_data";
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
  let found = 0;
  return rounds.map((round, i) => {
    const finding = findingOf(i);
    if (!isJudged(round)) return { state: "unknown", finding: null };
    if (finding) {
      const state = weak ? "still" : seen ? "back" : "found";
      seen = true;
      weak = true;
      found = round.load;
      return { state, finding };
    }
    if (round.running) return { state: "pending", finding: null };
    if (weak && round.load < ENOUGH_LOAD * found)
      return { state: "less", finding: null, loads: { now: round.load, found } };
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

/** The words of a board on paper. */
export interface BoardWords {
  language: string;
  title: string;
  operation: string;
  rate: string;
  cell(cell: Cell): string;
  verdict(verdict: string | null): string;
}

export function boardPaper(
  rounds: readonly Round[],
  rows: readonly BoardRow[],
  words: BoardWords,
  source: string,
): Paper {
  const name = (row: BoardRow) => `${row.service} · ${row.operation}${row.peer ? ` → ${row.peer}` : ""}`;
  return {
    language: words.language,
    title: words.title,
    source,
    data: {
      format: "hotspan.weak-nodes",
      version: 1,
      rounds: rounds.map(({ findings: _, ...round }) => round),
      nodes: rows,
      source,
    },
    blocks: [
      {
        table: {
          head: [words.operation, ...rounds.map((r) => `${r.number} · ${r.name}`)],
          rows: [
            [words.rate, ...rounds.map((r) => (r.load > 0 ? `${number(r.load)}/s` : "–"))],
            ["", ...rounds.map((r) => words.verdict(r.verdict))],
            ...rows.map((row) => [name(row), ...row.cells.map(words.cell)]),
          ],
        },
      },
    ],
  };
}
