// Two runs set against each other at matched load: figures as text, and the comparison on paper.

import { change as changeOf, count, dateTime, duration, number, percent, timeZone } from "./format";
import type { Paper, PaperTable } from "./paper";

type Outcome = "better" | "worse" | "same" | "no_evidence";

/** One figure of both sides; durations in ns, rates of errors as shares, throughput per second. `low` and `high` are a 95 % interval. */
export interface Measured {
  measure: string;
  before: number | null;
  after: number | null;
  change: number | null;
  low: number | null;
  high: number | null;
  /** The false-discovery rate at which the change would just count. */
  q: number | null;
}

export interface ComparedOperation extends Partial<Measured> {
  service: string;
  operation: string;
  kind: string | null;
  peer: string | null;
  outcome: Outcome;
  reason: string | null;
  calls_a: number;
  calls_b: number;
  measures: Measured[];
  /** Typical traces that show the change, of either side. */
  exemplars_a?: string[];
  exemplars_b?: string[];
}

/** A load that both sides carried. */
export interface MatchedLoad {
  /** With a fixed number of users the rate is a result: then levels with as many requests in the system belong together. */
  matched_by: "rate" | "concurrency";
  qps_a: number;
  qps_b: number;
  concurrency_a: number;
  concurrency_b: number;
  /** Only where matched by concurrency, and of the same requests. */
  throughput: Throughput | null;
  seconds_a: number;
  seconds_b: number;
}

export interface Throughput extends Measured {
  before: number;
  after: number;
  outcome: Outcome;
}

export interface ComparedSide {
  start: string;
  end: string;
  requests: number;
  errors: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  levels: { qps: number; start: string; end: string }[];
  /** Latency from when requests were meant to be sent; null where none tells it. */
  intended?: { p50_intended_ns: number; p99_intended_ns: number } | null;
}

export interface Comparison {
  verdict: Outcome | "not_enough_data";
  /** Operations, of all that were found, listed or not. */
  worse: number;
  better: number;
  same: number;
  no_evidence: number;
  too_few_calls: number;
  only_in_a: number;
  only_in_b: number;
  found: number;
  /** What counts as no change: a change of this share, or of so many nanoseconds. */
  limits: { ratio: number; latency_ns: number };
  a: ComparedSide;
  b: ComparedSide;
  /** The load levels that both have, which alone are compared. */
  matched: MatchedLoad[];
  operations: ComparedOperation[];
  /** From when the latencies count, in words. */
  clock?: { known: boolean; en: string; zh: string } | null;
}

type Measure = string | null | undefined;

export function figure(measure: Measure, v: number | null | undefined): string {
  if (v == null) return "–";
  if (measure === "throughput") return `${number(v)}/s`;
  return measure === "error_rate" ? percent(v) : duration(v);
}

export function signed(measure: Measure, v: number | null | undefined): string {
  if (v == null) return "–";
  const plus = v > 0 ? "+" : v < 0 ? "−" : "";
  if (measure === "throughput") return `${plus}${number(Math.abs(v))}/s`;
  return measure === "error_rate" ? `${plus}${number(Math.abs(v) * 100)} pp` : changeOf(v);
}

/** The 95 % interval of a change; null where there is none. */
export function interval({ measure, low, high }: Partial<Measured>): string | null {
  return low == null || high == null ? null : `${signed(measure, low)} … ${signed(measure, high)}`;
}

export function ratio(o: Partial<Measured>): number | null {
  return o.before && o.after != null && o.before > 0 ? o.after / o.before : null;
}

export function ratioText(r: number | null): string {
  return r === null ? "–" : `× ${number(r)}`;
}

/** A false-discovery rate; below a thousandth its size says nothing more. */
export function chance(q: number | null | undefined): string {
  if (q == null) return "–";
  return q < 0.001 ? "< 0.1 %" : percent(q);
}

/** How many operations could be compared. */
export function judged(c: Pick<Comparison, "worse" | "better" | "same" | "no_evidence">): number {
  return c.worse + c.better + c.same + c.no_evidence;
}

/** The load whose throughput changed most in the direction of the verdict; null where throughput has no part in it. */
export function throughputOf({ verdict, matched }: Pick<Comparison, "verdict" | "matched">): MatchedLoad | null {
  const part = ({ throughput: of }: MatchedLoad) =>
    of && of.outcome === verdict && of.before > 0 ? Math.abs(of.after / of.before - 1) : 0;
  const changed = verdict === "worse" || verdict === "better" ? matched.filter((m) => part(m) > 0) : [];
  return changed.reduce<MatchedLoad | null>((most, m) => (most && part(most) >= part(m) ? most : m), null);
}

/** How much throughput changed, as a part of what it was before. */
export function throughputShare({ before, after }: Throughput): number {
  return Math.abs(after / before - 1);
}

export interface ComparisonReport extends Comparison {
  format: "hotspan.run-comparison";
  version: 1;
  /** Ids and names of the two, the earlier one first. */
  runs: { id: string; name: string }[];
  source: string;
}

/** The words of a comparison in one language. */
export interface ComparisonWords {
  language: string;
  times(zone: string): string;
  /** The sentence that says how it ended. */
  sentence: string;
  verdict: string;
  left: string;
  right: string;
  sides: string;
  time: string;
  levels: string;
  noLevels: string;
  matchedBy: string;
  matched(by: MatchedLoad["matched_by"]): string;
  rate: string;
  concurrency: string;
  throughput: string;
  requests: string;
  errors: string;
  operations: string;
  operation: string;
  outcome(o: { outcome: Outcome; reason?: string | null }): string;
  /** How many operations were found and judged, a sentence each. */
  counted: string[];
  by: string;
  measure(name: string): string;
  change: string;
  interval: string;
  factor: string;
  chance: string;
  callsLeft: string;
  callsRight: string;
  /** Every measure of what changed. */
  measures: string;
  examples: string;
  /** The p99 from the intended start. */
  intended: string;
  comma: string;
}

export function comparisonPaper(report: ComparisonReport, words: ComparisonWords): Paper {
  const changed = report.operations.filter((o) => o.outcome === "worse" || o.outcome === "better");
  const exemplified = changed.filter((o) => (o.exemplars_a ?? []).length + (o.exemplars_b ?? []).length > 0);
  return {
    language: words.language,
    title: report.runs.map((r) => r.name).join(" → "),
    source: report.source,
    data: report,
    blocks: [
      { text: words.sentence },
      { text: words.times(timeZone(Date.parse(report.a.start))) },
      ...(report.clock ? [{ text: report.clock[words.language === "en" ? "en" : "zh"] }] : []),
      { heading: words.sides },
      { table: sideTable(report, words) },
      ...(report.matched.length > 0 ? [{ heading: words.levels }, { table: levelTable(report.matched, words) }] : []),
      { heading: words.operations },
      ...words.counted.map((text) => ({ text })),
      { table: operationTable(report.operations, words) },
      ...(changed.length > 0 ? [{ heading: words.measures }, { table: measureTable(changed, words) }] : []),
      ...(exemplified.length > 0 ? [{ heading: words.examples }, { table: exampleTable(exemplified, words) }] : []),
    ],
  };
}

function sideTable({ a, b, matched, runs }: ComparisonReport, words: ComparisonWords): PaperTable {
  const isTold = Boolean(a.intended ?? b.intended);
  const row = (name: string, at: number, side: ComparedSide, rates: number[]) => [
    name,
    runs[at].name,
    `${dateTime(Date.parse(side.start))} – ${dateTime(Date.parse(side.end))}`,
    rates.map((rate) => `${number(rate)}/s`).join(words.comma) || words.noLevels,
    count(side.requests),
    percent(side.requests > 0 ? side.errors / side.requests : 0),
    duration(side.p50_ns),
    duration(side.p90_ns),
    duration(side.p99_ns),
    ...(isTold ? [duration(side.intended?.p99_intended_ns)] : []),
  ];
  const told = isTold ? [words.intended] : [];
  return {
    head: ["", "", words.time, words.levels, words.requests, words.errors, "p50", "p90", "p99", ...told],
    rows: [
      row(
        words.left,
        0,
        a,
        matched.map((m) => m.qps_a),
      ),
      row(
        words.right,
        1,
        b,
        matched.map((m) => m.qps_b),
      ),
    ],
  };
}

/** By what levels were matched, and their throughput where that is no load. */
function levelTable(matched: readonly MatchedLoad[], words: ComparisonWords): PaperTable {
  const both = (a: string, b: string) => `${a} → ${b}`;
  return {
    head: [
      ...[words.matchedBy, words.rate, words.concurrency],
      ...[words.throughput, words.change, words.interval, words.factor, words.chance],
    ],
    rows: matched.map(({ throughput: of, ...m }) => [
      words.matched(m.matched_by),
      both(`${number(m.qps_a)}/s`, `${number(m.qps_b)}/s`),
      both(number(m.concurrency_a), number(m.concurrency_b)),
      of ? words.outcome({ outcome: of.outcome }) : "–",
      of ? signed(of.measure, of.change) : "–",
      (of && interval(of)) ?? "–",
      of ? ratioText(ratio(of)) : "–",
      of ? chance(of.q) : "–",
    ]),
  };
}

function nameOf(o: ComparedOperation): string {
  return `${o.service} · ${o.operation}${o.peer ? ` → ${o.peer}` : ""}`;
}

function measureCells(m: Partial<Measured>, words: ComparisonWords): string[] {
  return [
    m.measure ? words.measure(m.measure) : "–",
    figure(m.measure, m.before),
    figure(m.measure, m.after),
    signed(m.measure, m.change),
    interval(m) ?? "–",
  ];
}

function operationTable(operations: readonly ComparedOperation[], words: ComparisonWords): PaperTable {
  const measure = [words.by, words.left, words.right, words.change, words.interval];
  return {
    head: [words.operation, words.verdict, ...measure, words.factor, words.chance, words.callsLeft, words.callsRight],
    rows: operations.map((o) => [
      nameOf(o),
      words.outcome(o),
      ...measureCells(o, words),
      ratioText(ratio(o)),
      chance(o.q),
      count(o.calls_a),
      count(o.calls_b),
    ]),
  };
}

function measureTable(operations: readonly ComparedOperation[], words: ComparisonWords): PaperTable {
  return {
    head: [words.operation, words.by, words.left, words.right, words.change, words.interval, words.chance],
    rows: operations.flatMap((o) => o.measures.map((m) => [nameOf(o), ...measureCells(m, words), chance(m.q)])),
  };
}

/** Typical traces of both sides, the nearest to the median first. */
function exampleTable(operations: readonly ComparedOperation[], words: ComparisonWords): PaperTable {
  const ids = (of: string[] | undefined) => (of ?? []).join(words.comma) || "–";
  return {
    head: [words.operation, words.left, words.right],
    rows: operations.map((o) => [nameOf(o), ids(o.exemplars_a), ids(o.exemplars_b)]),
  };
}
