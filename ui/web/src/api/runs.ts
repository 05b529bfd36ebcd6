// Stress-test runs as the HTTP API tells them (docs/api.md). Times are RFC 3339.

import type { Comparison } from "../lib/comparison";
import type { Generator } from "../lib/generator";
import type { Meta } from "./types";

export interface Mark {
  time: string;
  name: string;
}

export interface Run {
  id: string;
  name: string;
  start_time: string;
  /** Null while it runs. */
  end_time: string | null;
  labels: Record<string, string>;
  notes: string;
  marks: Mark[];
  generator?: Generator | null;
}

export interface RunsAnswer {
  runs: Run[];
}

export interface CompareRunsAnswer extends Comparison {
  meta?: Meta;
}
