import { expect, test } from "vitest";
import { boardOf, boardPaper, type Cell, emptiness, type Finding, loadOf, newestOf, type Round } from "./board";
import { paperJson, paperMarkdown } from "./paper";

function finding(operation: string, rank: number, more: Partial<Finding> = {}): Finding {
  return {
    service: "inventory",
    operation,
    category: "lock",
    peer: null,
    rank,
    change_ns_per_request: 5e6,
    confidence: 0.99,
    ...more,
  };
}

const round = (n: number, verdict: string | null, ...findings: Finding[]): Round => ({
  id: `r${n}`,
  number: n,
  name: `round ${n}`,
  start: new Date(Date.UTC(2026, 10, n)).toISOString(),
  load: 100,
  verdict,
  findings,
});

test("found in round 1, still in 2, gone in 3, back in 5", () => {
  const rows = boardOf([
    round(1, "bottleneck", finding("UPDATE stock", 1)),
    round(2, "bottleneck", finding("UPDATE stock", 1)),
    round(3, "no_significant_change", finding("UPDATE stock", 1)),
    round(4, "not_enough_data"),
    round(5, "bottleneck", finding("GET price", 1), finding("UPDATE stock", 2)),
  ]);
  expect(rows.map((r) => [r.operation, r.cells.map((c) => c.state)])).toEqual([
    ["GET price", ["absent", "absent", "absent", "unknown", "found"]],
    ["UPDATE stock", ["found", "still", "gone", "unknown", "back"]],
  ]);
});

test("a node that does not show in a running round is not gone yet", () => {
  const rows = boardOf([
    round(1, "bottleneck", finding("UPDATE stock", 1)),
    { ...round(2, "no_significant_change"), running: true },
    round(3, "bottleneck", finding("UPDATE stock", 1)),
  ]);
  expect(rows[0].cells.map((c) => c.state)).toEqual(["found", "pending", "still"]);
});

test("a node is gone only where the load came to that at which it was last found", () => {
  const weak = (n: number, load: number): Round => ({ ...round(n, "bottleneck", finding("UPDATE stock", 1)), load });
  const fine = (n: number, load: number): Round => ({ ...round(n, "no_significant_change"), load });
  const states = (...rounds: Round[]) => boardOf(rounds)[0].cells.map((c) => c.state);
  expect(states(weak(1, 100), fine(2, 50))).toEqual(["found", "less"]);
  expect(boardOf([weak(1, 100), fine(2, 50)])[0].cells[1].loads).toEqual({ now: 50, found: 100 });
  // What was never shown to be gone is still there when it is found again.
  expect(states(weak(1, 100), fine(2, 50), weak(3, 100))).toEqual(["found", "less", "still"]);
  expect(states(weak(1, 100), fine(2, 50), fine(3, 91))).toEqual(["found", "less", "gone"]);
  expect(states(weak(1, 100), fine(2, 110), fine(3, 50), weak(4, 90))).toEqual(["found", "gone", "absent", "back"]);
  expect(states(weak(1, 100), weak(2, 60), fine(3, 60))).toEqual(["found", "still", "gone"]);
  expect(states(weak(1, 100), { ...fine(2, 50), running: true })).toEqual(["found", "pending"]);
});

test("on paper the board has a column for each round, and says what a state is", () => {
  const rounds: Round[] = [
    round(1, "bottleneck", finding("UPDATE stock", 1, { peer: "db" })),
    { ...round(2, "no_significant_change"), load: 50 },
  ];
  const words = { language: "en", title: "Weak nodes", operation: "Operation", rate: "Rate" };
  const cell = (c: Cell) => (c.loads ? `${c.state} ${c.loads.now} of ${c.loads.found}` : c.state);
  const paper = boardPaper(rounds, boardOf(rounds), { ...words, cell, verdict: (v) => v ?? "?" }, "http://h/runs");
  const text = paperMarkdown(paper);
  expect(text).toContain("| Operation | 1 · round 1 | 2 · round 2 |");
  expect(text).toContain("| Rate | 100/s | 50/s |");
  expect(text).toContain("| inventory · UPDATE stock → db | found | less 50 of 100 |");
  const data = JSON.parse(paperJson(paper));
  expect(data.rounds[1]).toMatchObject({ id: "r2", load: 50, verdict: "no_significant_change" });
  expect(data.nodes[0].cells[1]).toEqual({ state: "less", finding: null, loads: { now: 50, found: 100 } });
});

test("the load of a round is that of the level that was judged", () => {
  const window = { start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:03:00Z", requests: 18_000 };
  expect(loadOf(window)).toBe(100);
  expect(loadOf({ ...window, end: window.start })).toBe(0);
  expect(loadOf(undefined)).toBe(0);
});

test("unsure, shrinking and far-off findings are not weak nodes; a round still asked for is unknown", () => {
  const rows = boardOf([
    round(
      1,
      "bottleneck",
      finding("a", 1, { confidence: 0.4 }),
      finding("b", 2, { confidence: 0.5 }),
      finding("c", 3, { change_ns_per_request: -1 }),
      finding("d", 9),
    ),
    round(2, null),
  ]);
  expect(rows.map((r) => [r.operation, r.cells.map((c) => c.state)])).toEqual([["a", ["found", "unknown"]]]);
  expect(boardOf([])).toEqual([]);
});

test("the newest of many rounds keep their numbers", () => {
  const runs = Array.from({ length: 14 }, (_, i) => ({
    start_time: new Date(Date.UTC(2026, 10, 1 + i)).toISOString(),
  }));
  expect(newestOf([...runs].reverse(), 8).map((r) => r.number)).toEqual([7, 8, 9, 10, 11, 12, 13, 14]);
  expect(newestOf(runs, 14)[0]).toEqual({ run: runs[0], number: 1 });
});

test("no bottleneck is claimed before all rounds are judged", () => {
  const none = round(1, "no_significant_change");
  expect(emptiness([none, round(2, null)], 1)).toBe("pending");
  expect(emptiness([round(1, "not_enough_data"), round(2, null)], 0)).toBe("unjudged");
  expect(emptiness([none, round(2, null)], 0)).toBe("judged");
  expect(emptiness([none, none], 0)).toBe("none");
});
