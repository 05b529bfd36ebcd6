// A run to take along: one HTML file, Markdown, or JSON, made in the browser from what the page shows.

import type { Run } from "../api/runs";
import type { HotSpotsAnswer, LoadStep, StepsAnswer } from "../api/types";
import { type Translate, useText } from "../i18n";
import { healthyLevel, kneeOf } from "../lib/levels";
import {
  fileName,
  levelFigures,
  type Report,
  type ReportWords,
  reportHtml,
  reportJson,
  reportMarkdown,
  reportTimeline,
} from "../lib/report";
import { wholeBins } from "../lib/series";
import { microsOfT0 } from "../lib/time";
import { Popover } from "./popover";

export interface RunExportProps {
  run: Run;
  steps: StepsAnswer;
  levels: readonly LoadStep[];
  baseline: LoadStep | null;
  /** One for each level; undefined for the baseline and what is not there yet. */
  hot: readonly (HotSpotsAnswer | undefined)[];
}

export function RunExport(props: RunExportProps) {
  const { t, word, lang } = useText();
  const save = (extension: string, media: string, text: string) => {
    const address = URL.createObjectURL(new Blob([text], { type: media }));
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = fileName(props.run.name, extension);
    anchor.click();
    URL.revokeObjectURL(address);
  };
  const report = () => reportOf(props, lang);
  const words = wordsOf(t, word, lang);
  return (
    <Popover label={t("run.export")} name={t("run.export")} align="end">
      {(close) => (
        <div className="settings">
          <button
            type="button"
            onClick={() => {
              save("html", "text/html", reportHtml(report(), words));
              close();
            }}
          >
            {t("run.export.html")}
          </button>
          <button
            type="button"
            onClick={() => {
              save("md", "text/markdown", reportMarkdown(report(), words));
              close();
            }}
          >
            Markdown
          </button>
          <button
            type="button"
            onClick={() => {
              save("json", "application/json", reportJson(report()));
              close();
            }}
          >
            JSON
          </button>
        </div>
      )}
    </Popover>
  );
}

function reportOf({ run, steps, levels, baseline, hot }: RunExportProps, lang: "en" | "zh"): Report {
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
    baseline_level: (baseline ?? healthyLevel(levels))?.index ?? null,
    knee: kneeOf(levels),
    levels: levels.map((level, i) => ({
      ...levelFigures(level),
      verdict: hot[i]?.verdict ?? null,
      hot_spots: (hot[i]?.hotspots ?? []).slice(0, 5).map((h) => ({
        rank: h.rank,
        service: h.service,
        operation: h.operation,
        category: h.category,
        peer: h.peer,
        instance: h.instance,
        critical_path_ns_per_request: h.critical_path_ns_per_request,
        change_ns_per_request: h.change_ns_per_request,
        interval_ns: h.interval_ns ?? null,
        confidence: h.confidence,
        explanation: h.explanation[lang],
        exemplars: h.exemplars,
      })),
    })),
    timeline: reportTimeline(microsOfT0(steps.t0), steps.bin_us, wholeBins(steps)),
    generator: run.generator ?? null,
    seen: run.generator ? (steps.total ?? null) : null,
    source: location.href,
  };
}

function wordsOf(t: Translate, word: (prefix: string, w: string) => string, lang: string): ReportWords {
  return {
    language: lang === "zh" ? "zh-CN" : "en",
    levels: t("steps.title"),
    level: t("steps.level"),
    baseline: t("chips.baseline"),
    rate: t("chart.requests"),
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
