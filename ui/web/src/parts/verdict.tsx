// The verdict in one sentence, with the way to its evidence.

import { Link } from "wouter";
import type { EntryChange, HotSpot, HotSpotsAnswer, StepsAnswer } from "../api/types";
import { type Translate, useText } from "../i18n";
import { change, clockOrDate, confidence, count, duration, number, percent } from "../lib/format";
import { largestRise, loadChange, loadMoved } from "../lib/verdict";
import { useScope } from "../state/use-scope";
import { heatLink, traceLink } from "./hot-spot-table";

export function VerdictSentence({ answer, steps }: { answer: HotSpotsAnswer; steps: StepsAnswer | undefined }) {
  const { t, lang } = useText();
  const { scope, link } = useScope();
  const top: HotSpot | undefined = answer.hotspots[0];
  const named = top && (answer.verdict === "bottleneck" || answer.verdict === "behaviour_changed");
  return (
    <div className={`verdict ${answer.verdict}`}>
      <p className="verdict-main" aria-live="polite">
        {named ? (
          <>
            <b>
              {top.service} · {top.operation}
            </b>{" "}
            {answer.verdict === "bottleneck" ? bottleneckText(top, t) : t("verdict.behaviour")}
          </>
        ) : (
          unnamedText(answer, t)
        )}
      </p>
      {named && <p className="verdict-why">{top.explanation[lang]}</p>}
      {answer.needed && <p className="verdict-why">{answer.needed[lang]}</p>}
      {named && <Facts answer={answer} top={top} steps={steps} />}
      {answer.worse && answer.worse.length > 0 && <Evidence worse={answer.worse} />}
      {!named && top && !answer.baseline && (
        <p className="verdict-why">
          {t("verdict.largest", { name: `${top.service} · ${top.operation}`, share: percent(top.share_of_latency) })}
        </p>
      )}
      {!named && answer.baseline && <Risen answer={answer} />}
      {named && (
        <p className="verdict-links">
          <Link className="button primary" href={heatLink({ scope, link }, answer, top)}>
            {t("action.heat")}
          </Link>
          {top.exemplars.length > 0 && (
            <Link className="button" href={traceLink({ scope, link }, answer, top)}>
              {t("action.trace")}
            </Link>
          )}
        </p>
      )}
    </div>
  );
}

/** Requests below which a window says nothing by itself. */
const FEW = 30;

function unnamedText(answer: HotSpotsAnswer, t: Translate): string {
  if (answer.verdict === "no_significant_change" && answer.baseline) return t("verdict.nochange");
  if (!answer.baseline && answer.window.requests >= FEW) return t("verdict.nobaseline");
  return t("verdict.nodata", { n: count(answer.window.requests) });
}

/** What the ranking shows as risen although that is no verdict yet. */
function Risen({ answer }: { answer: HotSpotsAnswer }) {
  const { t } = useText();
  const risen = largestRise(answer.hotspots);
  if (!risen) return null;
  const name = `${risen.service} · ${risen.operation}`;
  return <p className="verdict-why">{t("verdict.risen", { name, change: change(risen.change_ns_per_request) })}</p>;
}

/** How sure, since when, what kind. */
function Facts({ answer, top, steps }: { answer: HotSpotsAnswer; top: HotSpot; steps: StepsAnswer | undefined }) {
  const { t, word } = useText();
  const load = loadChange(steps?.steps ?? [], answer.window, answer.baseline, steps?.meta.start);
  const moved = loadMoved(load);
  const since = clockOrDate(Date.parse(load.since));
  return (
    <p className="verdict-facts">
      <span className="tag">{word("category", top.category)}</span>
      {top.confidence !== null && <span>{t("verdict.sure", { p: confidence(top.confidence) })}</span>}
      <span>
        {moved
          ? t(`verdict.load.${moved}`, { time: since, before: number(load.before ?? 0), now: number(load.now ?? 0) })
          : t(load.earlier ? "verdict.since.earlier" : "verdict.since", { time: since })}
      </span>
    </p>
  );
}

/** The requests that got worse, each by the measure that shows it most surely. */
function Evidence({ worse }: { worse: EntryChange[] }) {
  const { t } = useText();
  const entries = worse.filter((w, i) => worse.findIndex((x) => x.entry.join() === w.entry.join()) === i).slice(0, 3);
  const figure = (w: EntryChange, v: number) => (w.measure === "error_rate" ? percent(v) : duration(v));
  return (
    <ul className="evidence">
      {entries.map((w) => (
        <li key={w.entry.join()}>
          <span className="dim">{w.entry.join(" · ")}</span> {t(`measure.${w.measure}`)} {figure(w, w.baseline)} →{" "}
          <b>{figure(w, w.window)}</b>
        </li>
      ))}
    </ul>
  );
}

function bottleneckText(top: HotSpot, t: Translate): string {
  if (top.off_path) return t("verdict.behind");
  const whole = top.share_of_latency > 0 ? top.critical_path_ns_per_request / top.share_of_latency : null;
  if (top.change_ns_per_request === null || whole === null) return t("verdict.limits");
  // A figure and its unit stay on one line.
  const [risen, all] = [change(top.change_ns_per_request), duration(whole)].map((d) => d.replaceAll(" ", "\u00a0"));
  return t("verdict.limits.by", { change: risen, whole: all });
}
