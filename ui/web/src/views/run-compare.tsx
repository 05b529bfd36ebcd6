// Two runs (or stages of runs) against each other at matched load: what got better, what worse, and what cannot be told.

import type { CompareRunsAnswer, Run, RunsAnswer } from "../api/runs";
import { type Translate, useText } from "../i18n";
import {
  type ComparisonReport,
  type ComparisonWords,
  comparisonPaper,
  judged,
  throughputOf,
  throughputShare,
} from "../lib/comparison";
import { count, duration, number, percent } from "../lib/format";
import { commonStages, splitStage } from "../lib/stages";
import { Export } from "../parts/export";
import { Panel } from "../parts/panel";
import { RunDiffLevels } from "../parts/run-diff-levels";
import { RunDiffTable } from "../parts/run-diff-table";
import { Segmented } from "../parts/segmented";
import { Table } from "../parts/table";
import { windowText } from "../parts/top-bar";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";

const OUTCOMES = ["worse", "better", "same", "no_evidence"] as const;

export default function CompareRuns() {
  const { t } = useText();
  const { scope, change } = useScope();
  const runs = useAnswer<RunsAnswer>("runs", {}).data?.runs ?? [];
  const { left, right } = scope;
  const both = left !== "" && right !== "";
  const answer = useAnswer<CompareRunsAnswer>("runs/compare", { a: left, b: right }, { off: !both });
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t("page.compare")}</h1>
        <div className="picker">
          {(["left", "right"] as const).map((side) => (
            <label key={side}>
              {t(`compare.${side}`)}
              <select value={scope[side]} onChange={(e) => change({ [side]: e.target.value, focus: "" })}>
                <option value="">{t("compare.choose")}</option>
                {optionsOf(runs, scope[side]).map((o) => (
                  <option key={o.value} value={o.value}>
                    {o.text}
                  </option>
                ))}
              </select>
            </label>
          ))}
          <button type="button" disabled={!both} onClick={() => change({ left: right, right: left, focus: "" })}>
            {t("compare.swap")}
          </button>
          {answer.data && !answer.old && (
            <ComparisonExport answer={answer.data} runs={[left, right].map((id) => ({ id, name: nameOf(runs, id) }))} />
          )}
        </div>
      </div>
      <StageChoice runs={runs} />
      {both ? (
        <Compared answer={answer} />
      ) : (
        <Panel title={t("compare.operations")}>
          <p className="empty">{t("compare.choose.two")}</p>
        </Panel>
      )}
    </div>
  );
}

/** The stages that both runs have by name, and all of both. */
function StageChoice({ runs }: { runs: readonly Run[] }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const [a, b] = [scope.left, scope.right].map((chosen) => splitStage(runs, chosen));
  const names = a && b ? commonStages(a.run, b.run) : [];
  if (!a || !b || names.length === 0) return null;
  const now = a.stage === b.stage ? (a.stage ?? "") : null;
  const at = (run: Run, stage: string) => (stage === "" ? run.id : `${run.id}@${stage}`);
  return (
    <div className="picker">
      <Segmented
        name={t("compare.stages")}
        // Two stages of other names are none of these.
        value={now ?? "?"}
        options={[{ value: "", label: t("compare.stages.all") }, ...names.map((n) => ({ value: n, label: n }))]}
        onChange={(stage) => change({ left: at(a.run, stage), right: at(b.run, stage), focus: "" })}
      />
    </div>
  );
}

/** The name of a run, or of a stage of one. */
function nameOf(runs: readonly Run[], chosen: string): string {
  return optionsOf(runs, chosen).find((o) => o.value === chosen)?.text ?? chosen;
}

/** Runs and their stages; what the address names stays choosable although the list may not have it. */
function optionsOf(runs: readonly Run[], chosen: string): { value: string; text: string }[] {
  const options = runs.flatMap((run) => [
    { value: run.id, text: run.name },
    ...run.marks.map((mark) => ({ value: `${run.id}@${mark.name}`, text: `${run.name} @ ${mark.name}` })),
  ]);
  const known = chosen === "" || options.some((o) => o.value === chosen);
  return known ? options : [{ value: chosen, text: chosen }, ...options];
}

function verdictText(data: CompareRunsAnswer, t: Translate): string {
  const { verdict, worse, better } = data;
  if (verdict === "not_enough_data")
    return t(data.matched.length === 0 ? "compare.nothing.common" : "compare.nothing.enough");
  const at = throughputOf(data);
  if (at?.throughput && (verdict === "worse" || verdict === "better")) {
    const share = percent(throughputShare(at.throughput));
    return t(`compare.throughput.${verdict}`, { share, n: number(at.concurrency_a), worse, better });
  }
  return t(`compare.verdict.${verdict}`, { worse, better, limit: percent(data.limits.ratio) });
}

/** How many operations there are, how many could be compared and why not the others, and that the list is cut. */
function counted(data: CompareRunsAnswer, t: Translate): string[] {
  const { found, too_few_calls: few, only_in_a: before, only_in_b: after, operations } = data;
  const left = [
    ...(few > 0 ? [t("compare.counted.few", { n: count(few) })] : []),
    ...(before > 0 ? [t("compare.counted.before", { n: count(before) })] : []),
    ...(after > 0 ? [t("compare.counted.after", { n: count(after) })] : []),
  ];
  if (found === 0) return [];
  const numbers = { found: count(found), judged: count(judged(data)) };
  return [
    left.length > 0
      ? t("compare.counted.but", { ...numbers, left: left.join(t("text.comma")) })
      : t("compare.counted", numbers),
    ...(operations.length < found ? [t("compare.cut", { listed: count(operations.length), found: count(found) })] : []),
  ];
}

interface ComparisonExportProps {
  answer: CompareRunsAnswer;
  runs: { id: string; name: string }[];
}

/** All operations, whichever of them the page shows. */
function ComparisonExport({ answer, runs }: ComparisonExportProps) {
  const { t, word, lang } = useText();
  const { meta: _, ...compared } = answer;
  const words: ComparisonWords = {
    language: lang === "zh" ? "zh-CN" : "en",
    times: (zone) => t("run.export.times", { zone }),
    sentence: verdictText(answer, t),
    verdict: t("compare.verdict"),
    left: t("compare.left"),
    right: t("compare.right"),
    sides: t("compare.sides"),
    time: t("chart.time"),
    levels: t("compare.levels"),
    noLevels: t("compare.levels.none"),
    matchedBy: t("compare.matched"),
    matched: (by) => word("matchedby", by),
    rate: t("col.rate"),
    concurrency: t("capacity.concurrency"),
    throughput: t("compare.throughput"),
    counted: counted(answer, t),
    requests: t("col.requests"),
    errors: t("col.errors"),
    operations: t("compare.operations"),
    operation: t("col.operation"),
    outcome: ({ outcome, reason }) => {
      const text = t(`compare.${outcome}`);
      return reason ? t("text.aside", { text, aside: word("comparereason", reason) }) : text;
    },
    by: t("compare.measure"),
    measure: (name) => word("measure", name),
    change: t("col.change"),
    interval: t("compare.interval.short"),
    factor: t("compare.ratio"),
    chance: t("compare.q"),
    callsLeft: t("compare.calls.left"),
    callsRight: t("compare.calls.right"),
    measures: t("compare.measures"),
    examples: t("compare.examples"),
    intended: t("run.clock.p99"),
    comma: t("text.comma"),
  };
  const report = (): ComparisonReport => ({
    ...{ format: "hotspan.run-comparison", version: 1, runs, source: location.href },
    ...compared,
  });
  const name = runs.map((r) => r.name).join(" - ");
  return <Export name={name} paper={() => comparisonPaper(report(), words)} />;
}

function Compared({ answer }: { answer: ReturnType<typeof useAnswer<CompareRunsAnswer>> }) {
  const { t, lang } = useText();
  const { scope, change } = useScope();
  const data = answer.data;
  const only = OUTCOMES.find((o) => o === scope.tab) ?? "all";
  const shown = (data?.operations ?? []).filter((o) => only === "all" || o.outcome === only);
  return (
    <>
      <Panel title={t("overview.verdict")} answer={answer} minHeight={90}>
        {data && <p className={`verdict-main compare-${data.verdict}`}>{verdictText(data, t)}</p>}
        {data?.clock && <p className="dim">{data.clock[lang]}</p>}
      </Panel>
      {data && (
        <Panel title={t("compare.sides")} note={t("compare.sides.note")} flush>
          <Sides answer={data} />
        </Panel>
      )}
      {data && data.matched.length > 0 && (
        <Panel title={t("compare.levels")} note={t("compare.levels.note")} flush>
          <RunDiffLevels matched={data.matched} />
        </Panel>
      )}
      {data && (
        <Panel
          title={t("compare.operations")}
          note={t("compare.note")}
          flush
          actions={
            <Segmented
              name={t("compare.verdict")}
              value={only}
              options={[
                { value: "all", label: t("operations.all") },
                ...OUTCOMES.map((o) => ({ value: o, label: t(`compare.${o}`) })),
              ]}
              onChange={(o) => change({ tab: o === "all" ? "" : o }, { replace: true })}
            />
          }
        >
          {data.found > 0 && <p className="pad dim">{counted(data, t).join(t("text.between"))}</p>}
          <RunDiffTable operations={shown} />
        </Panel>
      )}
    </>
  );
}

function Sides({ answer }: { answer: CompareRunsAnswer }) {
  const { t } = useText();
  const levels = answer.matched.map((m) => ({
    a: `${number(m.qps_a)}/s`,
    b: `${number(m.qps_b)}/s`,
  }));
  const rows = [
    { name: t("compare.left"), side: answer.a, levels: levels.map((l) => l.a) },
    { name: t("compare.right"), side: answer.b, levels: levels.map((l) => l.b) },
  ];
  return (
    <Table
      caption={t("compare.sides")}
      rows={rows}
      rowKey={(r) => r.name}
      columns={[
        { id: "name", title: "", cell: (r) => <b>{r.name}</b> },
        { id: "time", title: t("chart.time"), cell: (r) => windowText(r.side) },
        {
          id: "levels",
          title: t("compare.levels"),
          cell: (r) => r.levels.join(t("text.comma")) || t("compare.levels.none"),
        },
        { id: "requests", title: t("col.requests"), numeric: true, cell: (r) => count(r.side.requests) },
        {
          id: "errors",
          title: t("col.errors"),
          numeric: true,
          cell: (r) => percent(r.side.requests > 0 ? r.side.errors / r.side.requests : 0),
        },
        { id: "p50", title: "p50", numeric: true, cell: (r) => duration(r.side.p50_ns) },
        { id: "p90", title: "p90", numeric: true, cell: (r) => duration(r.side.p90_ns) },
        { id: "p99", title: "p99", numeric: true, cell: (r) => duration(r.side.p99_ns) },
        ...(answer.a.intended || answer.b.intended
          ? [
              {
                id: "intended",
                title: t("run.clock.p99"),
                doc: t("run.clock.doc"),
                numeric: true,
                cell: (r: (typeof rows)[number]) => duration(r.side.intended?.p99_intended_ns),
              },
            ]
          : []),
      ]}
    />
  );
}
