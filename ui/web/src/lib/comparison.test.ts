import { expect, test } from "vitest";
import {
  type ComparedOperation,
  type ComparisonReport,
  type ComparisonWords,
  chance,
  comparisonPaper,
  interval,
  ratioText,
  signed,
} from "./comparison";
import { paperHtml, paperJson, paperMarkdown } from "./paper";

const measure = { measure: "p99_ns", before: 18e6, after: 26e6, change: 8e6, low: 6e6, high: 9e6, q: 0.0002 };

const operation = (
  outcome: ComparedOperation["outcome"],
  more: Partial<ComparedOperation> = {},
): ComparedOperation => ({
  ...{ service: "order", operation: "POST /charge", kind: "CLIENT", peer: "bank", outcome, reason: null },
  ...{ calls_a: 120_000, calls_b: 118_400, measures: [measure] },
  ...measure,
  ...more,
});

const side = { requests: 21_600, errors: 54, p50_ns: 14e6, p90_ns: 60e6, p99_ns: 310e6, levels: [] };

const REPORT: ComparisonReport = {
  format: "hotspan.run-comparison",
  version: 1,
  runs: [
    { id: "r1", name: "Round 1" },
    { id: "r2", name: "Round 2 | <pool>" },
  ],
  source: "http://127.0.0.1:4320/runs/compare?a=r1&b=r2",
  verdict: "worse",
  worse: 1,
  better: 0,
  limits: { ratio: 0.2, latency_ns: 2e6 },
  a: { ...side, start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:15:00Z" },
  b: { ...side, start: "2026-11-23T06:00:00Z", end: "2026-11-23T06:15:00Z" },
  matched: [{ qps_a: 8_000, qps_b: 8_100, seconds_a: 180, seconds_b: 180 }],
  operations: [operation("worse"), operation("no_evidence", { reason: "too_few_calls", measures: [] })],
};

const WORDS: ComparisonWords = {
  ...{
    language: "en",
    sentence: "Worse: 1 operation.",
    verdict: "Verdict",
    left: "Before",
    right: "After",
    sides: "Sides",
    time: "Time",
  },
  ...{ levels: "Levels", noLevels: "none", requests: "Requests", errors: "Errors", operations: "Operations" },
  ...{ operation: "Operation", by: "By", change: "Change", interval: "95 %", factor: "Factor", chance: "By chance" },
  ...{ callsLeft: "Calls before", callsRight: "Calls after", measures: "All measures", comma: ", " },
  times: (zone) => `All times are ${zone}.`,
  outcome: (o) => (o.reason ? `${o.outcome} (${o.reason})` : o.outcome),
  measure: (name) => name,
};

test("the comparison says how it ended, what was compared, and each operation with its interval", () => {
  const text = paperMarkdown(comparisonPaper(REPORT, WORDS));
  expect(text).toContain("# Round 1 → Round 2 \\| \\<pool\\>");
  expect(text).toContain("Worse: 1 operation.");
  expect(text).toContain("| 8,100/s | 21,600 | 0.25 % | 14 ms | 60 ms | 310 ms |");
  expect(text).toContain(
    "| order · POST /charge → bank | worse | p99\\_ns | 18 ms | 26 ms | +8 ms | +6 ms … +9 ms | × 1.44 | \\< 0.1 % | 120,000 | 118,400 |",
  );
  expect(text).toContain("no\\_evidence (too\\_few\\_calls)");
  // Every row of a table has as many cells as its head.
  for (const block of text.split("\n\n").filter((b) => b.startsWith("|"))) {
    const cells = block.split("\n").map((line) => line.replaceAll("\\|", "").split("|").length);
    expect(new Set(cells).size).toBe(1);
  }
});

test("HTML escapes what it shows, and the JSON is the comparison itself", () => {
  const paper = comparisonPaper(REPORT, WORDS);
  expect(paperHtml(paper)).toContain("Round 2 | &lt;pool&gt;");
  expect(paperHtml(paper)).not.toContain("<pool");
  expect(JSON.parse(paperJson(paper))).toEqual(REPORT);
});

test("figures of a comparison: shares in points, an interval where there is one, chance that is not zero", () => {
  expect(signed("error_rate", -0.003)).toBe("−0.3 pp");
  expect(signed("mean_ns", 8e6)).toBe("+8 ms");
  expect(interval({ measure: "mean_ns", low: null, high: 1 })).toBeNull();
  expect([chance(0.00001), chance(0.02), chance(null)]).toEqual(["< 0.1 %", "2.0 %", "–"]);
  expect(ratioText(null)).toBe("–");
});
