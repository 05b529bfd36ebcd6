import { expect, test } from "vitest";
import { timeZone } from "./format";
import {
  fileName,
  type Report,
  type ReportWords,
  reportHtml,
  reportJson,
  reportMarkdown,
  reportTimeline,
} from "./report";

const WORDS: ReportWords = {
  language: "en",
  levels: "Load levels",
  level: "Level",
  baseline: "baseline",
  rate: "Rate",
  requests: "Requests",
  errors: "Errors",
  hotSpots: "Hot spots",
  change: "Change",
  confidence: "Confidence",
  critical: "Critical",
  categories: "Category",
  generator: "What the load generator saw",
  who: "Seen by",
  errorCount: "Errors",
  mean: "mean",
  times: (zone) => `All times are ${zone}.`,
  pair: (name, value) => `${name}: ${value}`,
  aside: (text, aside) => `${text} (${aside})`,
  saw: (name) => `${name} saw`,
  generatorWhat: (what) => what,
  knee: (from, to) => `knee between ${from} and ${to}`,
  noKnee: "no knee",
  none: "none",
  labels: "Labels",
  marks: "Marks",
  verdict: (v) => v,
  category: (c) => c,
  chart: "Rate and p99 over time",
};

const REPORT: Report = {
  format: "hotspan.run-report",
  version: 1,
  run: {
    id: "r1",
    name: "Sale <round|1>",
    start: "2026-11-22T06:00:00Z",
    end: "2026-11-22T06:15:00Z",
    labels: { git: "abc" },
    notes: "warm *cache*",
  },
  marks: [{ time: "2026-11-22T06:06:00Z", name: "24 | up" }],
  baseline_level: 0,
  knee: { from: 8, to: 24 },
  levels: [
    {
      index: 0,
      start: "2026-11-22T06:00:00Z",
      end: "2026-11-22T06:06:00Z",
      qps: 8,
      requests: 2880,
      error_share: 0,
      p50_ns: 13e6,
      p95_ns: 47e6,
      p99_ns: 53e6,
      verdict: null,
      hot_spots: [],
    },
    {
      index: 2,
      start: "2026-11-22T06:06:20Z",
      end: "2026-11-22T06:15:00Z",
      qps: 24,
      requests: 12480,
      error_share: 0.003,
      p50_ns: 13e6,
      p95_ns: 64e6,
      p99_ns: 548e6,
      verdict: "bottleneck",
      hot_spots: [
        {
          rank: 1,
          service: "inventory",
          operation: "UPDATE stock",
          category: "lock",
          peer: "inventory-db",
          instance: null,
          critical_path_ns_per_request: 22.6e6,
          change_ns_per_request: 20.4e6,
          interval_ns: [18.6e6, 22.1e6],
          confidence: 0.99,
          explanation: "Waits for a <row> lock.",
          exemplars: ["abc"],
        },
      ],
    },
  ],
  timeline: [
    { time: "2026-11-22T06:00:00Z", requests_per_second: 8, p99_ns: 50e6 },
    { time: "2026-11-22T06:15:00Z", requests_per_second: 24, p99_ns: null },
  ],
  generator: null,
  seen: null,
  source: "http://127.0.0.1:4320/runs/r1",
};

test("Markdown has the levels, the finding, the interval, and no markup of the data", () => {
  const text = reportMarkdown(REPORT, WORDS);
  expect(text).toContain("# Sale \\<round\\|1\\>");
  expect(text).toContain("knee between 8 and 24");
  expect(text).toContain("warm \\*cache\\*");
  expect(text).toContain("| 24/s | 12,480 |");
  expect(text).toContain("| Category |");
  expect(text).toContain("+20.4 ms (+18.6 ms … +22.1 ms)");
  expect(text).toContain("24 \\| up");
  // Every row of a table has as many cells as its head.
  for (const block of text.split("\n\n").filter((b) => b.startsWith("|"))) {
    const cells = block.split("\n").map((line) => line.replaceAll("\\|", "").split("|").length);
    expect(new Set(cells).size).toBe(1);
  }
});

test("HTML needs nothing else, escapes what it shows, and carries its data", () => {
  const text = reportHtml(REPORT, WORDS);
  expect(text).not.toMatch(/<(link|img|script src)|https?:\/\/(?!127)/);
  expect(text).toContain("Sale &lt;round|1&gt;");
  expect(text).not.toContain("<round");
  const data = /<script type="application\/json" id="report">(.*)<\/script>/.exec(text)?.[1] ?? "";
  expect(JSON.parse(data)).toEqual(REPORT);
});

test("JSON is the report itself", () => {
  expect(JSON.parse(reportJson(REPORT))).toEqual(REPORT);
});

test("file names are plain, in any script", () => {
  expect(fileName("Sale 11/11: round #3", "md")).toBe("Sale-11-11-round-3.md");
  expect(fileName("双十一 压测", "html")).toBe("双十一-压测.html");
  expect(fileName("../..", "json")).toBe("run.json");
});

test("a timeline becomes rates", () => {
  expect(reportTimeline(1e6, 10e6, [{ t_us: 0, requests: 80, p99_ns: null }])).toEqual([
    { time: "1970-01-01T00:00:01.000Z", requests_per_second: 8, p99_ns: null },
  ]);
});

test("the report names its time zone", () => {
  expect(timeZone(0)).toMatch(/^UTC([+−]\d\d:\d\d)?$/);
  for (const text of [reportMarkdown(REPORT, WORDS), reportHtml(REPORT, WORDS)]) {
    expect(text).toContain(`All times are ${timeZone(Date.parse(REPORT.run.start))}.`);
  }
});

test("a run that was imported carries what its load generator saw, beside what hotspan saw", () => {
  const times = { mean_ns: 62e6, p50_ns: 50e6, p90_ns: null, p95_ns: null, p99_ns: 390e6, max_ns: 558e6 };
  const total = { requests: 3600, errors: 12, rate: 40, ...times };
  const named = [{ name: "Flow", what: "transaction" as const, ...total }];
  const generator = { tool: "k6", version: "1.3", format: null, total, named, notes: ["counted from the log"] };
  const report = { ...REPORT, generator, seen: { ...total, requests: 3599, errors: null } };
  const text = reportMarkdown(report, WORDS);
  expect(text).toContain("| k6 1.3 saw | 3,600 | 12 (0.33 %) | 40/s | 62 ms | 50 ms | – | – | 390 ms | 558 ms |");
  expect(text).toContain("| hotspan saw | 3,599 | – |");
  expect(text).toContain("| Flow (transaction) |");
  expect(reportHtml(report, WORDS)).toContain("<td>k6 1.3 saw</td>");
  expect(reportHtml(report, WORDS)).toContain("counted from the log");
  expect(JSON.parse(reportJson(report)).generator.tool).toBe("k6");
});
