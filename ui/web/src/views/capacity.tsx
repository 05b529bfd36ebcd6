// Capacity: how much each node can take, which one is nearest to its limit, and which gives way first at a target load.

import { useState } from "react";
import type { CapacityAnswer, CapacityNode, NodeKind } from "../api/capacity";
import { apiUrl, type Params } from "../api/client";
import { useText } from "../i18n";
import { nodeKey, nodeName, positive, standing } from "../lib/capacity";
import { duration, number, percent } from "../lib/format";
import { CapacityDetail, limitInterval, noLimit } from "../parts/capacity-node";
import { NoRequest, Wider } from "../parts/no-request";
import { OperationPicker } from "../parts/operation-picker";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { type Column, ShareBar, Table } from "../parts/table";
import { SLOW_MS, useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";

const KINDS = ["entry", "service", "dependency", "operation", "instance"] as const satisfies NodeKind[];

export default function Capacity() {
  const { t, lang } = useText();
  const { scope } = useScope();
  const { start, end, service, operation, kind, instance, attr, run } = windowParams(scope);
  const asked = {
    ...{ start, end, service, operation, kind, instance, attr, run },
    p99_ms: positive(scope.p99Limit),
    error_rate: errorShare(scope.errorLimit),
  };
  const question = { ...asked, target_qps: positive(scope.target) };
  const answer = useAnswer<CapacityAnswer>("capacity", question, { live: SLOW_MS });
  const nodes = answer.data?.nodes ?? [];
  const chosen = nodes.find((n) => nodeKey(n) === scope.focus) ?? nodes[0];
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t("page.capacity")}</h1>
        <OperationPicker />
      </div>
      <Panel title={t("capacity.question")} note={t("capacity.question.note")}>
        <Question key={[scope.target, scope.p99Limit, scope.errorLimit].join("|")} />
      </Panel>
      <Panel title={t("overview.verdict")} answer={answer} minHeight={96} timed>
        {answer.data && <Verdict answer={answer.data} />}
        {answer.data?.clock && nodes.length > 0 && <p className="dim">{answer.data.clock[lang]}</p>}
      </Panel>
      {chosen && <CapacityDetail node={chosen} />}
      {nodes.length > 0 && <Nodes nodes={nodes} chosen={chosen ? nodeKey(chosen) : ""} />}
      {nodes.length > 0 && <FlowRules asked={asked} />}
    </div>
  );
}

/** Rules for what guards the services, as files made by the server. */
function FlowRules({ asked }: { asked: Params }) {
  const { t } = useText();
  const forms = [
    { format: "sentinel", name: "Sentinel", file: "flow-rules.json" },
    { format: "envoy", name: "Envoy", file: "local-rate-limits.yaml" },
  ];
  return (
    <Panel title={t("capacity.rules")} note={t("capacity.rules.note")}>
      <p className="run-go">
        {forms.map(({ format, name, file }) => (
          <a key={format} className="button" href={apiUrl("capacity", { ...asked, format })} download={file}>
            {t("capacity.rules.save", { name })}
          </a>
        ))}
      </p>
    </Panel>
  );
}

/** The error limit is typed in percent and sent as a share. */
function errorShare(text: string): number | null {
  const given = positive(text);
  return given === null ? null : given / 100;
}

function Question() {
  const { t } = useText();
  const { scope, change } = useScope();
  const [target, setTarget] = useState(scope.target);
  const [p99, setP99] = useState(scope.p99Limit);
  const [errors, setErrors] = useState(scope.errorLimit);
  const wrong = [target, p99, errors].some((text) => text.trim() !== "" && positive(text) === null);
  const clean = (text: string) => text.trim().replaceAll(",", "");
  return (
    <form
      className="fields"
      onSubmit={(e) => {
        e.preventDefault();
        if (!wrong) change({ target: clean(target), p99Limit: clean(p99), errorLimit: clean(errors) });
      }}
    >
      <label>
        {t("capacity.target")}
        <input
          value={target}
          inputMode="decimal"
          size={9}
          placeholder="40000"
          onChange={(e) => setTarget(e.target.value)}
        />
      </label>
      <label>
        {t("capacity.p99.at")}
        <input value={p99} inputMode="decimal" size={6} placeholder="500" onChange={(e) => setP99(e.target.value)} /> ms
      </label>
      <label>
        {t("capacity.errors.at")}
        <input
          value={errors}
          inputMode="decimal"
          size={4}
          placeholder="1"
          onChange={(e) => setErrors(e.target.value)}
        />{" "}
        %
      </label>
      <button type="submit" className="primary" disabled={wrong}>
        {t("action.apply")}
      </button>
      {wrong && <span className="bad-text">{t("capacity.notanumber")}</span>}
    </form>
  );
}

function Verdict({ answer }: { answer: CapacityAnswer }) {
  const { t } = useText();
  const { forecast, nodes } = answer;
  if (nodes.length === 0) return <NoRequest window={answer.window} />;
  if (forecast) {
    const target = number(forecast.target_qps);
    const isUntold = nodes.every((n) => n.gives_way === null);
    return (
      <>
        <p className={forecast.first ? "verdict-main compare-worse" : "verdict-main"} aria-live="polite">
          {forecast.first
            ? t("capacity.gives", {
                target,
                name: nodeName(forecast.first),
                load: percent(forecast.first.load_at_target),
              })
            : t(isUntold ? "capacity.untold" : forecast.unknown > 0 ? "capacity.holds.known" : "capacity.holds", {
                target,
              })}
        </p>
        <p className="verdict-why">
          {t("capacity.nowqps", { rate: number(forecast.now_qps) })}
          {forecast.unknown > 0 && t("text.between") + t("capacity.unknown.nodes", { n: forecast.unknown })}
        </p>
        {isUntold && <WiderRange />}
      </>
    );
  }
  const nearest = nodes.find((n) => n.headroom !== null);
  // A range that holds one load only says nothing of limits, however high that load is.
  const isUntold = nodes.every((n) => n.capacity_qps === null && n.verdict !== "no_saturation");
  return (
    <>
      <p className="verdict-main" aria-live="polite">
        {nearest
          ? t((nearest.headroom ?? 0) < 0 ? "capacity.beyond.now" : "capacity.nearest", {
              name: nodeName(nearest),
              room: percent(Math.abs(nearest.headroom ?? 0)),
              limit: number(nearest.capacity_qps ?? 0),
            })
          : t(isUntold ? "capacity.unjudged" : "capacity.nolimit")}
      </p>
      {isUntold && <WiderRange />}
    </>
  );
}

/** A longer range may hold the lower loads that a limit is read from. */
function WiderRange() {
  return (
    <p className="verdict-links">
      <Wider />
    </p>
  );
}

function Nodes({ nodes, chosen }: { nodes: readonly CapacityNode[]; chosen: string }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const order = useOrder();
  const kinds = KINDS.filter((k) => nodes.some((n) => n.node === k));
  const only = kinds.find((k) => k === scope.tab) ?? "all";
  const shown = only === "all" ? nodes : nodes.filter((n) => n.node === only);
  return (
    <Panel
      title={t("capacity.nodes")}
      note={t("capacity.nodes.note")}
      flush
      actions={
        kinds.length > 1 && (
          <Segmented
            name={t("capacity.nodes")}
            value={only}
            options={[
              { value: "all", label: t("operations.all") },
              ...kinds.map((k) => ({ value: k, label: t(`nodekind.${k}`) })),
            ]}
            onChange={(k) => change({ tab: k === "all" ? "" : k }, { replace: true })}
          />
        )
      }
    >
      <Table
        caption={t("capacity.nodes")}
        rows={shown}
        rowKey={nodeKey}
        rowClass={(n) => (nodeKey(n) === chosen ? "current" : undefined)}
        {...order}
        columns={useColumns(nodes.some((n) => n.needed_qps !== null))}
      />
    </Panel>
  );
}

function useColumns(hasTarget: boolean): Column<CapacityNode>[] {
  const { t } = useText();
  const { change } = useScope();
  const loadOf = (n: CapacityNode) =>
    hasTarget ? n.load_at_target : n.headroom === null ? null : 1 / (1 + n.headroom);
  return [
    {
      id: "name",
      title: t("capacity.node"),
      className: "wide",
      value: nodeName,
      cell: (n) => (
        <button type="button" className="link" onClick={() => change({ focus: nodeKey(n) }, { replace: true })}>
          {nodeName(n)}
        </button>
      ),
    },
    {
      id: "kind",
      title: t("col.kind"),
      value: (n) => n.node,
      cell: (n) => <span className="tag">{t(`nodekind.${n.node}`)}</span>,
    },
    {
      id: "load",
      title: hasTarget ? t("capacity.load.target") : t("capacity.load"),
      doc: t("capacity.load.doc"),
      value: loadOf,
      cell: (n) => {
        const load = loadOf(n);
        return load === null ? <span className="dim">–</span> : <ShareBar share={load} label={percent(load)} />;
      },
    },
    { id: "standing", title: t("health.state"), cell: (n) => <Standing node={n} /> },
    {
      id: "qps",
      title: t("capacity.now"),
      doc: t("capacity.now.doc"),
      numeric: true,
      value: (n) => n.qps,
      cell: (n) => (n.qps === null ? "–" : `${number(n.qps)}/s`),
    },
    ...(hasTarget
      ? [
          {
            id: "needed",
            title: t("capacity.needed"),
            numeric: true,
            value: (n: CapacityNode) => n.needed_qps,
            cell: (n: CapacityNode) => (n.needed_qps === null ? "–" : `${number(n.needed_qps)}/s`),
          },
        ]
      : []),
    {
      id: "capacity",
      title: t("capacity.capacity"),
      doc: t("capacity.capacity.doc"),
      numeric: true,
      value: (n) => n.capacity_qps,
      cell: (n) => (
        <span className="two-lines">
          {n.capacity_qps !== null ? (
            <span>{number(n.capacity_qps)}/s</span>
          ) : (
            <span className="dim">{n.at_least_qps === null ? "–" : noLimit(n, t)}</span>
          )}
          {n.capacity_by && (
            <span className="dim">
              {n.capacity_by === "throughput" ? limitInterval(n) : t(`capacity.by.${n.capacity_by}`)}
            </span>
          )}
        </span>
      ),
    },
    {
      id: "headroom",
      title: t("capacity.headroom"),
      numeric: true,
      value: (n) => n.headroom,
      cell: (n) => percent(n.headroom),
    },
    { id: "p99", title: "p99", numeric: true, value: (n) => n.p99_ns, cell: (n) => duration(n.p99_ns) },
  ];
}

function Standing({ node }: { node: CapacityNode }) {
  const { t, word } = useText();
  const state = standing(node);
  const why = node.held_up && <span className="dim"> {t("capacity.heldup")}</span>;
  if (state === "over") {
    return (
      <>
        <b className="bad-text">■ {t("capacity.over")}</b>
        {why}
      </>
    );
  }
  if (state === "near") {
    return (
      <>
        <span className="warn-text">▲ {t("capacity.near")}</span>
        {why}
      </>
    );
  }
  if (state === "free") return <span className="good-text">✓ {t("capacity.free")}</span>;
  return <span className="dim">{word("capacityverdict", node.verdict)}</span>;
}
