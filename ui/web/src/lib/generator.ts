// What a load generator saw of a run, as the cells of a table: the same on the page and in a report.

import { count, duration, percent, rate } from "./format";

/** What is not known is null. Times in ns, the rate per second. */
export interface Figures {
  requests: number | null;
  errors: number | null;
  rate: number | null;
  /** The mean number of requests in the system; no load generator tells it. */
  concurrency?: number | null;
  mean_ns: number | null;
  p50_ns: number | null;
  p90_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  p999_ns?: number | null;
  max_ns?: number | null;
}

export interface NamedFigures extends Figures {
  name: string;
  what: "request" | "transaction" | "selection";
}

export interface Generator {
  tool: string;
  version: string | null;
  format: string | null;
  total: Figures;
  /** Not in lists of runs. */
  named?: NamedFigures[];
  notes: string[];
}

const TIMES = ["mean_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns"] as const;
const SHORT = { p50_ns: "p50", p90_ns: "p90", p95_ns: "p95", p99_ns: "p99", p999_ns: "p99.9", max_ns: "max" };

/** The columns of figures: requests, errors, rate, times. */
export function figureHeads(words: { requests: string; errors: string; rate: string; mean: string }): string[] {
  const times = TIMES.map((time) => (time === "mean_ns" ? words.mean : SHORT[time]));
  return [words.requests, words.errors, words.rate, ...times];
}

export function figureCells(figures: Figures, aside: (text: string, aside: string) => string): string[] {
  const { requests, errors } = figures;
  const failed = errors === null ? "–" : count(errors);
  return [
    requests === null ? "–" : count(requests),
    errors !== null && requests ? aside(failed, percent(errors / requests)) : failed,
    rate(figures.rate),
    ...TIMES.map((time) => duration(figures[time])),
  ];
}

export function toolName(generator: Generator): string {
  return [generator.tool, generator.version].filter(Boolean).join(" ");
}
