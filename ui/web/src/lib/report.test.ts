import { expect, test } from "vitest";
import { timeZone } from "./format";
import { fileName, paperHtml, paperJson, paperMarkdown } from "./paper";
import { type Report, type ReportWords, reportPaper, reportTimeline } from "./report";

const WORDS: ReportWords = {
  language: "en",
  levels: "Load levels",
  level: "Level",
  stages: "Marked stages",
  stage: "Stage",
  intended: "p99 from the intended start",
  baseline: "baseline",
  rate: "Rate",
  concurrency: "Concurrency",
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
  note: (text) => text,
  matrix: "Level by level",
  operation: "Operation",
  comma: ", ",
  entries: "Met by",
  senders: "Sent by",
  victims: "Slower because of it",
  vitals: "Metrics",
  logs: "Log",
  offPath: "no request waits",
  only: (instance) => `only on ${instance}`,
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

const reportMarkdown = (report: Report, words: ReportWords) => paperMarkdown(reportPaper(report, words));
const reportHtml = (report: Report, words: ReportWords) => paperHtml(reportPaper(report, words));
const reportJson = (report: Report) => paperJson(reportPaper(report, WORDS));

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
  clock: null,
  baseline_level: 0,
  knee: { from: 8, to: 24 },
  levels: [
    {
      index: 0,
      start: "2026-11-22T06:00:00Z",
      end: "2026-11-22T06:06:00Z",
      qps: 8,
      concurrency: 0.16,
      requests: 2880,
      error_share: 0,
      p50_ns: 13e6,
      p90_ns: 41e6,
      p95_ns: 47e6,
      p99_ns: 53e6,
      p999_ns: 61e6,
      p99_intended_ns: null,
      verdict: null,
      hot_spots: [],
    },
    {
      index: 2,
      start: "2026-11-22T06:06:20Z",
      end: "2026-11-22T06:15:00Z",
      qps: 24,
      concurrency: 0.91,
      requests: 12480,
      error_share: 0.003,
      p50_ns: 13e6,
      p90_ns: 58e6,
      p95_ns: 64e6,
      p99_ns: 548e6,
      p999_ns: 913e6,
      p99_intended_ns: null,
      verdict: "bottleneck",
      hot_spots: [
        {
          rank: 1,
          service: "inventory",
          operation: "UPDATE stock",
          category: "lock",
          peer: "inventory-db",
          instance: "inventory-2",
          attribute: { key: "app.region", value: "a|b" },
          off_path: false,
          critical_path_ns_per_request: 22.6e6,
          change_ns_per_request: 20.4e6,
          interval_ns: [18.6e6, 22.1e6],
          confidence: 0.99,
          explanation: "Waits for a <row> lock.",
          callers: [["gateway", "POST /order"]],
          victims: [
            ["order", "POST /orders"],
            ["gateway", "POST /order"],
          ],
          vitals: [
            {
              ...{ sign: "saturated", metric: "pool.used", instance: "inventory-2", window: 64, baseline: 9 },
              explanation: "All 64 connections are in use.",
            },
          ],
          logs: [
            {
              ...{ severity: "warn", pattern: "lock wait *", operation: "UPDATE stock", per_call: 0.2 },
              explanation: "New: lock wait *",
            },
          ],
          exemplars: ["abc"],
        },
        {
          rank: 2,
          service: "mail",
          operation: "consume orders",
          category: "queue",
          peer: null,
          instance: null,
          attribute: null,
          off_path: true,
          critical_path_ns_per_request: 3e6,
          change_ns_per_request: 1e6,
          interval_ns: null,
          confidence: 0.6,
          explanation: "Messages wait before they are taken.",
          callers: [["order", "POST /orders"]],
          victims: [],
          vitals: [],
          logs: [],
          exemplars: [],
        },
      ],
    },
  ],
  stages: [],
  matrix: [
    {
      service: "inventory",
      operation: "UPDATE stock",
      category: "lock",
      peer: "inventory-db",
      span_kind: "CLIENT",
      levels: [
        { critical_path_ns_per_request: 2.2e6, change_ns_per_request: null, confidence: null },
        { critical_path_ns_per_request: 22.6e6, change_ns_per_request: 20.4e6, confidence: 0.99 },
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
  expect(text).toContain("| 24/s | 0.91 | 12,480 | 13 ms | 58 ms | 64 ms | 548 ms | 913 ms |");
  expect(text).toContain("| Category |");
  expect(text).toContain("+20.4 ms (+18.6 ms … +22.1 ms)");
  expect(text).toContain("24 \\| up");
  // Every row of a table has as many cells as its head.
  for (const block of text.split("\n\n").filter((b) => b.startsWith("|"))) {
    const cells = block.split("\n").map((line) => line.replaceAll("\\|", "").split("|").length);
    expect(new Set(cells).size).toBe(1);
  }
});

test("every hot spot has its sentence and what else is known of it, and the levels are beside each other", () => {
  const text = reportMarkdown(REPORT, WORDS);
  expect(text).toContain("UPDATE stock → inventory-db (only on inventory-2, app.region = a\\|b)");
  expect(text).toContain("\\#1 inventory · UPDATE stock → inventory-db: Waits for a \\<row\\> lock.");
  expect(text).toContain("\\#2 mail · consume orders: Messages wait before they are taken.");
  for (const line of [
    "- Met by: gateway · POST /order",
    "- Slower because of it: order · POST /orders, gateway · POST /order",
    "- Metrics: All 64 connections are in use.",
    "- Log: New: lock wait \\*",
    "- Sent by: order · POST /orders",
  ])
    expect(text.split("\n")).toContain(line);
  expect(text).toContain("| Operation | Category | 8/s (baseline) | 24/s |");
  expect(text).toContain("| inventory · UPDATE stock → inventory-db | lock | 2.2 ms | 22.6 ms (+20.4 ms) |");
  const html = reportHtml(REPORT, WORDS);
  expect(html).toContain("<li>Metrics: All 64 connections are in use.</li>");
  expect(html).toContain("<td>22.6\u00a0ms (+20.4\u00a0ms)</td>");
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
  const report = { ...REPORT, generator, seen: { ...total, requests: 3599, errors: null, p999_ns: 501e6 } };
  const text = reportMarkdown(report, WORDS);
  expect(text).toContain("| k6 1.3 saw | 3,600 | 12 (0.33 %) | 40/s | 62 ms | 50 ms | – | – | 390 ms | – | 558 ms |");
  expect(text).toContain("| hotspan saw | 3,599 | – |");
  expect(text).toContain("| 390 ms | 501 ms | 558 ms |");
  expect(text).toContain("| Flow (transaction) |");
  expect(reportHtml(report, WORDS)).toContain("<td>k6 1.3 saw</td>");
  expect(reportHtml(report, WORDS)).toContain("counted from the log");
  expect(JSON.parse(reportJson(report)).generator.tool).toBe("k6");
});

test("marked stages have their figures and hot spots under their names", () => {
  const [, high] = REPORT.levels;
  const stages = [{ ...high, name: "24 | up", goes_on: false, qps: 23, hot_spots: high.hot_spots.slice(0, 1) }];
  const text = reportMarkdown({ ...REPORT, stages }, WORDS);
  expect(text).toContain("## Marked stages");
  const row = text.split("\n").find((line) => line.startsWith("| 24 \\| up ("));
  expect(row).toContain(
    "| 23/s | 0.91 | 12,480 | 13 ms | 58 ms | 64 ms | 548 ms | 913 ms | 0.30 % | inventory · UPDATE stock |",
  );
  expect(text).toContain("## Stage 24 \\| up: bottleneck");
  expect(text.match(/Waits for a/g)).toHaveLength(2);
  expect(JSON.parse(reportJson({ ...REPORT, stages })).stages[0].name).toBe("24 | up");
  expect(reportMarkdown(REPORT, WORDS)).not.toContain("Marked stages");
});

test("the report says from when its latencies count, and has the p99 from there where it is known", () => {
  const unknown = { known: false, text: "It cannot be known.", total: null };
  const text = reportMarkdown({ ...REPORT, clock: unknown }, WORDS);
  expect(text).toContain("It cannot be known.");
  expect(text).not.toContain("p99 from the intended start");
  const told = { known: true, text: "They tell it.", total: { p99_ns: 90e6, p99_intended_ns: 1_900e6 } };
  const levels = REPORT.levels.map((l, i) => ({ ...l, p99_intended_ns: [60e6, 1_900e6][i] }));
  const both = reportMarkdown({ ...REPORT, clock: told, levels }, WORDS);
  expect(both).toContain("p99: 90 ms, p99 from the intended start: 1.9 s");
  expect(both).toContain("| p99.9 | p99 from the intended start | Errors |");
  expect(both).toContain("| 548 ms | 913 ms | 1.9 s |");
});
