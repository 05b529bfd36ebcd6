import { expect, test } from "vitest";
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
  source: "http://127.0.0.1:4320/runs/r1",
};

test("Markdown has the levels, the finding, the interval, and no markup of the data", () => {
  const text = reportMarkdown(REPORT, WORDS);
  expect(text).toContain("# Sale \\<round\\|1\\>");
  expect(text).toContain("knee between 8 and 24");
  expect(text).toContain("warm \\*cache\\*");
  expect(text).toContain("| 24/s | 12,480 |");
  expect(text).toContain("20.4 ms (18.6 ms … 22.1 ms)");
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
