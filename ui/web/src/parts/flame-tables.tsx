// The call tree as tables: from the entry down, and each operation once with its callers.

import { useState } from "react";
import { Link } from "wouter";
import type { FlameAnswer } from "../api/types";
import { useText } from "../i18n";
import { byOperation, type OperationSum, type Weights } from "../lib/flame";
import { change, count, duration, number, percent } from "../lib/format";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";
import { ServiceName } from "./service-name";
import { type Column, ShareBar, Table } from "./table";

export function TopDown({ answer, weights }: { answer: FlameAnswer; weights: Weights }) {
  const { t } = useText();
  const whole = Math.max(
    1,
    weights.roots.reduce((sum, i) => sum + weights.inclusive[i], 0),
  );
  const [open, setOpen] = useState<ReadonlySet<number>>(() => hottestPath(weights));
  const { nodes } = answer;
  const rows: { i: number; depth: number }[] = [];
  const stack = weights.roots.map((i) => ({ i, depth: 0 })).reverse();
  while (stack.length > 0) {
    const row = stack.pop()!;
    rows.push(row);
    if (!open.has(row.i)) continue;
    for (const c of [...weights.children[row.i]].reverse()) stack.push({ i: c, depth: row.depth + 1 });
  }
  const toggle = (i: number) => {
    const next = new Set(open);
    if (!next.delete(i)) next.add(i);
    setOpen(next);
  };
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={t("flame.topdown")}>
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">{t("col.operation")}</th>
            <th scope="col">{t("flame.share")}</th>
            <th scope="col" className="num">
              {t("flame.perrequest")}
            </th>
            {weights.base && (
              <th scope="col" className="num">
                {t("col.change")}
              </th>
            )}
            <th scope="col" className="num">
              {t("col.self")}
            </th>
            <th scope="col" className="num">
              {t("col.calls")}
            </th>
            <th scope="col" className="num">
              {t("col.errorcount")}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ i, depth }) => {
            const n = nodes[i];
            const per = weights.inclusive[i] / Math.max(1, answer.requests);
            const before = weights.base && answer.baseline_requests ? weights.base[i] / answer.baseline_requests : null;
            const kids = weights.children[i].length > 0;
            return (
              <tr key={n.id}>
                <td className="wide" style={{ paddingLeft: 8 + depth * 14 }}>
                  <button
                    type="button"
                    className="plain"
                    aria-expanded={open.has(i)}
                    aria-label={t("table.details")}
                    style={{ visibility: kids ? "visible" : "hidden" }}
                    onClick={() => toggle(i)}
                  >
                    <span className={open.has(i) ? "chevron down" : "chevron"} aria-hidden="true" />
                  </button>
                  <ServiceName name={n.service} /> <span className="op">{n.operation}</span>
                </td>
                <td>
                  <ShareBar share={weights.inclusive[i] / whole} label={percent(weights.inclusive[i] / whole)} />
                </td>
                <td className="num">{duration(per)}</td>
                {weights.base && (
                  <td className="num">{before === null ? "–" : <Grown by={per - before} now={per} />}</td>
                )}
                <td className="num">{duration(n.self_ns / Math.max(1, answer.requests))}</td>
                <td className="num">{number(n.calls / Math.max(1, answer.requests))}</td>
                <td className="num">{count(n.errors)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function BottomUp({ answer }: { answer: FlameAnswer }) {
  const { t } = useText();
  const { link } = useScope();
  const order = useOrder({ column: "share", descending: true });
  const [open, setOpen] = useState<string | null>(null);
  const rows = byOperation(answer.nodes);
  const whole = Math.max(
    1,
    rows.reduce((sum, r) => sum + r.critical_ns, 0),
  );
  const per = (ns: number) => ns / Math.max(1, answer.requests);
  const grown = (r: OperationSum) =>
    r.base_critical_ns === null || !answer.baseline_requests
      ? null
      : per(r.critical_ns) - r.base_critical_ns / answer.baseline_requests;
  const columns: Column<OperationSum>[] = [
    {
      id: "operation",
      title: t("col.operation"),
      className: "wide",
      value: (r) => `${r.service} ${r.operation}`,
      cell: (r) => (
        <>
          <ServiceName name={r.service} />{" "}
          <Link className="op" href={link("/heat", { service: r.service, operation: r.operation, kind: r.kind })}>
            {r.operation}
          </Link>
        </>
      ),
    },
    {
      id: "share",
      title: t("col.criticalshare"),
      value: (r) => r.critical_ns,
      cell: (r) => <ShareBar share={r.critical_ns / whole} label={percent(r.critical_ns / whole)} />,
    },
    {
      id: "critical",
      title: t("col.critical"),
      numeric: true,
      value: (r) => r.critical_ns,
      cell: (r) => duration(per(r.critical_ns)),
    },
    {
      id: "change",
      title: t("col.change"),
      numeric: true,
      value: grown,
      cell: (r) => <Grown by={grown(r)} now={per(r.critical_ns)} />,
    },
    { id: "self", title: t("col.self"), numeric: true, value: (r) => r.self_ns, cell: (r) => duration(per(r.self_ns)) },
    { id: "calls", title: t("col.calls"), numeric: true, value: (r) => r.calls, cell: (r) => number(per(r.calls)) },
  ];
  return (
    <Table
      caption={t("flame.bottomup")}
      columns={columns}
      rows={rows}
      rowKey={(r) => r.key}
      {...order}
      open={open}
      setOpen={setOpen}
      detail={(r) => (
        <div className="spot-detail">
          <h3>{t("hotspot.callers")}</h3>
          {r.callers.size === 0 && <p className="dim">{t("hotspot.callers.none")}</p>}
          <ul>
            {[...r.callers.entries()].map(([key, c]) => (
              <li key={key}>
                <ServiceName name={c.service} /> <span className="op">{c.operation}</span>{" "}
                <span className="dim">
                  {t("flame.caller", { critical: duration(per(c.critical_ns)), calls: number(per(c.calls)) })}
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
    />
  );
}

/** A change per request; coloured when it is worth looking at: a tenth of what there was. */
function Grown({ by, now }: { by: number | null; now: number }) {
  if (by === null) return <>–</>;
  const large = Math.abs(by) > 0.1 * Math.max(now - by, 0) && Math.abs(by) > 1e5;
  return <span className={large ? (by > 0 ? "rose" : "fell") : undefined}>{change(by)}</span>;
}

/** Open at first: from the heaviest entry always to the heaviest child. */
function hottestPath(weights: Weights): Set<number> {
  const path = new Set<number>();
  for (let i = weights.roots[0]; i !== undefined && path.size < 12; i = weights.children[i][0]) path.add(i);
  return path;
}
