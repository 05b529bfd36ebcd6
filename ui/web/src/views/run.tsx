// One run: its load levels and marked stages, where latency left the flat, and which operation grew from level to level. A
// level or a stage is one click, its evidence the next.

import { Link, useParams } from "wouter";
import type { Run } from "../api/runs";
import type { HotSpotsAnswer, LoadStep, StepsAnswer } from "../api/types";
import { StepsChart } from "../charts/steps-chart";
import { useText } from "../i18n";
import { number } from "../lib/format";
import { healthyLevel, kneeOf, levelsOf, steadyEnd } from "../lib/levels";
import type { Stage } from "../lib/stages";
import { stepMatrix } from "../lib/step-matrix";
import { isoMicros, microsOf, type Window } from "../lib/time";
import { LoadPanel } from "../parts/load-panel";
import { Panel } from "../parts/panel";
import { RunClock, useClock } from "../parts/run-clock";
import { RunExport } from "../parts/run-export";
import { RunGenerator } from "../parts/run-generator";
import { RunHeader } from "../parts/run-header";
import { everyMs, ofRun } from "../parts/run-list";
import { RunMatrix } from "../parts/run-matrix";
import { RunStages, useStages, windowOf } from "../parts/run-stages";
import { TopSpot } from "../parts/run-top-spot";
import { StepsTable } from "../parts/steps-table";
import { useAnswer, useAnswers } from "../state/answers";
import { type ScopeHandle, useScope } from "../state/use-scope";

export default function RunPage() {
  const { id = "" } = useParams<{ id: string }>();
  const { t } = useText();
  const answer = useAnswer<Run>(`runs/${encodeURIComponent(id)}`, {}, { everyMs: 2_000 });
  return (
    <div className="page">
      {answer.data ? (
        <RunView key={id} run={answer.data} />
      ) : (
        <Panel title={t("page.run")} answer={answer} minHeight={240}>
          {null}
        </Panel>
      )}
    </div>
  );
}

function RunView({ run }: { run: Run }) {
  const { t } = useText();
  const { scope, change, link } = useScope();
  const steps = useAnswer<StepsAnswer>("steps", ofRun(run), everyMs(run) ? { everyMs: 2_000 } : {});
  const levels = levelsOf(steps.data?.steps ?? []);
  // An only level is compared with what the server finds before the run.
  const baseline = levels.length > 1 ? (levelIn(levels, scope.baseline) ?? healthyLevel(levels)) : null;
  const ofStages = useStages(run, scope.baseline);
  const { stages } = ofStages;
  const stage = stages.find((s) => s.key === scope.focus) ?? null;
  const chosen = stage ?? levelIn(levels, scope.window) ?? levels.at(-1) ?? null;
  // Neither a level nor a stage is compared with itself.
  const before = stage ? ofStages.baselineWindow : baseline && windowOf(baseline);
  const beside = (stage ? ofStages.baseline : baseline) === chosen ? null : before;
  const compared = levels.filter((l) => l !== baseline);
  const isLast = (l: LoadStep) => l === levels.at(-1);
  const answers = useAnswers<HotSpotsAnswer>(
    "hotspots",
    compared.map((l) => ({
      params: {
        ...ofRun(run),
        start: l.start,
        // The level that goes on ends where the run does: one question, asked again.
        end: run.end_time === null && isLast(l) ? null : l.end,
        baseline_start: baseline?.start,
        baseline_end:
          baseline &&
          (run.end_time === null && isLast(baseline) ? steadyEnd(baseline.start, baseline.end) : baseline.end),
      },
      everyMs: isLast(l) && everyMs(run),
    })),
  );
  const hotOf = (level: LoadStep) => answers[compared.indexOf(level)];
  const columns = levels.map((l) => ({ level: l.index, spots: hotOf(l)?.data?.hotspots ?? null }));
  const rows = stepMatrix(columns, baseline?.index ?? -1);
  const clock = useClock(run, [
    ...levels.map((l) => ({ ...windowOf(l), goesOn: run.end_time === null && isLast(l) })),
    ...stages,
  ]);
  const pick = (level: LoadStep, asBaseline: boolean) =>
    change(asBaseline ? { baseline: windowOf(level) } : { window: windowOf(level), focus: "" });
  const pickStage = (of: Stage, asBaseline: boolean) =>
    change(asBaseline ? { baseline: windowOf(of) } : { window: windowOf(of), focus: of.key });
  const inRun = linkInRun(link, run, chosen && windowOf(chosen), beside);
  const failed = answers.find((a) => a.error);
  return (
    <>
      <RunHeader run={run}>
        {steps.data && levels.length > 0 && (
          <RunExport
            run={run}
            steps={steps.data}
            levels={levels}
            baseline={baseline}
            hot={levels.map((l) => hotOf(l)?.data)}
            stages={stages}
            hotOfStages={stages.map((s) => ofStages.hot(s)?.data)}
            clock={clock}
            matrix={rows}
          />
        )}
        <Link className="button" href={link("/runs", {})}>
          {t("run.all")}
        </Link>
      </RunHeader>
      <RunClock clock={clock} p99={clock.answer?.total?.p99_ns ?? steps.data?.total?.p99_ns} />
      <LoadPanel answer={steps} note={t("run.load.note")}>
        {(data) => (
          <>
            <Knee levels={levels} />
            <StepsChart
              answer={data}
              window={chosen && intervalOf(chosen)}
              baseline={beside && intervalOf(beside)}
              pickStep={pick}
              pickRange={(from, to) => change({ window: { start: isoMicros(from), end: isoMicros(to) }, focus: "" })}
              stages={stages.map((s) => ({ ...intervalOf(s), key: s.key }))}
              pickStage={(key, asBaseline) => {
                const picked = stages.find((s) => s.key === key);
                if (picked) pickStage(picked, asBaseline);
              }}
            />
            <StepsTable
              answer={data}
              window={chosen && !stage ? intervalOf(chosen) : null}
              baseline={baseline && baseline !== chosen ? intervalOf(baseline) : null}
              pick={pick}
              intended={clock.isKnown ? clock.p99 : undefined}
              more={{
                title: t("overview.hotspots"),
                cell: (level) =>
                  level.index === baseline?.index ? (
                    "–"
                  ) : (
                    <TopSpot hot={hotOf(level)?.data} failed={hotOf(level)?.error} />
                  ),
              }}
            />
            {chosen && (
              <p className="run-go">
                <Link className="button primary" href={inRun("/")}>
                  {stage ? t("run.open.stage", { name: stage.key }) : t("run.open", { rate: number(chosen.qps) })}
                </Link>
                <Link className="button" href={inRun("/heat")}>
                  {t("page.heat")}
                </Link>
                <Link className="button" href={inRun("/flame")}>
                  {t("page.flame")}
                </Link>
                <Link className="button" href={inRun("/capacity", { window: null, baseline: null })}>
                  {t("run.capacity")}
                </Link>
              </p>
            )}
          </>
        )}
      </LoadPanel>
      {ofStages.marked > 0 && (
        <RunStages
          run={run}
          of={ofStages}
          clock={clock}
          window={stage && intervalOf(stage)}
          baseline={ofStages.baselineWindow && intervalOf(ofStages.baselineWindow)}
          pick={pickStage}
        />
      )}
      {run.generator && <RunGenerator generator={run.generator} seen={steps.data?.total} />}
      {levels.length > 1 && (
        <Panel
          title={t("run.matrix")}
          note={t("run.matrix.note")}
          flush
          answer={{
            error: rows.length === 0 && failed ? failed.error : null,
            loading: rows.length === 0 && answers.some((a) => a.loading),
            old: false,
            retry: () => {
              for (const a of answers) if (a.error) a.retry();
            },
          }}
          minHeight={160}
        >
          <RunMatrix levels={levels} baseline={baseline} rows={rows} link={inRun} />
        </Panel>
      )}
    </>
  );
}

function Knee({ levels }: { levels: readonly LoadStep[] }) {
  const { t } = useText();
  if (levels.length < 2) return null;
  const knee = kneeOf(levels);
  return (
    <p className={knee ? "run-knee bent" : "run-knee"}>
      {knee ? t("run.knee", { from: number(knee.from), to: number(knee.to) }) : t("run.noknee")}
    </p>
  );
}

/** The level that a window in the address means: the one that holds its middle. */
function levelIn(levels: readonly LoadStep[], window: Window | null): LoadStep | null {
  if (!window) return null;
  const middle = (microsOf(window.start) + microsOf(window.end)) / 2;
  return levels.find((l) => middle >= microsOf(l.start) && middle < microsOf(l.end)) ?? null;
}

function intervalOf(level: Window) {
  return { from: microsOf(level.start) / 1e6, to: microsOf(level.end) / 1e6 };
}

/** Addresses of other pages over this run's traces, what is chosen of it against its baseline. */
function linkInRun(
  link: ScopeHandle["link"],
  run: Run,
  window: Window | null,
  baseline: Window | null,
): ScopeHandle["link"] {
  return (path, patch) =>
    link(path, {
      start: run.start_time,
      end: run.end_time ?? "now",
      window,
      baseline,
      run: run.id,
      ...patch,
    });
}
