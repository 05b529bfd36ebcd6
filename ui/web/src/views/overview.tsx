// The first page: what limits the system, said in one sentence, the load it happened under, and the ranking behind it.

import { useCallback, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import type { HotSpotsAnswer, LoadStep, StepsAnswer } from "../api/types";
import { type Interval, StepsChart } from "../charts/steps-chart";
import { useText } from "../i18n";
import { count } from "../lib/format";
import { hasAny } from "../lib/stored";
import { isoMicros, microsOf } from "../lib/time";
import { useStatus } from "../parts/banners";
import { FirstRun } from "../parts/first-run";
import { HotSpotTable, heatLink, hotSpotKey } from "../parts/hot-spot-table";
import { LoadPanel } from "../parts/load-panel";
import { NoRequest } from "../parts/no-request";
import { Panel } from "../parts/panel";
import { StepsTable } from "../parts/steps-table";
import { windowText } from "../parts/top-bar";
import { VerdictSentence } from "../parts/verdict";
import { useAnswer } from "../state/answers";
import { isTyping } from "../state/keys";
import { rangeParams, windowParams } from "../state/params";
import { useScope } from "../state/use-scope";

export function Overview() {
  const { t } = useText();
  const { scope, change } = useScope();
  const steps = useAnswer<StepsAnswer>("steps", rangeParams(scope), { live: true });
  const hot = useAnswer<HotSpotsAnswer>("hotspots", windowParams(scope), { live: true });
  const status = useStatus().data;

  const pickStep = (step: LoadStep, asBaseline: boolean) => {
    const picked = { start: step.start, end: step.end };
    if (asBaseline) change({ baseline: picked });
    else change({ window: picked, baseline: scope.baseline ?? levelBefore(steps.data, step) });
  };
  const pickRange = (fromUs: number, toUs: number) =>
    change({ window: { start: isoMicros(fromUs), end: isoMicros(toUs) } });

  // What consumers take is compared as well, and is no request.
  const none = hot.data?.window.requests === 0 && hot.data.hotspots.length === 0;
  const nothing = none && (steps.data?.timeline ?? []).every((b) => b.requests === 0);
  if (nothing && status && !hasAny("spans", status)) return <FirstRun endpoints={status.endpoints} />;

  const window = intervalOf(hot.data?.window ?? null);
  const baseline = intervalOf(hot.data?.baseline ?? null);
  return (
    <div className="page">
      <h1 className="sr-only">{t("page.overview")}</h1>
      <Panel
        title={t("overview.verdict")}
        className="verdict-panel"
        answer={hot}
        minHeight={96}
        note={<Compared hot={hot.data} />}
      >
        {hot.data && none && <NoRequest window={hot.data.window} />}
        {hot.data && !none && <VerdictSentence answer={hot.data} steps={steps.data} />}
      </Panel>
      <LoadPanel answer={steps} note={t("overview.load.note")}>
        {(data) => (
          <>
            <StepsChart answer={data} window={window} baseline={baseline} pickStep={pickStep} pickRange={pickRange} />
            <StepsTable answer={data} window={window} baseline={baseline} pick={pickStep} />
          </>
        )}
      </LoadPanel>
      <Panel
        title={t("overview.hotspots")}
        note={t("overview.hotspots.note")}
        answer={hot}
        minHeight={200}
        flush
        unsaid
      >
        {hot.data && <HotSpots answer={hot.data} steps={steps.data} />}
      </Panel>
    </div>
  );
}

/** Which windows were compared and how many requests each holds. */
function Compared({ hot }: { hot: HotSpotsAnswer | undefined }) {
  const { t } = useText();
  if (!hot) return null;
  const text = (w: HotSpotsAnswer["window"]) => t("overview.window", { time: windowText(w), n: count(w.requests) });
  if (!hot.baseline) return t("overview.nobaseline", { window: text(hot.window) });
  return t("overview.compared", { window: text(hot.window), baseline: text(hot.baseline) });
}

function HotSpots({ answer, steps }: { answer: HotSpotsAnswer; steps: StepsAnswer | undefined }) {
  const { scope, change, link } = useScope();
  const [, navigate] = useLocation();
  const [at, setAt] = useState(0);
  const { t } = useText();
  const rows = answer.hotspots;
  const current = rows[Math.min(at, rows.length - 1)];

  const onKey = useCallback(
    (e: KeyboardEvent) => {
      if (isTyping(e) || e.ctrlKey || e.metaKey || e.altKey || !current) return;
      const inControl = (e.target as HTMLElement).closest("button, a, summary");
      if (e.key === "j") setAt((i) => Math.min(rows.length - 1, i + 1));
      else if (e.key === "k") setAt((i) => Math.max(0, i - 1));
      else if (e.key === "Enter" && !inControl)
        change({ focus: scope.focus === hotSpotKey(current) ? "" : hotSpotKey(current) });
      else if (e.key === "h") navigate(heatLink({ scope, link }, answer, current));
      else if (e.key === "b") change({ baseline: scope.window ?? stepWindow(steps, steps?.baseline_step) });
      else return;
      e.preventDefault();
    },
    [rows, current, answer, steps, scope, change, link, navigate],
  );
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [onKey]);

  if (rows.length === 0) return <p className="empty">{t("overview.hotspots.empty")}</p>;
  const compared = {
    window: { start: answer.window.start, end: answer.window.end },
    baseline: answer.baseline && { start: answer.baseline.start, end: answer.baseline.end },
  };
  return (
    <>
      <HotSpotTable answer={answer} current={current ? hotSpotKey(current) : null} />
      <p className="table-foot">
        <Link href={link("/flame", compared)}>{t("overview.more.flame")}</Link>
        <Link href={link("/operations", compared)}>{t("overview.more.operations")}</Link>
      </p>
    </>
  );
}

function intervalOf(w: { start: string; end: string } | null): Interval | null {
  return w ? { from: microsOf(w.start) / 1e6, to: microsOf(w.end) / 1e6 } : null;
}

function stepWindow(steps: StepsAnswer | undefined, index: number | null | undefined) {
  const step = steps?.steps.find((s) => s.index === index);
  return step ? { start: step.start, end: step.end } : null;
}

/** The baseline for a level that was clicked: the server's choice when it is earlier, else the level before. */
function levelBefore(steps: StepsAnswer | undefined, step: LoadStep) {
  const earlier = (steps?.steps ?? []).filter((s) => !s.transition && s.index < step.index);
  const chosen = earlier.find((s) => s.index === steps?.baseline_step) ?? earlier.at(-1);
  return chosen ? { start: chosen.start, end: chosen.end } : null;
}
