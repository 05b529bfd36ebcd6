// Marked stages of a run: each goes from its mark to the next one, the last to the run's end.

import type { Figures } from "./generator";
import type { LoadLevel } from "./levels";
import { microsOf, type Window } from "./time";

export interface Marked {
  id: string;
  name: string;
  end_time: string | null;
  marks: readonly { time: string; name: string }[];
}

export interface StageTime {
  /** Its number among the stages, in order of time. */
  index: number;
  /** The mark's name; a further stage of the same name has its number behind it. */
  key: string;
  /** Whether RUN@MARK means this stage: the first of its name. */
  isFirst: boolean;
  start: string;
  /** Null while it goes on. */
  end: string | null;
}

/** A stage with what was seen in it, as a load level has it. */
export interface Stage extends LoadLevel {
  key: string;
  isFirst: boolean;
  goesOn: boolean;
}

export function stageTimes({ marks, end_time }: Pick<Marked, "marks" | "end_time">): StageTime[] {
  const inOrder = [...marks].sort((a, b) => microsOf(a.time) - microsOf(b.time));
  const seen = new Map<string, number>();
  const stages = inOrder.map((mark, at) => {
    const n = (seen.get(mark.name) ?? 0) + 1;
    seen.set(mark.name, n);
    const key = n === 1 ? mark.name : `${mark.name} (${n})`;
    return { key, isFirst: n === 1, start: mark.time, end: inOrder[at + 1]?.time ?? end_time };
  });
  return stages
    .filter((s) => s.end === null || microsOf(s.end) > microsOf(s.start))
    .map((s, index) => ({ ...s, index }));
}

/** `until`: up to when a stage that goes on was asked about. */
export function stageOf(time: StageTime, seen: Figures, until: string): Stage {
  const { index, key, isFirst, start, end } = time;
  return {
    ...{ index, key, isFirst, start, end: end ?? until, goesOn: end === null },
    qps: seen.rate ?? 0,
    concurrency: seen.concurrency ?? 0,
    requests: seen.requests ?? 0,
    errors: seen.errors ?? 0,
    p50_ns: seen.p50_ns,
    p90_ns: seen.p90_ns,
    p95_ns: seen.p95_ns,
    p99_ns: seen.p99_ns,
    p999_ns: seen.p999_ns ?? null,
    transition: false,
  };
}

/** The stage that a window means: the one that begins with it and ends with it, or still goes on. */
export function stageIn<T extends Pick<Stage, "start" | "end" | "goesOn">>(
  stages: readonly T[],
  window: Window | null,
): T | null {
  if (!window) return null;
  return stages.find((s) => s.start === window.start && (s.goesOn || s.end === window.end)) ?? null;
}

/** What RUN or RUN@MARK means: the run, and the mark where there is one. */
export function splitStage<R extends Pick<Marked, "id">>(
  runs: readonly R[],
  chosen: string,
): { run: R; stage: string | null } | null {
  const whole = runs.find((r) => r.id === chosen);
  if (whole) return { run: whole, stage: null };
  const run = runs.find((r) => chosen.startsWith(`${r.id}@`));
  return run ? { run, stage: chosen.slice(run.id.length + 1) } : null;
}

/** Names of stages that both runs have, in the order of the later one. */
export function commonStages(a: Pick<Marked, "marks">, b: Pick<Marked, "marks">): string[] {
  const names = new Set(a.marks.map((m) => m.name));
  return [...new Set(b.marks.map((m) => m.name))].filter((name) => names.has(name));
}

/** The run to compare a stage with: the latest before this one that has a stage of the name, else the next after it. */
export function otherWithStage<R extends Marked & { start_time: string }>(
  runs: readonly R[],
  run: Pick<R, "id" | "start_time">,
  stage: string,
): R | null {
  const others = runs
    .filter((r) => r.id !== run.id && r.marks.some((m) => m.name === stage))
    .sort((a, b) => microsOf(a.start_time) - microsOf(b.start_time));
  const before = others.filter((r) => microsOf(r.start_time) < microsOf(run.start_time));
  return before.at(-1) ?? others.find((r) => !before.includes(r)) ?? null;
}
