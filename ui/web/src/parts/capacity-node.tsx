// One node's capacity: its curve, what the law says, and what would be needed to say more.

import type { CapacityNode, Crossing } from "../api/capacity";
import { CapacityChart } from "../charts/capacity-chart";
import { type Translate, useText } from "../i18n";
import { nodeName } from "../lib/capacity";
import { count, duration, number, percent } from "../lib/format";
import { Panel } from "./panel";
import { Table } from "./table";

export function CapacityDetail({ node }: { node: CapacityNode }) {
  const { t, lang } = useText();
  const name = nodeName(node);
  const summary = t("capacity.summary", {
    name,
    n: node.points.length,
    limit: node.limit_qps === null ? noLimit(node, t) : `${number(node.limit_qps)}/s`,
  });
  return (
    <Panel title={name} note={t("capacity.curve.note")}>
      {node.needed && <p className="hint">{node.needed[lang]}</p>}
      <div className="capacity-columns">
        {node.points.length > 0 ? (
          <CapacityChart key={name} node={node} summary={summary} />
        ) : (
          <p className="empty">{t("capacity.nopoints")}</p>
        )}
        <dl className="facts">
          {factsOf(node, t).map(([what, text]) => (
            <div key={what}>
              <dt>{what}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </div>
      {node.points.length > 0 && (
        <details className="twin">
          <summary>{t("table.twin")}</summary>
          <Table
            caption={summary}
            rows={[...node.points].sort((a, b) => a[0] - b[0])}
            rowKey={(p) => p.join("|")}
            columns={[
              { id: "n", title: t("capacity.concurrency"), numeric: true, cell: (p) => number(p[0]) },
              { id: "x", title: t("col.rate"), numeric: true, cell: (p) => `${number(p[1])}/s` },
              { id: "p99", title: "p99", numeric: true, cell: (p) => duration(p[2]) },
              { id: "e", title: t("col.errors"), numeric: true, cell: (p) => percent(p[3]) },
            ]}
          />
        </details>
      )}
    </Panel>
  );
}

function factsOf(node: CapacityNode, t: Translate): [string, string][] {
  const rate = (v: number | null) => (v === null ? "–" : `${number(v)}/s`);
  const range = (r: [number, number] | null, unit: string) =>
    r === null ? "–" : `${number(r[0])} – ${number(r[1])}${unit}`;
  const facts: [string, string][] = [
    [t("capacity.now"), `${rate(node.qps)} · p99 ${duration(node.p99_ns)}`],
    [t("capacity.seen"), range(node.seen_qps, "/s")],
    [t("capacity.seen.concurrency"), range(node.seen_concurrency, "")],
    [t("capacity.limit"), limitText(node, t)],
    [
      t("capacity.knee"),
      node.knee_qps === null
        ? "–"
        : t("capacity.knee.at", { rate: number(node.knee_qps), n: number(node.knee_concurrency ?? 0) }),
    ],
    [t("capacity.p99limit"), crossingText(node.p99_limit, t)],
    [t("capacity.errorlimit"), crossingText(node.error_limit, t)],
  ];
  if (node.law === "queue" && node.servers !== null)
    facts.push([t("capacity.law"), t("capacity.law.queue", { n: count(node.servers) })]);
  else if (node.lambda !== null)
    facts.push([
      t("capacity.law"),
      `USL · λ ${number(node.lambda)}/s · σ ${small(node.sigma)} · κ ${small(node.kappa)}`,
    ]);
  if (node.calls_per_request !== null)
    facts.push([t("capacity.calls"), `${number(node.calls_per_request)} → ${rate(node.needed_qps)}`]);
  return facts;
}

function limitText(node: CapacityNode, t: Translate): string {
  if (node.limit_qps === null) return noLimit(node, t);
  return t("text.aside", { text: `${number(node.limit_qps)}/s`, aside: limitInterval(node) });
}

/** What is known where no limit is: how much was served without one. */
export function noLimit(node: CapacityNode, t: Translate): string {
  return node.at_least_qps === null
    ? t("capacity.unknown")
    : t("capacity.atleast", { rate: number(node.at_least_qps) });
}

/** Between which rates the limit lies, by all that was measured. */
export function limitInterval(node: CapacityNode): string {
  const low = node.limit_low_qps === null ? "?" : number(node.limit_low_qps);
  const high = node.limit_high_qps === null ? "∞" : number(node.limit_high_qps);
  return `${low} … ${high}`;
}

function crossingText(crossing: Crossing | null, t: Translate): string {
  if (!crossing) return "–";
  return t(`capacity.${crossing.is}`, { rate: number(crossing.qps) });
}

function small(v: number | null): string {
  return v === null ? "–" : v === 0 ? "0" : v.toPrecision(2);
}
