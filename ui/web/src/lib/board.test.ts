import { expect, test } from "vitest";
import { boardOf, emptiness, type Finding, newestOf, type Round } from "./board";

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
