// Operations of two runs: better, worse or no evidence, each with its surest figure; a row opens to all of them.

import { useText } from "../i18n";
import {
  type ComparedOperation,
  chance,
  figure,
  interval,
  type Measured,
  ratio,
  ratioText,
  signed,
} from "../lib/comparison";
import { count } from "../lib/format";
import { useOpenRow, useOrder } from "../state/use-table";
import { Before } from "./before";
import { ExampleTrace } from "./example-trace";
import { OperationName, peerOf } from "./operation-name";
import { Table } from "./table";

export function RunDiffTable({ operations }: { operations: readonly ComparedOperation[] }) {
  const { t, word } = useText();
  const order = useOrder();
  const open = useOpenRow();
  return (
    <Table
      caption={t("compare.operations")}
      rows={operations}
      rowKey={keyOf}
      {...order}
      {...open}
      detail={(o) => (
        <>
          <Measures operation={o} />
          <Examples operation={o} />
        </>
      )}
      empty={t("compare.none")}
      columns={[
        {
          id: "outcome",
          title: t("compare.verdict"),
          cell: (o) => (
            <span className="two-lines">
              <OutcomeTag outcome={o.outcome} />
              {o.reason && <span className="dim">{word("comparereason", o.reason)}</span>}
            </span>
          ),
        },
        {
          id: "operation",
          title: t("col.operation"),
          className: "wide",
          value: (o) => `${o.service} ${o.operation}`,
          cell: (o) => <OperationName service={o.service} operation={o.operation} below={peerOf(o)} />,
        },
        { id: "measure", title: t("compare.measure"), cell: (o) => (o.measure ? word("measure", o.measure) : "–") },
        { id: "before", title: t("compare.left"), numeric: true, cell: (o) => figure(o.measure, o.before) },
        { id: "after", title: t("compare.right"), numeric: true, cell: (o) => figure(o.measure, o.after) },
        {
          id: "change",
          title: t("col.change"),
          doc: t("compare.interval"),
          numeric: true,
          cell: (o) => (
            <span className="two-lines">
              <span className={tone(o.outcome)}>{signed(o.measure, o.change)}</span>
              <Interval of={o} />
            </span>
          ),
        },
        {
          id: "ratio",
          title: t("compare.ratio"),
          numeric: true,
          value: (o) => ratio(o),
          cell: (o) => ratioText(ratio(o)),
        },
        { id: "q", title: t("compare.q"), doc: t("compare.q.doc"), numeric: true, cell: (o) => chance(o.q) },
        {
          id: "calls",
          title: t("map.count"),
          numeric: true,
          value: (o) => o.calls_b,
          cell: (o) => <Before now={count(o.calls_b)} before={count(o.calls_a)} />,
        },
      ]}
    />
  );
}

function keyOf(o: ComparedOperation): string {
  return [o.service, o.operation, o.kind ?? "", o.peer ?? ""].join("|");
}

function Measures({ operation }: { operation: ComparedOperation }) {
  const { t, word } = useText();
  if (operation.measures.length === 0) return <p className="dim">{t("compare.nofigures")}</p>;
  return (
    <Table
      caption={operation.operation}
      rows={operation.measures}
      rowKey={(m) => m.measure}
      columns={[
        { id: "measure", title: t("compare.measure"), cell: (m) => word("measure", m.measure) },
        { id: "before", title: t("compare.left"), numeric: true, cell: (m) => figure(m.measure, m.before) },
        { id: "after", title: t("compare.right"), numeric: true, cell: (m) => figure(m.measure, m.after) },
        { id: "change", title: t("col.change"), numeric: true, cell: (m) => signed(m.measure, m.change) },
        { id: "interval", title: t("compare.interval.short"), numeric: true, cell: (m) => <Interval of={m} /> },
        { id: "q", title: t("compare.q"), doc: t("compare.q.doc"), numeric: true, cell: (m) => chance(m.q) },
      ]}
    />
  );
}

/** Typical traces that show the change, beside those of the operation as it was. */
function Examples({ operation }: { operation: ComparedOperation }) {
  const { t } = useText();
  const sides = [
    { title: t("compare.left"), ids: operation.exemplars_a ?? [] },
    { title: t("compare.right"), ids: operation.exemplars_b ?? [] },
  ].filter((side) => side.ids.length > 0);
  if (sides.length === 0) return null;
  return (
    <p className="compare-examples">
      <b title={t("compare.examples.doc")}>{t("compare.examples")}</b>
      {sides.map(({ title, ids }) => (
        <span key={title}>
          <span className="dim">{title}</span>
          {ids.map((id) => (
            <ExampleTrace key={id} id={id} at={operation} />
          ))}
        </span>
      ))}
    </p>
  );
}

export function Interval({ of }: { of: Partial<Measured> }) {
  const text = interval(of);
  return text && <span className="dim">{text}</span>;
}

export function tone(outcome: ComparedOperation["outcome"]): string | undefined {
  return outcome === "worse" ? "rose" : outcome === "better" ? "fell" : undefined;
}

const SIGNS: Record<ComparedOperation["outcome"], string> = { worse: "▲", better: "▼", same: "=", no_evidence: "?" };

interface OutcomeTagProps {
  outcome: ComparedOperation["outcome"];
  /** Of something that is worse when there is less of it. */
  lessIsWorse?: boolean;
}

export function OutcomeTag({ outcome, lessIsWorse = false }: OutcomeTagProps) {
  const { t } = useText();
  const turned = { ...SIGNS, worse: SIGNS.better, better: SIGNS.worse };
  return (
    <span className={`tag ${outcome}`}>
      <span aria-hidden="true">{(lessIsWorse ? turned : SIGNS)[outcome]} </span>
      {t(`compare.${outcome}`)}
    </span>
  );
}
