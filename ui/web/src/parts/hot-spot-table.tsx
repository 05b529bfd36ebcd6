// The ranking of hot spots. A row opens to its explanation, its callers and examples.

import { Link } from "wouter";
import type { HotSpot, HotSpotsAnswer } from "../api/types";
import { useText } from "../i18n";
import { change, confidence, duration, number, percent, value } from "../lib/format";
import { fixedRange, microsOf, type Window } from "../lib/time";
import { claimed } from "../lib/verdict";
import { type ScopeHandle, useScope } from "../state/use-scope";
import { useOpenRow, useOrder } from "../state/use-table";
import { Before } from "./before";
import { OperationName, peerOf } from "./operation-name";
import { ServiceName } from "./service-name";
import { type Column, ShareBar, Table } from "./table";

export function hotSpotKey(h: HotSpot): string {
  return [h.service, h.operation, h.span_kind, h.category, h.peer ?? "", h.instance ?? ""].join("|");
}

type From = Pick<ScopeHandle, "scope" | "link">;

/** The heat map of a hot spot with its slow band of the window already selected, in a range that no longer moves. */
export function heatLink(from: From, answer: HotSpotsAnswer, h: HotSpot): string {
  const slowFrom = h.baseline_p99_ns ?? null;
  const selection =
    answer.baseline && slowFrom
      ? {
          startUs: microsOf(answer.window.start),
          endUs: microsOf(answer.window.end),
          minNs: Math.round(slowFrom),
          maxNs: null,
          errors: false,
        }
      : null;
  // Without a figure to begin with, the heat map takes the preset once it knows its cells.
  const tab = selection ? "" : answer.baseline ? "above-baseline" : "slowest";
  return from.link("/heat", { ...operationOf(h), ...rangeAndBaseline(from, answer), selection, tab });
}

/** An example with the baseline that its operation is compared with. */
export function traceLink(from: From, answer: HotSpotsAnswer, h: HotSpot, id = h.exemplars[0]): string {
  return from.link(`/trace/${id}`, { ...operationOf(h), ...rangeAndBaseline(from, answer) });
}

/** What requests of the window in which it was found would gain, not those of the whole range. */
export function whatIfLink(from: From, answer: HotSpotsAnswer, h: HotSpot): string {
  return from.link("/what-if", { ...operationOf(h), window: times(answer.window), baseline: baselineOf(answer) });
}

function operationOf(h: HotSpot) {
  return { service: h.service, operation: h.operation, kind: h.span_kind };
}

function rangeAndBaseline(from: From, answer: HotSpotsAnswer) {
  const baseline = baselineOf(answer);
  const range = baseline && fixedRange(from.scope, Date.parse(answer.meta.end), answer.window);
  return { ...range, baseline };
}

function baselineOf(answer: HotSpotsAnswer): Window | null {
  return answer.baseline && times(answer.baseline);
}

function times({ start, end }: Window): Window {
  return { start, end };
}

/** Columns that are left out when no row has a figure for them. */
const OPTIONAL = ["change", "p99", "calls", "confidence"];

export function HotSpotTable({ answer, current }: { answer: HotSpotsAnswer; current: string | null }) {
  const { t, word } = useText();
  const order = useOrder({ column: "rank", descending: false });
  const open = useOpenRow();
  const columns: Column<HotSpot>[] = [
    { id: "rank", title: "#", numeric: true, value: (h) => h.rank, cell: (h) => h.rank },
    {
      id: "operation",
      title: t("col.operation"),
      value: (h) => `${h.service} ${h.operation}`,
      cell: (h) => <HotSpotName spot={h} />,
      className: "wide",
    },
    {
      id: "category",
      title: t("col.category"),
      value: (h) => h.category,
      cell: (h) => <span className="tag">{word("category", h.category)}</span>,
    },
    {
      id: "critical",
      title: t("col.critical"),
      doc: t("col.critical.doc"),
      numeric: true,
      value: (h) => h.critical_path_ns_per_request,
      cell: (h) => duration(h.critical_path_ns_per_request),
    },
    {
      id: "change",
      title: t("col.change"),
      doc: t("col.change.doc"),
      numeric: true,
      value: (h) => h.change_ns_per_request,
      cell: (h) => <Change spot={h} />,
    },
    {
      id: "share",
      title: t("col.share"),
      doc: t("col.share.doc"),
      value: (h) => h.share_of_latency,
      cell: (h) => <ShareBar share={h.share_of_latency} label={percent(h.share_of_latency)} />,
    },
    {
      id: "p99",
      title: "p99",
      numeric: true,
      value: (h) => h.p99_ns ?? null,
      cell: (h) => <Before now={duration(h.p99_ns)} before={h.baseline_p99_ns ? duration(h.baseline_p99_ns) : null} />,
    },
    {
      id: "calls",
      title: t("col.calls"),
      numeric: true,
      value: (h) => h.calls_per_request ?? null,
      cell: (h) => (h.calls_per_request == null ? "–" : number(h.calls_per_request)),
    },
    {
      id: "confidence",
      title: t("col.confidence"),
      numeric: true,
      value: (h) => claimed(answer.verdict, h),
      cell: (h) => confidence(claimed(answer.verdict, h)),
    },
  ];
  return (
    <Table
      caption={t("overview.hotspots")}
      columns={columns.filter((c) => !OPTIONAL.includes(c.id) || answer.hotspots.some((h) => c.value?.(h) != null))}
      rows={answer.hotspots}
      rowKey={hotSpotKey}
      {...order}
      {...open}
      detail={(h) => <HotSpotDetail answer={answer} spot={h} />}
      rowClass={(h) => (hotSpotKey(h) === current ? "current" : undefined)}
    />
  );
}

function HotSpotName({ spot }: { spot: HotSpot }) {
  const { t } = useText();
  const confined = [
    peerOf(spot),
    spot.instance && t("hotspot.instance", { value: spot.instance }),
    spot.attribute && `${spot.attribute.key} = ${value(spot.attribute.value)}`,
    spot.off_path && t("hotspot.off_path"),
  ].filter(Boolean);
  return <OperationName service={spot.service} operation={spot.operation} below={confined.join("  ·  ")} />;
}

function Change({ spot }: { spot: HotSpot }) {
  const sure = spot.confidence !== null && spot.confidence >= 0.9;
  const tone = (spot.change_ns_per_request ?? 0) > 0 ? "rose" : "fell";
  return (
    <span className="two-lines">
      <span className={sure ? tone : undefined}>{change(spot.change_ns_per_request)}</span>
      {spot.interval_ns && (
        <span className="dim">
          {change(spot.interval_ns[0])} … {change(spot.interval_ns[1])}
        </span>
      )}
    </span>
  );
}

/** What something else than spans says, one sentence each, with the way to where it says so. */
function Evidence<S extends { explanation: { en: string; zh: string } }>(props: {
  title: string;
  signs: readonly S[] | undefined;
  to: (sign: S) => string;
}) {
  const { lang } = useText();
  if (!props.signs?.length) return null;
  return (
    <div>
      <h3>{props.title}</h3>
      <ul>
        {props.signs.map((sign) => (
          <li key={sign.explanation.en}>
            <Link href={props.to(sign)}>{sign.explanation[lang]}</Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function HotSpotDetail({ answer, spot }: { answer: HotSpotsAnswer; spot: HotSpot }) {
  const { t, lang } = useText();
  const { scope, link } = useScope();
  return (
    <div className="spot-detail">
      <p className="spot-why">{spot.explanation[lang]}</p>
      <div className="spot-columns">
        <Names
          title={t(spot.off_path ? "hotspot.senders" : "hotspot.entries")}
          names={spot.callers}
          empty={t("hotspot.callers.none")}
        />
        {spot.victims && spot.victims.length > 0 && <Names title={t("hotspot.victims")} names={spot.victims} />}
        <Evidence
          title={t("hotspot.vitals")}
          signs={spot.vitals}
          to={(vital) => link("/metrics-explorer", { focus: vital.metric, service: spot.service })}
        />
        <Evidence
          title={t("hotspot.logs")}
          signs={spot.logs}
          to={() => link("/hidden", { tab: "logs", service: spot.service })}
        />
        <div>
          <h3>{t("hotspot.exemplars")}</h3>
          <ul>
            {spot.exemplars.slice(0, 5).map((id) => (
              <li key={id}>
                <Link href={traceLink({ scope, link }, answer, spot, id)} className="mono">
                  {id.slice(0, 16)}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      </div>
      <p className="verdict-links">
        <Link className="button primary" href={heatLink({ scope, link }, answer, spot)}>
          {t("action.heat")}
        </Link>
        {spot.exemplars.length > 0 && (
          <Link className="button" href={traceLink({ scope, link }, answer, spot)}>
            {t("action.trace")}
          </Link>
        )}
        <Link className="button" href={whatIfLink({ scope, link }, answer, spot)}>
          {t("action.whatif")}
        </Link>
      </p>
    </div>
  );
}

function Names({ title, names, empty }: { title: string; names: [string, string][]; empty?: string }) {
  return (
    <div>
      <h3>{title}</h3>
      {names.length === 0 && <p className="dim">{empty}</p>}
      <ul>
        {names.slice(0, 6).map(([service, operation]) => (
          <li key={service + operation}>
            <ServiceName name={service} /> <span className="op">{operation}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
