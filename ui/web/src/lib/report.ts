// A run on paper: the same report as Markdown, as one HTML file that needs nothing else, and as JSON for programs.

import { change, confidence, count, dateTime, duration, number, percent, timeZone } from "./format";
import { type Figures, figureCells, figureHeads, type Generator, toolName } from "./generator";
import type { LoadLevel } from "./levels";
import { claimed, isClaim } from "./verdict";

export interface ReportLevel {
  index: number;
  start: string;
  end: string;
  qps: number;
  requests: number;
  error_share: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  /** Null for the baseline, and where the server gave no answer. */
  verdict: string | null;
  hot_spots: ReportSpot[];
}

export interface ReportSpot {
  rank: number;
  service: string;
  operation: string;
  category: string;
  peer: string | null;
  instance: string | null;
  critical_path_ns_per_request: number;
  change_ns_per_request: number | null;
  interval_ns: [number, number] | null;
  confidence: number | null;
  explanation: string;
  exemplars: string[];
}

export interface Report {
  format: "hotspan.run-report";
  version: 1;
  run: { id: string; name: string; start: string; end: string | null; labels: Record<string, string>; notes: string };
  marks: { time: string; name: string }[];
  baseline_level: number | null;
  knee: { from: number; to: number } | null;
  levels: ReportLevel[];
  timeline: { time: string; requests_per_second: number; p99_ns: number | null }[];
  /** What the load generator saw, of an imported run. */
  generator: Generator | null;
  /** What hotspan saw in the same time. */
  seen: Figures | null;
  /** Where the report was made from. */
  source: string;
}

/** The words of a report in one language. */
export interface ReportWords {
  language: string;
  levels: string;
  level: string;
  baseline: string;
  rate: string;
  requests: string;
  errors: string;
  hotSpots: string;
  change: string;
  confidence: string;
  critical: string;
  categories: string;
  generator: string;
  who: string;
  errorCount: string;
  mean: string;
  times(zone: string): string;
  /** "name: value". */
  pair(name: string, value: string): string;
  /** "text (aside)". */
  aside(text: string, aside: string): string;
  saw(name: string): string;
  generatorWhat(what: string): string;
  knee(from: string, to: string): string;
  noKnee: string;
  none: string;
  labels: string;
  marks: string;
  verdict(name: string): string;
  category(name: string): string;
  chart: string;
}

export function levelFigures(level: LoadLevel): Omit<ReportLevel, "verdict" | "hot_spots"> {
  return {
    index: level.index,
    start: level.start,
    end: level.end,
    qps: level.qps,
    requests: level.requests,
    error_share: level.requests > 0 ? level.errors / level.requests : 0,
    p50_ns: level.p50_ns,
    p95_ns: level.p95_ns,
    p99_ns: level.p99_ns,
  };
}

export function reportJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

type Row = string[];

function facts(report: Report, words: ReportWords): string[] {
  const { run } = report;
  const end = run.end ? dateTime(Date.parse(run.end)) : "…";
  const labels = Object.entries(run.labels).map(([k, v]) => `${k}=${v}`);
  return [
    `${dateTime(Date.parse(run.start))} – ${end}`,
    words.times(timeZone(Date.parse(run.start))),
    ...(labels.length > 0 ? [words.pair(words.labels, labels.join(", "))] : []),
    report.knee ? words.knee(number(report.knee.from), number(report.knee.to)) : words.noKnee,
    ...(run.notes ? [run.notes] : []),
  ];
}

function levelTable(report: Report, words: ReportWords): { head: Row; rows: Row[] } {
  const head = [words.level, words.rate, words.requests, "p50", "p95", "p99", words.errors, words.hotSpots];
  const begins = (l: ReportLevel) => dateTime(Date.parse(l.start));
  const rows = report.levels.map((l) => [
    l.index === report.baseline_level ? words.aside(begins(l), words.baseline) : begins(l),
    `${number(l.qps)}/s`,
    count(l.requests),
    duration(l.p50_ns),
    duration(l.p95_ns),
    duration(l.p99_ns),
    percent(l.error_share),
    l.hot_spots[0] && isClaim(l.verdict)
      ? `${l.hot_spots[0].service} · ${l.hot_spots[0].operation}`
      : l.verdict
        ? words.verdict(l.verdict)
        : "–",
  ]);
  return { head, rows };
}

function spotTable(level: ReportLevel, words: ReportWords): { head: Row; rows: Row[] } {
  const head = ["#", words.hotSpots, words.categories, words.critical, words.change, words.confidence];
  const rows = level.hot_spots.map((s) => [
    String(s.rank),
    [`${s.service} · ${s.operation}`, s.peer && `→ ${s.peer}`, s.instance].filter(Boolean).join(" "),
    words.category(s.category),
    duration(s.critical_path_ns_per_request),
    changeText(s, words),
    confidence(claimed(level.verdict, s)),
  ]);
  return { head, rows };
}

function changeText(spot: ReportSpot, words: ReportWords): string {
  const text = change(spot.change_ns_per_request);
  if (spot.change_ns_per_request === null || spot.interval_ns === null) return text;
  return words.aside(text, `${change(spot.interval_ns[0])} … ${change(spot.interval_ns[1])}`);
}

/** What the load generator saw, and hotspan in the same time; null for a run that was not imported. */
function generatorTable(report: Report, words: ReportWords): { head: Row; rows: Row[] } | null {
  const { generator, seen } = report;
  if (!generator) return null;
  const row = (name: string, figures: Figures) => [name, ...figureCells(figures, words.aside)];
  const named = (generator.named ?? []).map((f) =>
    row(f.what === "request" ? f.name : words.aside(f.name, words.generatorWhat(f.what)), f),
  );
  return {
    head: [words.who, ...figureHeads({ ...words, errors: words.errorCount })],
    rows: [
      row(words.saw(toolName(generator)), generator.total),
      ...(seen ? [row(words.saw("hotspan"), seen)] : []),
      ...named,
    ],
  };
}

/** The heading of a level's hot spots. */
function levelHeading(level: ReportLevel, words: ReportWords): string {
  return words.pair(`${number(level.qps)}/s`, level.verdict ? words.verdict(level.verdict) : words.hotSpots);
}

export function reportMarkdown(report: Report, words: ReportWords): string {
  const out = [`# ${inMarkdown(report.run.name)}`, ""];
  for (const line of facts(report, words)) out.push(inMarkdown(line), "");
  out.push(`## ${words.levels}`, "", ...markdownTable(levelTable(report, words)), "");
  const generator = generatorTable(report, words);
  if (generator) {
    out.push(`## ${words.generator}`, "", ...markdownTable(generator), "");
    for (const note of report.generator?.notes ?? []) out.push(inMarkdown(note), "");
  }
  for (const level of report.levels) {
    if (level.hot_spots.length === 0) continue;
    out.push(`## ${levelHeading(level, words)}`, "");
    out.push(...markdownTable(spotTable(level, words)), "");
    if (level.hot_spots[0].explanation) out.push(inMarkdown(level.hot_spots[0].explanation), "");
  }
  if (report.marks.length > 0) {
    out.push(`## ${words.marks}`, "");
    for (const m of report.marks) out.push(`- ${dateTime(Date.parse(m.time))} ${inMarkdown(m.name)}`);
    out.push("");
  }
  out.push(`<${report.source}>`, "");
  return out.join("\n");
}

function markdownTable({ head, rows }: { head: Row; rows: Row[] }): string[] {
  const line = (cells: Row) => `| ${cells.map(inMarkdown).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)];
}

/** Text that stays text in Markdown, also inside a table. */
function inMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]<>|#]/g, (c) => `\\${c}`).replace(/\s+/g, " ");
}

export function reportHtml(report: Report, words: ReportWords): string {
  const levels = report.levels.filter((l) => l.hot_spots.length > 0);
  const generator = generatorTable(report, words);
  const body = [
    `<h1>${inHtml(report.run.name)}</h1>`,
    ...facts(report, words).map((f) => `<p>${inHtml(f)}</p>`),
    chart(report, words),
    `<h2>${inHtml(words.levels)}</h2>`,
    htmlTable(levelTable(report, words)),
    ...(generator
      ? [
          `<h2>${inHtml(words.generator)}</h2>`,
          htmlTable(generator),
          ...(report.generator?.notes ?? []).map((note) => `<p>${inHtml(note)}</p>`),
        ]
      : []),
    ...levels.flatMap((l) => [
      `<h2>${inHtml(levelHeading(l, words))}</h2>`,
      htmlTable(spotTable(l, words)),
      `<p>${inHtml(l.hot_spots[0].explanation)}</p>`,
    ]),
    ...(report.marks.length > 0
      ? [
          `<h2>${inHtml(words.marks)}</h2><ul>`,
          ...report.marks.map((m) => `<li>${inHtml(`${dateTime(Date.parse(m.time))} ${m.name}`)}</li>`),
          "</ul>",
        ]
      : []),
    `<p class="dim">${inHtml(report.source)}</p>`,
  ];
  const data = JSON.stringify(report).replaceAll("<", "\\u003c");
  return [
    "<!doctype html>",
    `<html lang="${inHtml(words.language)}"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width"><title>${inHtml(report.run.name)} · hotspan</title>`,
    `<style>${STYLE}</style></head><body>`,
    ...body,
    `<script type="application/json" id="report">${data}</script>`,
    "</body></html>",
    "",
  ].join("\n");
}

const STYLE =
  "body{font:14px/1.5 system-ui,sans-serif;margin:32px auto;max-width:1040px;padding:0 16px;color:#17202b}" +
  "table{border-collapse:collapse;width:100%}th,td{padding:4px 8px;border-bottom:1px solid #dde2e8;text-align:left}" +
  "th{font-weight:500;color:#566270}h1{font-size:24px;margin:0 0 8px}h2{font-size:16px;margin:28px 0 6px}" +
  "p{margin:4px 0}.dim{color:#566270;margin-top:28px}svg{width:100%;height:auto;margin-top:16px}" +
  "svg text{font:11px system-ui,sans-serif;fill:#566270}@media print{body{margin:0}}";

function htmlTable({ head, rows }: { head: Row; rows: Row[] }): string {
  const cells = (tag: string, row: Row) => row.map((c) => `<${tag}>${inHtml(c)}</${tag}>`).join("");
  return [
    "<table><thead><tr>",
    cells("th", head),
    "</tr></thead><tbody>",
    ...rows.map((r) => `<tr>${cells("td", r)}</tr>`),
    "</tbody></table>",
  ].join("");
}

const WIDTH = 1000;
const HEIGHT = 90;

/** Throughput and p99 over time, each from zero to its largest value. */
function chart(report: Report, words: ReportWords): string {
  const line = report.timeline;
  if (line.length < 2) return "";
  const topRate = Math.max(...line.map((p) => p.requests_per_second));
  const topP99 = Math.max(...line.map((p) => p.p99_ns ?? 0));
  const points = (value: (p: Report["timeline"][number]) => number | null, top: number, y0: number) =>
    line
      .flatMap((p, i) => {
        const v = value(p);
        if (v === null) return [];
        const x = ((i / (line.length - 1)) * WIDTH).toFixed(1);
        return `${x},${(y0 + HEIGHT - (top > 0 ? v / top : 0) * HEIGHT).toFixed(1)}`;
      })
      .join(" ");
  const first = dateTime(Date.parse(line[0].time));
  const last = dateTime(Date.parse(line[line.length - 1].time));
  return [
    `<svg viewBox="0 0 ${WIDTH} 250" role="img" aria-label="${inHtml(words.chart)}">`,
    `<text x="0" y="12">${inHtml(`${words.rate} ≤ ${number(topRate)}/s`)}</text>`,
    `<polyline fill="none" stroke="#17202b" stroke-width="1.5" points="${points((p) => p.requests_per_second, topRate, 18)}"/>`,
    `<text x="0" y="132">${inHtml(`p99 ≤ ${duration(topP99)}`)}</text>`,
    `<polyline fill="none" stroke="#b54a00" stroke-width="1.5" points="${points((p) => p.p99_ns, topP99, 138)}"/>`,
    `<text x="0" y="246">${inHtml(first)}</text><text x="${WIDTH}" y="246" text-anchor="end">${inHtml(last)}</text></svg>`,
  ].join("");
}

function inHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (c) => entities[c]);
}

/** A file name that every system takes. */
export function fileName(name: string, extension: string): string {
  const plain = name
    .normalize("NFKD")
    .replace(/[^\p{L}\p{N}._-]+/gu, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 80);
  return `${plain || "run"}.${extension}`;
}

/** The timeline of the steps analysis as a report carries it. */
export function reportTimeline(
  t0Us: number,
  binUs: number,
  timeline: readonly { t_us: number; requests: number; p99_ns: number | null }[],
): Report["timeline"] {
  return timeline.map((b) => ({
    time: new Date((t0Us + b.t_us) / 1e3).toISOString(),
    requests_per_second: b.requests / (binUs / 1e6),
    p99_ns: b.p99_ns,
  }));
}
