// The verdict in one sentence, with the way to its evidence.

import { Link } from "wouter";
import type { HotSpot, HotSpotsAnswer } from "../api/types";
import { useText } from "../i18n";
import { change, count, duration, percent } from "../lib/format";
import { useScope } from "../state/use-scope";
import { heatLink, traceLink } from "./hot-spot-table";

export function VerdictSentence({ answer }: { answer: HotSpotsAnswer }) {
  const { t, lang } = useText();
  const { link } = useScope();
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
        ) : answer.verdict === "not_enough_data" ? (
          t("verdict.nodata", { n: count(answer.window.requests) })
        ) : answer.baseline ? (
          t("verdict.nochange")
        ) : (
          t("verdict.nobaseline")
        )}
      </p>
      {named && <p className="verdict-why">{top.explanation[lang]}</p>}
      {!named && top && !answer.baseline && (
        <p className="verdict-why">
          {t("verdict.largest", { name: `${top.service} · ${top.operation}`, share: percent(top.share_of_latency) })}
        </p>
      )}
      {named && (
        <p className="verdict-links">
          <Link className="button primary" href={heatLink(link, answer, top)}>
            {t("action.heat")}
          </Link>
          {top.exemplars.length > 0 && (
            <Link className="button" href={traceLink(link, top)}>
              {t("action.trace")}
            </Link>
          )}
        </p>
      )}
    </div>
  );
}

function bottleneckText(top: HotSpot, t: ReturnType<typeof useText>["t"]): string {
  const whole = top.share_of_latency > 0 ? top.critical_path_ns_per_request / top.share_of_latency : null;
  if (top.change_ns_per_request === null || whole === null) return t("verdict.limits");
  return t("verdict.limits.by", { change: change(top.change_ns_per_request), whole: duration(whole) });
}
