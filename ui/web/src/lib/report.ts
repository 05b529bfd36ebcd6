// A run on paper: what its page shows, and the same for programs.

import { change, confidence, count, dateTime, duration, number, percent, timeZone, value } from "./format";
import { type Figures, figureCells, figureHeads, type Generator, toolName } from "./generator";
import type { LoadLevel } from "./levels";
import { type Block, inHtml, type Paper, type PaperTable } from "./paper";
import { claimed, isClaim } from "./verdict";

export interface ReportLevel {
  index: number;
  start: string;
  end: string;
  qps: number;
  concurrency: number;
  requests: number;
  error_share: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  p999_ns: number | null;
  /** From when requests were meant to be sent; null where they do not tell it. */
  p99_intended_ns: number | null;
  /** Null for the baseline, and where the server gave no answer. */
  verdict: string | null;
  hot_spots: ReportSpot[];
}

/** From a mark to the next one. */
export interface ReportStage extends ReportLevel {
  name: string;
  goes_on: boolean;
}

export interface ReportSpot {
  rank: number;
  service: string;
  operation: string;
  category: string;
  peer: string | null;
  /** The only one that has it. */
  instance: string | null;
  attribute: { key: string; value: unknown } | null;
  /** No request waits for it: `callers` are then the senders of messages. */
  off_path: boolean;
  critical_path_ns_per_request: number;
  change_ns_per_request: number | null;
  interval_ns: [number, number] | null;
  confidence: number | null;
  explanation: string;
  callers: [string, string][];
  /** Slower only because of it. */
  victims: [string, string][];
  /** What metrics of its service say. */
  vitals: ReportSign<{ sign: string; metric: string; instance: string; window: number; baseline: number | null }>[];
  /** What its service's log says differently. */
  logs: ReportSign<{ severity: string; pattern: string; operation: string; per_call: number }>[];
  exemplars: string[];
}

type ReportSign<S> = S & { explanation: string };

/** One operation over all levels, in their order. */
export interface ReportMatrixRow {
  service: string;
  operation: string;
  category: string;
  peer: string | null;
  span_kind: string;
  levels: {
    critical_path_ns_per_request: number | null;
    change_ns_per_request: number | null;
    confidence: number | null;
  }[];
}

export interface Report {
  format: "hotspan.run-report";
  version: 1;
  run: { id: string; name: string; start: string; end: string | null; labels: Record<string, string>; notes: string };
  marks: { time: string; name: string }[];
  /** From when latencies count; `total` has both clocks where requests tell when they were meant to be sent. */
  clock: { known: boolean; text: string; total: { p99_ns: number; p99_intended_ns: number } | null } | null;
  baseline_level: number | null;
  knee: { from: number; to: number } | null;
  levels: ReportLevel[];
  /** Marked ones. */
  stages: ReportStage[];
  /** Which operation's time on the critical path grew from level to level. */
  matrix: ReportMatrixRow[];
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
  stages: string;
  stage: string;
  /** The p99 from the intended start. */
  intended: string;
  baseline: string;
  rate: string;
  concurrency: string;
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
  /** What an import notes, in the reader's language. */
  note(text: string): string;
  generatorWhat(what: string): string;
  knee(from: string, to: string): string;
  noKnee: string;
  none: string;
  matrix: string;
  operation: string;
  comma: string;
  entries: string;
  senders: string;
  victims: string;
  vitals: string;
  logs: string;
  offPath: string;
  only(instance: string): string;
  labels: string;
  marks: string;
  verdict(name: string): string;
  category(name: string): string;
  chart: string;
}

export function levelFigures(level: LoadLevel): Omit<ReportLevel, "verdict" | "hot_spots" | "p99_intended_ns"> {
  return {
    index: level.index,
    start: level.start,
    end: level.end,
    qps: level.qps,
    concurrency: level.concurrency,
    requests: level.requests,
    error_share: level.requests > 0 ? level.errors / level.requests : 0,
    p50_ns: level.p50_ns,
    p90_ns: level.p90_ns,
    p95_ns: level.p95_ns,
    p99_ns: level.p99_ns,
    p999_ns: level.p999_ns,
  };
}

function facts(report: Report, words: ReportWords): string[] {
  const { run } = report;
  const end = run.end ? dateTime(Date.parse(run.end)) : "…";
  const labels = Object.entries(run.labels).map(([k, v]) => `${k}=${v}`);
  return [
    `${dateTime(Date.parse(run.start))} – ${end}`,
    words.times(timeZone(Date.parse(run.start))),
    ...(labels.length > 0 ? [words.pair(words.labels, labels.join(", "))] : []),
    report.knee ? words.knee(number(report.knee.from), number(report.knee.to)) : words.noKnee,
    ...clockFacts(report, words),
    ...(run.notes ? [run.notes] : []),
  ];
}

/** From when latencies count, and what that makes of the run's p99. */
function clockFacts({ clock }: Report, words: ReportWords): string[] {
  if (!clock) return [];
  const { total, text } = clock;
  if (!total) return [text];
  const p99 = words.pair("p99", duration(total.p99_ns));
  return [[p99, words.pair(words.intended, duration(total.p99_intended_ns))].join(words.comma), text];
}

/** Of load levels, or of stages, which have names. */
function levelTable(report: Report, levels: readonly (ReportLevel | ReportStage)[], words: ReportWords): PaperTable {
  const times = ["p50", "p90", "p95", "p99", "p99.9"];
  const isTold = report.clock?.known === true;
  if (isTold) times.push(words.intended);
  const first = levels.some((l) => "name" in l) ? words.stage : words.level;
  const head = [first, words.rate, words.concurrency, words.requests, ...times, words.errors, words.hotSpots];
  const begins = (l: ReportLevel) => dateTime(Date.parse(l.start));
  const nameOf = (l: ReportLevel | ReportStage) => {
    if ("name" in l) return words.aside(l.name, begins(l));
    return l.index === report.baseline_level ? words.aside(begins(l), words.baseline) : begins(l);
  };
  const rows = levels.map((l) => [
    nameOf(l),
    `${number(l.qps)}/s`,
    number(l.concurrency),
    count(l.requests),
    duration(l.p50_ns),
    duration(l.p90_ns),
    duration(l.p95_ns),
    duration(l.p99_ns),
    duration(l.p999_ns),
    ...(isTold ? [duration(l.p99_intended_ns)] : []),
    percent(l.error_share),
    l.hot_spots[0] && isClaim(l.verdict)
      ? `${l.hot_spots[0].service} · ${l.hot_spots[0].operation}`
      : l.verdict
        ? words.verdict(l.verdict)
        : "–",
  ]);
  return { head, rows };
}

function spotTable(level: ReportLevel, words: ReportWords): PaperTable {
  const head = ["#", words.hotSpots, words.categories, words.critical, words.change, words.confidence];
  const rows = level.hot_spots.map((s) => [
    String(s.rank),
    spotName(s, words),
    words.category(s.category),
    duration(s.critical_path_ns_per_request),
    changeText(s, words),
    confidence(claimed(level.verdict, s)),
  ]);
  return { head, rows };
}

/** A hot spot with what it is confined to. */
function spotName(spot: ReportSpot, words: ReportWords): string {
  const confined = [
    spot.instance && words.only(spot.instance),
    spot.attribute && `${spot.attribute.key} = ${value(spot.attribute.value)}`,
    spot.off_path && words.offPath,
  ].filter(Boolean);
  return confined.length > 0 ? words.aside(nameOf(spot), confined.join(words.comma)) : nameOf(spot);
}

function changeText(spot: ReportSpot, words: ReportWords): string {
  const text = change(spot.change_ns_per_request);
  if (spot.change_ns_per_request === null || spot.interval_ns === null) return text;
  return words.aside(text, `${change(spot.interval_ns[0])} … ${change(spot.interval_ns[1])}`);
}

/** What the load generator saw, and hotspan in the same time; null for a run that was not imported. */
function generatorTable(report: Report, words: ReportWords): PaperTable | null {
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

/** The heading of a level's or a stage's hot spots. */
function levelHeading(level: ReportLevel | ReportStage, words: ReportWords): string {
  const name = "name" in level ? `${words.stage} ${level.name}` : `${number(level.qps)}/s`;
  return words.pair(name, level.verdict ? words.verdict(level.verdict) : words.hotSpots);
}

/** What is known of a hot spot beyond its figures, a line each. */
function evidence(spot: ReportSpot, words: ReportWords): string[] {
  const names = (of: [string, string][]) => of.map((name) => name.join(" · ")).join(words.comma);
  const line = (name: string, text: string) => (text ? [words.pair(name, text)] : []);
  return [
    ...line(spot.off_path ? words.senders : words.entries, names(spot.callers)),
    ...line(words.victims, names(spot.victims)),
    ...spot.vitals.flatMap((v) => line(words.vitals, v.explanation)),
    ...spot.logs.flatMap((l) => line(words.logs, l.explanation)),
  ];
}

function spotBlocks(level: ReportLevel, words: ReportWords): Block[] {
  const told = level.hot_spots.flatMap((spot) => {
    const list = evidence(spot, words);
    const name = `#${spot.rank} ${nameOf(spot)}`;
    const text = spot.explanation ? words.pair(name, spot.explanation) : name;
    return [{ text }, ...(list.length > 0 ? [{ list }] : [])];
  });
  return [{ heading: levelHeading(level, words) }, { table: spotTable(level, words) }, ...told];
}

function matrixTable(report: Report, words: ReportWords): PaperTable {
  const levels = report.levels.map((l) => {
    const rate = `${number(l.qps)}/s`;
    return l.index === report.baseline_level ? words.aside(rate, words.baseline) : rate;
  });
  const cell = (of: ReportMatrixRow["levels"][number]) => {
    const { critical_path_ns_per_request: ns, change_ns_per_request: by } = of;
    return ns === null || by === null ? duration(ns) : words.aside(duration(ns), change(by));
  };
  return {
    head: [words.operation, words.categories, ...levels],
    rows: report.matrix.map((row) => [nameOf(row), words.category(row.category), ...row.levels.map(cell)]),
  };
}

function nameOf({ service, operation, peer }: { service: string; operation: string; peer: string | null }): string {
  return `${service} · ${operation}${peer ? ` → ${peer}` : ""}`;
}

export function reportPaper(report: Report, words: ReportWords): Paper {
  const generator = generatorTable(report, words);
  const part = (heading: string, ...blocks: Block[]): Block[] => [{ heading }, ...blocks];
  return {
    language: words.language,
    title: report.run.name,
    source: report.source,
    data: report,
    blocks: [
      ...facts(report, words).map((text) => ({ text })),
      { drawing: chart(report, words) },
      ...part(words.levels, { table: levelTable(report, report.levels, words) }),
      ...(report.stages.length > 0 ? part(words.stages, { table: levelTable(report, report.stages, words) }) : []),
      ...(generator
        ? part(
            words.generator,
            { table: generator },
            ...(report.generator?.notes ?? []).map((note) => ({ text: words.note(note) })),
          )
        : []),
      ...(report.matrix.length > 0 ? part(words.matrix, { table: matrixTable(report, words) }) : []),
      ...[...report.levels, ...report.stages]
        .filter((l) => l.hot_spots.length > 0)
        .flatMap((l) => spotBlocks(l, words)),
      ...(report.marks.length > 0
        ? part(words.marks, { list: report.marks.map((m) => `${dateTime(Date.parse(m.time))} ${m.name}`) })
        : []),
    ],
  };
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
