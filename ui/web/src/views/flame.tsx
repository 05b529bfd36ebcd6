// The call tree over all traces of the window, as a flame graph and as tables.

import { useMemo } from "react";
import type { FlameAnswer } from "../api/types";
import { FlameCanvas } from "../charts/flame-canvas";
import { useText } from "../i18n";
import { type Metric, weigh } from "../lib/flame";
import { count } from "../lib/format";
import { BottomUp, TopDown } from "../parts/flame-tables";
import { Nothing } from "../parts/nothing";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";

const METRICS = ["critical", "self", "total"] as const;

export default function Flame() {
  const { t } = useText();
  const { scope, change } = useScope();
  const answer = useAnswer<FlameAnswer>("flame", windowParams(scope), { live: true });
  const metric: Metric = METRICS.find((m) => m === scope.aggregate) ?? "critical";
  const data = answer.data;
  const weights = useMemo(() => (data ? weigh(data.nodes, metric) : null), [data, metric]);
  const compared = Boolean(weights?.base && data?.baseline_requests);
  const byService = scope.group === "service" || !compared;
  const zoomed = data?.nodes.findIndex((n) => String(n.id) === scope.focus) ?? -1;
  const bottomUp = scope.tab === "bottom-up";
  const setZoom = (node: number | null) =>
    change({ focus: node === null || !data ? "" : String(data.nodes[node].id) }, { replace: true });

  return (
    <div className="page">
      <h1>{t("page.flame")}</h1>
      <Panel
        title={t("flame.title")}
        note={data && t("flame.note", { n: count(data.requests) })}
        answer={answer}
        minHeight={260}
        timed
        actions={
          <>
            <input
              type="search"
              aria-label={t("flame.find")}
              placeholder={t("flame.find")}
              value={scope.query}
              onChange={(e) => change({ query: e.target.value }, { replace: true })}
            />
            <Segmented
              name={t("flame.metric")}
              value={metric}
              options={METRICS.map((m) => ({ value: m, label: t(`flame.${m}`) }))}
              onChange={(m) => change({ aggregate: m === "critical" ? "" : m }, { replace: true })}
            />
            {compared && (
              <Segmented
                name={t("flame.color")}
                value={byService ? "service" : "difference"}
                options={[
                  { value: "difference", label: t("flame.bydifference") },
                  { value: "service", label: t("flame.byservice") },
                ]}
                onChange={(c) => change({ group: c === "service" ? "service" : "" }, { replace: true })}
              />
            )}
          </>
        }
      >
        {data && weights && data.nodes.length > 0 ? (
          <>
            {compared && !byService && (
              <p className="diff-key">
                <span className="key orange">{t("flame.grew")}</span>
                <span className="key blue">{t("flame.shrank")}</span>
              </p>
            )}
            <FlameCanvas
              nodes={data.nodes}
              weights={weights}
              requests={data.requests}
              baselineRequests={data.baseline_requests}
              compare={!byService}
              zoom={zoomed >= 0 ? zoomed : null}
              setZoom={setZoom}
              find={scope.query}
              summary={t("flame.summary", { n: count(data.nodes.length), requests: count(data.requests) })}
            />
          </>
        ) : (
          <Nothing />
        )}
      </Panel>
      {data && weights && data.nodes.length > 0 && (
        <Panel
          title={bottomUp ? t("flame.bottomup") : t("flame.topdown")}
          note={t(compared ? "flame.table.note" : "flame.table.alone")}
          flush
          actions={
            <Segmented
              name={t("flame.table")}
              value={bottomUp ? "bottom-up" : "top-down"}
              options={[
                { value: "top-down", label: t("flame.topdown") },
                { value: "bottom-up", label: t("flame.bottomup") },
              ]}
              onChange={(tab) => change({ tab: tab === "top-down" ? "" : tab }, { replace: true })}
            />
          }
        >
          {bottomUp ? <BottomUp answer={data} /> : <TopDown answer={data} weights={weights} />}
        </Panel>
      )}
    </div>
  );
}
