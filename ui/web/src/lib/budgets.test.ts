import { expect, test } from "vitest";
import { budgetsOf, stateOf } from "./budgets";

test("each limit that the server tells is a budget; what it does not tell is left out", () => {
  const found = budgetsOf({
    in_flight_bytes: { now: 1, limit: 10 },
    memory: { bytes: 85, limit: 100, budget: 1000 },
    process: { rss_bytes: 300 },
    disk: { free_bytes: 0, total_bytes: 50 },
  });
  expect(found.map((b) => [b.id, b.now, b.limit, stateOf(b)])).toEqual([
    ["in_flight", 1, 10, "free"],
    ["memory", 85, 100, "near"],
    ["budget", 300, 1000, "free"],
    ["disk", 50, 50, "reached"],
  ]);
  expect(budgetsOf({})).toEqual([]);
});

test("without a limit nothing is near", () => {
  const [wal, queries, queue] = budgetsOf({ wal: { bytes: 7 }, queries: { running: 2, queued: 1, limit: 2 } });
  expect([wal, queries, queue].map(stateOf)).toEqual(["unbounded", "free", "unbounded"]);
});
