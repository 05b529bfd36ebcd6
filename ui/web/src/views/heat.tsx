// One operation's latency as a heat map, and what is different about the spans one selects in it.

import { useEffect, useMemo, useState } from "react";
import type { CompareAnswer, HeatMapAnswer } from "../api/types";
import { type BrushShape, HeatCanvas } from "../charts/heat-canvas";
import { useText } from "../i18n";
import { count, duration } from "../lib/format";
import { cellsOf, countIn, type HeatGrid, type Selection, summedArea } from "../lib/heat";
import { microsOfT0 } from "../lib/time";
import { Differences } from "../parts/differences";
import { HeatTable } from "../parts/heat-table";
import { Nothing } from "../parts/nothing";
import { OperationPicker } from "../parts/operation-picker";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { aboveBaseline, SelectionFields, SelectionPresets, slowest } from "../parts/selection";
import { useAnswer } from "../state/answers";
import { compareParams, rangeParams } from "../state/params";
import { useScope } from "../state/use-scope";

export default function Heat() {
  const { t } = useText();
  const { scope, change } = useScope();
  const [shape, setShape] = useState<BrushShape>("box");
  const heat = useAnswer<HeatMapAnswer>("heatmap", { ...rangeParams(scope), columns: 120, rows: 40 }, { live: true });
  const grid = useMemo(() => (heat.data ? gridOf(heat.data) : null), [heat.data]);
  const select = (selection: Selection | null) => change({ selection }, { replace: scope.selection !== null });
  useEffect(() => {
    if (!grid || heat.old || scope.selection || !scope.tab) return;
    const selection =
      scope.tab === "above-baseline" && scope.baseline ? aboveBaseline(grid, scope.baseline) : slowest(grid);
    change({ selection, tab: "" }, { replace: true });
  }, [grid, heat.old, scope, change]);
  const some = (heat.data?.total ?? 0) > 0;
  const what = scope.service ? `${scope.service} · ${scope.operation || t("heat.alloperations")}` : t("heat.requests");

  return (
    <div className="page">
      <div className="page-head">
        <h1>{what}</h1>
        <OperationPicker />
      </div>
      <div className="heat-columns">
        <Panel
          title={t("page.heat")}
          note={some && t("heat.total", { n: count(heat.data?.total ?? 0) })}
          answer={heat}
          minHeight={430}
          actions={
            some && (
              <Segmented
                name={t("heat.shape")}
                value={shape}
                options={(["box", "strip", "band"] as const).map((s) => ({ value: s, label: t(`heat.${s}`) }))}
                onChange={(s) => setShape(s)}
              />
            )
          }
        >
          {heat.data && grid && some ? (
            <>
              <HeatCanvas
                grid={grid}
                errors={heat.data.errors}
                max={heat.data.max}
                selection={scope.selection}
                shape={shape}
                select={select}
                summary={t("heat.summary", {
                  n: count(heat.data.total),
                  low: duration(grid.edges[1]),
                  high: duration(grid.edges[grid.rows]),
                })}
              />
              <SelectionPresets grid={grid} select={select} selection={scope.selection} />
              <SelectionFields
                key={JSON.stringify(scope.selection)}
                selection={scope.selection}
                grid={grid}
                select={select}
              />
              <HeatTable grid={grid} errors={heat.data.errors} selection={scope.selection} />
            </>
          ) : (
            <Nothing text={t("heat.empty")} />
          )}
        </Panel>
        {(heat.data?.total !== 0 || scope.selection) && <Comparison grid={grid} />}
      </div>
    </div>
  );
}

function Comparison({ grid }: { grid: HeatGrid | null }) {
  const { t } = useText();
  const { scope } = useScope();
  const compare = useAnswer<CompareAnswer>("compare", compareParams(scope), { off: scope.selection === null });
  const table = useMemo(() => (grid ? summedArea(grid) : null), [grid]);
  if (!scope.selection) {
    return (
      <Panel title={t("diff.title")}>
        <p className="empty">{t("diff.none")}</p>
      </Panel>
    );
  }
  const estimate = grid && table ? countIn(table, grid.rows, cellsOf(grid, scope.selection)) : 0;
  const n = compare.data && !compare.old ? compare.data.selection.spans : estimate;
  return (
    <Panel
      title={t("diff.title")}
      answer={compare}
      minHeight={200}
      note={
        <span aria-live="polite">
          {t("diff.counts", { n: count(n), m: compare.data ? count(compare.data.baseline.spans) : "…" })}
        </span>
      }
    >
      {compare.data && <Differences answer={compare.data} />}
    </Panel>
  );
}

function gridOf(answer: HeatMapAnswer): HeatGrid {
  return {
    t0: microsOfT0(answer.t0),
    binUs: answer.bin_us,
    columns: answer.columns,
    rows: answer.edges_ns.length - 1,
    edges: answer.edges_ns,
    counts: answer.counts,
  };
}
