// The marked stages of a run with what was seen in each: asked one by one, as the stages are exact times and no bins.

import { Link } from "wouter";
import type { Run, RunsAnswer } from "../api/runs";
import type { HotSpotsAnswer, StepsAnswer } from "../api/types";
import type { Interval } from "../charts/steps-chart";
import { useText } from "../i18n";
import { healthyLevel, steadyEnd } from "../lib/levels";
import { otherWithStage, type Stage, stageIn, stageOf, stageTimes } from "../lib/stages";
import type { Window } from "../lib/time";
import { type Answer, useAnswer, useAnswers } from "../state/answers";
import { useScope } from "../state/use-scope";
import { Panel } from "./panel";
import type { ClockOfRun } from "./run-clock";
import { everyMs, ofRun } from "./run-list";
import { TopSpot } from "./run-top-spot";
import { LevelsTable } from "./steps-table";

/** As the page asks for the levels of a run that goes on. */
const STEPS_MS = 2_000;

export interface StagesOfRun {
  stages: Stage[];
  /** How many there will be once all are answered. */
  marked: number;
  /** What stages are compared with, unless it is another window. */
  baseline: Stage | null;
  baselineWindow: Window | null;
  hot(stage: Stage): Answer<HotSpotsAnswer> | undefined;
  asked: Answer<StepsAnswer>[];
}

/** `chosen`: the baseline in the address, if there is one. */
export function useStages(run: Run, chosen: Window | null): StagesOfRun {
  const times = stageTimes(run);
  const isLast = (index: number) => index === times.length - 1;
  const asked = useAnswers<StepsAnswer>(
    "steps",
    times.map(({ start, end, index }) => ({
      params: { ...ofRun(run), start, end },
      everyMs: isLast(index) && everyMs(run) ? STEPS_MS : false,
    })),
  );
  const stages = times.flatMap((time, i) => {
    const { data } = asked[i];
    return data?.total ? [stageOf(time, data.total, data.meta.end)] : [];
  });
  // Before all are known it is not known which of them was still healthy.
  const isKnown = asked.every((a) => !a.loading);
  const baseline = stageIn(stages, chosen) ?? (chosen || stages.length < 2 ? null : healthyLevel(stages));
  const baselineWindow = baseline ? windowOf(baseline) : chosen;
  const compared = isKnown ? stages.filter((s) => s !== baseline) : [];
  const answers = useAnswers<HotSpotsAnswer>(
    "hotspots",
    compared.map((s) => ({
      params: {
        ...ofRun(run),
        start: s.start,
        end: s.goesOn ? null : s.end,
        baseline_start: baselineWindow?.start,
        baseline_end:
          baselineWindow && (baseline?.goesOn ? steadyEnd(baseline.start, baseline.end) : baselineWindow.end),
      },
      everyMs: isLast(s.index) && everyMs(run),
    })),
  );
  return {
    ...{ stages, marked: times.length, baseline, baselineWindow, asked },
    hot: (stage) => answers[compared.indexOf(stage)],
  };
}

export interface RunStagesProps {
  run: Run;
  of: StagesOfRun;
  clock: ClockOfRun;
  window: Interval | null;
  baseline: Interval | null;
  pick(stage: Stage, asBaseline: boolean): void;
}

export function RunStages({ run, of, clock, window, baseline, pick }: RunStagesProps) {
  const { t } = useText();
  const runs = useAnswer<RunsAnswer>("runs", {}).data?.runs ?? [];
  const failed = of.asked.find((a) => a.error);
  const state = {
    ...{ error: of.stages.length === 0 ? (failed?.error ?? null) : null, loading: of.asked.some((a) => a.loading) },
    ...{ old: false, retry: () => failed?.retry() },
  };
  return (
    <Panel title={t("run.stages")} note={t("run.stages.note")} answer={state} minHeight={96}>
      <LevelsTable
        levels={of.stages}
        title={t("run.stages")}
        first={t("run.stage")}
        name={(s) => (
          <span className="run-stage">
            <b>{s.key}</b> <Against run={run} runs={runs} stage={s} />
          </span>
        )}
        window={window}
        baseline={baseline}
        pick={pick}
        intended={clock.isKnown ? clock.p99 : undefined}
        more={{
          title: t("overview.hotspots"),
          cell: (s) => (s === of.baseline ? "–" : <TopSpot hot={of.hot(s)?.data} failed={of.hot(s)?.error} />),
        }}
      />
    </Panel>
  );
}

/** The way to this stage beside that of its name in another run. */
function Against({ run, runs, stage }: { run: Run; runs: readonly Run[]; stage: Stage }) {
  const { t } = useText();
  const { link } = useScope();
  const other = stage.isFirst ? otherWithStage(runs, run, stage.key) : null;
  if (!other) return null;
  const [a, b] = other.start_time < run.start_time ? [other, run] : [run, other];
  const at = (of: Run) => `${of.id}@${stage.key}`;
  return (
    <Link
      href={link("/runs/compare", { left: at(a), right: at(b), run: "", window: null, baseline: null })}
      aria-label={t("run.stage.compare", { stage: stage.key, name: other.name })}
    >
      {t("run.stage.against", { name: other.name })}
    </Link>
  );
}

export function windowOf(level: { start: string; end: string }): Window {
  return { start: level.start, end: level.end };
}
