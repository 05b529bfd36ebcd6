// Two runs against each other: every operation better, worse, or without evidence, with its interval.

import { useState } from "react";
import type { ComparedOperation, CompareRunsAnswer, RunsAnswer, RunWindow } from "../api/runs";
import { useText } from "../i18n";
import { change as changeText, confidence, count, duration, number, percent } from "../lib/format";
import { parseOrder, printOrder } from "../lib/sort";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { ServiceName } from "../parts/service-name";
import { type Column, Table } from "../parts/table";
import { windowText } from "../parts/top-bar";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";

const VERDICTS = ["worse", "better", "no_evidence"] as const;
type Verdict = (typeof VERDICTS)[number];

export default function CompareRuns() {
  const { t } = useText();
  const { scope, change } = useScope();
  const runs = useAnswer<RunsAnswer>("runs", {});
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
              <select value={scope[side]} onChange={(e) => change({ [side]: e.target.value })}>
                <option value="">{t("compare.choose")}</option>
                {(runs.data?.runs ?? []).map((r) => (
                  <option key={r.id} value={r.id}>
                    {r.name}
                  </option>
                ))}
              </select>
            </label>
          ))}
          <button type="button" disabled={!both} onClick={() => change({ left: right, right: left })}>
            {t("compare.swap")}
          </button>
        </div>
      </div>
      {!both ? (
        <Panel title={t("compare.operations")}>
          <p className="empty">{t("compare.choose.two")}</p>
        </Panel>
      ) : (
        <Compared answer={answer} />
      )}
    </div>
  );
}

function Compared({ answer }: { answer: ReturnType<typeof useAnswer<CompareRunsAnswer>> }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const [only, setOnly] = useState<Verdict | "all">("all");
  const data = answer.data;
  const all = data?.operations ?? [];
  const shown = only === "all" ? all : all.filter((o) => o.verdict === only);
  const n = (v: Verdict) => all.filter((o) => o.verdict === v).length;
  return (
    <>
      {data && (
        <ul className="figures">
          <Side title={t("compare.left")} side={data.a} />
          <Side title={t("compare.right")} side={data.b} />
          {VERDICTS.map((v) => (
            <li key={v}>
              <p>{t(`compare.${v}`)}</p>
              <p className={`figure ${v === "worse" && n(v) > 0 ? "rose" : v === "better" && n(v) > 0 ? "fell" : ""}`}>
                {count(n(v))}
              </p>
              <p className="dim">{t("compare.n.operations")}</p>
            </li>
          ))}
        </ul>
      )}
      <Panel
        title={t("compare.operations")}
        note={t("compare.note")}
        answer={answer}
        minHeight={240}
        flush
        actions={
          <Segmented
            name={t("compare.verdict")}
            value={only}
            options={[
              { value: "all", label: t("operations.all") },
              ...VERDICTS.map((v) => ({ value: v, label: t(`compare.${v}`) })),
            ]}
            onChange={(v) => setOnly(v)}
          />
        }
      >
        <Table
          caption={t("compare.operations")}
          rows={shown}
          rowKey={(o) => [o.service, o.operation, o.kind, o.peer].join("|")}
          order={parseOrder(scope.sort, { column: "verdict", descending: false })}
          setOrder={(o) => change({ sort: printOrder(o) }, { replace: true })}
          columns={useColumns(data)}
          empty={t("compare.none")}
        />
      </Panel>
    </>
  );
}

function Side({ title, side }: { title: string; side: RunWindow }) {
  const { t } = useText();
  return (
    <li>
      <p>{title}</p>
      <p className="figure small-figure">{side.name ?? windowText(side)}</p>
      {side.name && <p className="dim">{windowText(side)}</p>}
      <p className="dim">
        {[
          side.qps != null && `${number(side.qps)}/s`,
          side.requests != null && t("compare.requests", { n: count(side.requests) }),
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
    </li>
  );
}

function useColumns(data: CompareRunsAnswer | undefined): Column<ComparedOperation>[] {
  const { t, word } = useText();
  const order: Record<string, number> = { worse: 0, better: 1, no_evidence: 2 };
  const size = (o: ComparedOperation) => Math.abs(o.change_ns ?? 0);
  const largest = Math.max(1, ...(data?.operations ?? []).map(size));
  const pair = (o: ComparedOperation, of: (s: ComparedOperation["a"]) => string) => (
    <span className="two-lines">
      <span>{of(o.b)}</span>
      <span className="dim">{t("hotspot.was", { value: of(o.a) })}</span>
    </span>
  );
  return [
    {
      id: "verdict",
      title: t("compare.verdict"),
      // Within a verdict the largest change first.
      value: (o) => (order[o.verdict] ?? 3) + 1 - size(o) / (largest * 1.001),
      cell: (o) => <VerdictTag verdict={o.verdict} />,
    },
    {
      id: "operation",
      title: t("col.operation"),
      className: "wide",
      value: (o) => `${o.service} ${o.operation}`,
      cell: (o) => (
        <span className="two-lines">
          <span>
            <ServiceName name={o.service} /> <span className="op">{o.operation}</span>
          </span>
          {o.peer && <span className="dim">→ {o.peer}</span>}
        </span>
      ),
    },
    { id: "measure", title: t("compare.measure"), cell: (o) => (o.measure ? word("measure", o.measure) : "–") },
    {
      id: "change",
      title: t("col.change"),
      numeric: true,
      value: (o) => o.change_ns ?? null,
      cell: (o) => (
        <span className="two-lines">
          <span className={o.verdict === "worse" ? "rose" : o.verdict === "better" ? "fell" : undefined}>
            {changeText(o.change_ns)}
          </span>
          {o.interval_ns && (
            <span className="dim">
              {changeText(o.interval_ns[0])} … {changeText(o.interval_ns[1])}
            </span>
          )}
        </span>
      ),
    },
    {
      id: "p50",
      title: "p50",
      numeric: true,
      value: (o) => o.b.p50_ns ?? null,
      cell: (o) => pair(o, (s) => duration(s.p50_ns)),
    },
    {
      id: "p99",
      title: "p99",
      numeric: true,
      value: (o) => o.b.p99_ns ?? null,
      cell: (o) => pair(o, (s) => duration(s.p99_ns)),
    },
    {
      id: "errors",
      title: t("col.errors"),
      numeric: true,
      value: (o) => o.b.error_rate ?? null,
      cell: (o) => pair(o, (s) => percent(s.error_rate)),
    },
    {
      id: "count",
      title: t("col.count"),
      numeric: true,
      value: (o) => o.b.count,
      cell: (o) => pair(o, (s) => count(s.count)),
    },
    {
      id: "confidence",
      title: t("col.confidence"),
      numeric: true,
      value: (o) => o.confidence ?? null,
      cell: (o) => confidence(o.confidence),
    },
  ];
}

const SIGNS: Record<Verdict, string> = { worse: "▲", better: "▼", no_evidence: "=" };

function VerdictTag({ verdict }: { verdict: Verdict }) {
  const { t } = useText();
  return (
    <span className={`tag ${verdict}`}>
      <span aria-hidden="true">{SIGNS[verdict]} </span>
      {t(`compare.${verdict}`)}
    </span>
  );
}
