import { expect, test } from "vitest";
import {
  type ComparedOperation,
  type ComparisonReport,
  type ComparisonWords,
  chance,
  comparisonPaper,
  figure,
  interval,
  judged,
  type MatchedLoad,
  ratioText,
  signed,
  type Throughput,
  throughputOf,
  throughputShare,
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

const load = (of: Partial<MatchedLoad>): MatchedLoad => ({
  ...{ matched_by: "rate", qps_a: 1, qps_b: 1, concurrency_a: 96, concurrency_b: 130, throughput: null },
  ...{ seconds_a: 180, seconds_b: 180 },
  ...of,
});

const throughput = (outcome: Throughput["outcome"], before: number, after: number): Throughput => ({
  ...{ measure: "throughput", before, after, change: after - before, outcome },
  ...{ low: after - before - 20, high: after - before + 20, q: 0.0001 },
});

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
  same: 0,
  no_evidence: 0,
  too_few_calls: 1,
  only_in_a: 0,
  only_in_b: 3,
  found: 5,
  limits: { ratio: 0.2, latency_ns: 2e6 },
  a: { ...side, start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:15:00Z" },
  b: { ...side, start: "2026-11-23T06:00:00Z", end: "2026-11-23T06:15:00Z" },
  matched: [
    load({ qps_a: 8_000, qps_b: 8_100 }),
    load({
      ...{ matched_by: "concurrency", qps_a: 1_000, qps_b: 769, concurrency_a: 100, concurrency_b: 100.4 },
      throughput: throughput("worse", 1_000, 769),
    }),
  ],
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
  ...{ matchedBy: "Matched by", rate: "Rate", concurrency: "Concurrency", throughput: "Throughput" },
  matched: (by) => by,
  counted: ["1 of 5 operations could be compared."],
  ...{ callsLeft: "Calls before", callsRight: "Calls after", measures: "All measures", comma: ", " },
  ...{ examples: "Example traces", intended: "p99 from the intended start" },
  times: (zone) => `All times are ${zone}.`,
  outcome: (o) => (o.reason ? `${o.outcome} (${o.reason})` : o.outcome),
  measure: (name) => name,
};

test("the comparison says how it ended, what was compared, and each operation with its interval", () => {
  const text = paperMarkdown(comparisonPaper(REPORT, WORDS));
  expect(text).toContain("# Round 1 → Round 2 \\| \\<pool\\>");
  expect(text).toContain("Worse: 1 operation.");
  expect(text).toContain("| 8,100/s, 769/s | 21,600 | 0.25 % | 14 ms | 60 ms | 310 ms |");
  expect(text).toContain(
    "| order · POST /charge → bank | worse | p99\\_ns | 18 ms | 26 ms | +8 ms | +6 ms … +9 ms | × 1.44 | \\< 0.1 % | 120,000 | 118,400 |",
  );
  expect(text).toContain("no\\_evidence (too\\_few\\_calls)");
  expect(text).toContain("1 of 5 operations could be compared.");
  expect(text).toContain("| rate | 8,000/s → 8,100/s | 96 → 130 | – | – | – | – | – |");
  expect(text).toContain(
    "| concurrency | 1,000/s → 769/s | 100 → 100 | worse | −231/s | −251/s … −211/s | × 0.769 | \\< 0.1 % |",
  );
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

test("throughput is told per second, and by the load where it changed most, if the verdict is by it", () => {
  expect(figure("throughput", 769.2)).toBe("769/s");
  expect([signed("throughput", -231), signed("throughput", 4), signed("throughput", 0)]).toEqual([
    "−231/s",
    "+4/s",
    "0/s",
  ]);
  const matched = [
    load({ throughput: throughput("worse", 1_000, 769) }),
    load({ throughput: throughput("worse", 2_000, 1_000) }),
    load({ throughput: throughput("better", 100, 900) }),
    load({}),
  ];
  expect(throughputOf({ verdict: "worse", matched })).toBe(matched[1]);
  expect(throughputOf({ verdict: "better", matched })).toBe(matched[2]);
  expect(throughputOf({ verdict: "same", matched: [load({ throughput: throughput("same", 5, 5) })] })).toBeNull();
  expect(throughputOf({ verdict: "worse", matched: [matched[3]] })).toBeNull();
  expect(throughputShare(throughput("worse", 1_000, 769))).toBeCloseTo(0.231);
  expect(judged({ worse: 1, better: 2, same: 3, no_evidence: 4 })).toBe(10);
});

test("the comparison says which clock its latencies count from, and has the traces that show a change", () => {
  const text = (report: ComparisonReport, words = WORDS) => paperMarkdown(comparisonPaper(report, words));
  const clock = { known: true, en: "Both tell it.", zh: "双方都有。" };
  const intended = { p50_intended_ns: 15e6, p99_intended_ns: 2_100e6 };
  const first = operation("worse", { exemplars_a: ["aa", "ab"], exemplars_b: ["ba"] });
  const operations = [first, ...REPORT.operations.slice(1)];
  const told = { ...REPORT, clock, operations, a: { ...REPORT.a, intended: null }, b: { ...REPORT.b, intended } };
  expect(text(told)).toContain("Both tell it.");
  expect(text(told, { ...WORDS, language: "zh-CN" })).toContain("双方都有。");
  expect(text(told)).toContain("| p99 | p99 from the intended start |");
  expect(text(told)).toContain("| 14 ms | 60 ms | 310 ms | 2.1 s |");
  expect(text(told)).toContain("| order · POST /charge → bank | aa, ab | ba |");
  expect(text(REPORT)).not.toContain("Example traces");
});
