// A run to take along.

import type { Run } from "../api/runs";
import type { HotSpotsAnswer, LoadStep, StepsAnswer } from "../api/types";
import { type Translate, translateServer, useText } from "../i18n";
import { healthyLevel, kneeOf } from "../lib/levels";
import {
  levelFigures,
  type Report,
  type ReportLevel,
  type ReportWords,
  reportPaper,
  reportTimeline,
} from "../lib/report";
import { wholeBins } from "../lib/series";
import type { Stage } from "../lib/stages";
import type { MatrixRow } from "../lib/step-matrix";
import { microsOfT0 } from "../lib/time";
import { Export } from "./export";
import type { ClockOfRun } from "./run-clock";

export interface RunExportProps {
  run: Run;
  steps: StepsAnswer;
  levels: readonly LoadStep[];
  baseline: LoadStep | null;
  /** One for each level; undefined for the baseline and what is not there yet. */
  hot: readonly (HotSpotsAnswer | undefined)[];
  stages: readonly Stage[];
  hotOfStages: readonly (HotSpotsAnswer | undefined)[];
  clock: ClockOfRun;
  matrix: readonly MatrixRow[];
}

export function RunExport(props: RunExportProps) {
  const { t, word, lang } = useText();
  return <Export name={props.run.name} paper={() => reportPaper(reportOf(props, lang), wordsOf(t, word, lang))} />;
}

function reportOf(props: RunExportProps, lang: "en" | "zh"): Report {
  const { run, steps, levels, baseline, hot, stages, hotOfStages, clock, matrix } = props;
  const told = clock.answer;
  const level = (of: LoadStep, spots: HotSpotsAnswer | undefined): ReportLevel => ({
    ...levelFigures(of),
    p99_intended_ns: clock.p99(of) ?? null,
    ...hotSpotsOf(spots, lang),
  });
  return {
    format: "hotspan.run-report",
    version: 1,
    run: {
      id: run.id,
      name: run.name,
      start: run.start_time,
      end: run.end_time,
      labels: run.labels ?? {},
      notes: run.notes ?? "",
    },
    marks: run.marks ?? [],
    clock: told ? { known: told.known, text: told.clock[lang], total: told.total } : null,
    baseline_level: (baseline ?? healthyLevel(levels))?.index ?? null,
    knee: kneeOf(levels),
    levels: levels.map((l, i) => level(l, hot[i])),
    stages: stages.map((s, i) => ({ name: s.key, goes_on: s.goesOn, ...level(s, hotOfStages[i]) })),
    matrix: matrix.map(({ spot, cells }) => ({
      service: spot.service,
      operation: spot.operation,
      category: spot.category,
      peer: spot.peer,
      span_kind: spot.span_kind,
      levels: cells.map((cell) => ({
        critical_path_ns_per_request: cell.ns,
        change_ns_per_request: cell.change,
        confidence: cell.confidence,
      })),
    })),
    timeline: reportTimeline(microsOfT0(steps.t0), steps.bin_us, wholeBins(steps)),
    generator: run.generator ?? null,
    seen: run.generator ? (steps.total ?? null) : null,
    source: location.href,
  };
}

/** The first hot spots of a level or a stage. */
function hotSpotsOf(hot: HotSpotsAnswer | undefined, lang: "en" | "zh"): Pick<ReportLevel, "verdict" | "hot_spots"> {
  return {
    verdict: hot?.verdict ?? null,
    hot_spots: (hot?.hotspots ?? []).slice(0, 5).map((h) => ({
      rank: h.rank,
      service: h.service,
      operation: h.operation,
      category: h.category,
      peer: h.peer,
      instance: h.instance,
      attribute: h.attribute,
      off_path: h.off_path ?? false,
      critical_path_ns_per_request: h.critical_path_ns_per_request,
      change_ns_per_request: h.change_ns_per_request,
      interval_ns: h.interval_ns ?? null,
      confidence: h.confidence,
      explanation: h.explanation[lang],
      callers: h.callers,
      victims: h.victims ?? [],
      vitals: (h.vitals ?? []).map((v) => ({ ...v, explanation: v.explanation[lang] })),
      logs: (h.logs ?? []).map((l) => ({ ...l, explanation: l.explanation[lang] })),
      exemplars: h.exemplars,
    })),
  };
}

function wordsOf(t: Translate, word: (prefix: string, w: string) => string, lang: "en" | "zh"): ReportWords {
  return {
    language: lang === "zh" ? "zh-CN" : "en",
    levels: t("steps.title"),
    level: t("steps.level"),
    stages: t("run.stages"),
    stage: t("run.stage"),
    intended: t("run.clock.p99"),
    baseline: t("chips.baseline"),
    rate: t("chart.requests"),
    concurrency: t("capacity.concurrency"),
    requests: t("col.requests"),
    errors: t("col.errors"),
    hotSpots: t("overview.hotspots"),
    change: t("col.change"),
    confidence: t("col.confidence"),
    critical: t("col.critical"),
    categories: t("col.category"),
    generator: t("run.generator"),
    who: t("run.generator.who"),
    errorCount: t("col.errorcount"),
    mean: t("run.generator.mean"),
    times: (zone) => t("run.export.times", { zone }),
    pair: (name, value) => t("text.pair", { name, value }),
    aside: (text, aside) => t("text.aside", { text, aside }),
    saw: (name) => t("run.generator.saw", { name }),
    note: (text) => translateServer(lang, text) ?? text,
    matrix: t("run.matrix"),
    operation: t("col.operation"),
    comma: t("text.comma"),
    entries: t("hotspot.entries"),
    senders: t("hotspot.senders"),
    victims: t("hotspot.victims"),
    vitals: t("hotspot.vitals"),
    logs: t("hotspot.logs"),
    offPath: t("hotspot.off_path"),
    only: (value) => t("hotspot.instance", { value }),
    generatorWhat: (what) => word("generatorwhat", what),
    knee: (from, to) => t("run.knee", { from, to }),
    noKnee: t("run.noknee"),
    none: t("overview.hotspots.empty"),
    labels: t("runs.labels"),
    marks: t("run.marks"),
    verdict: (v) => word("verdictname", v),
    category: (c) => word("category", c),
    chart: t("overview.load"),
  };
}
