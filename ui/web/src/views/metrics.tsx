// The metrics explorer: which metrics there are, one of them over time, split by labels.

import { useMemo } from "react";
import type { MetricName, MetricNamesAnswer, MetricSeriesAnswer } from "../api/types";
import { labelOf, MOST_SERIES, SeriesChart } from "../charts/series-chart";
import { useText } from "../i18n";
import { count, inUnit, unitName } from "../lib/format";
import { fillsUp, wholeSteps } from "../lib/series";
import { parseTime } from "../lib/time";
import { Nothing } from "../parts/nothing";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { Table } from "../parts/table";
import { useAnswer } from "../state/answers";
import type { Scope } from "../state/scope";
import { useScope } from "../state/use-scope";

const AGGREGATES = ["avg", "max", "min", "sum", "rate", "p50", "p99", "count"] as const;
const GROUPS = ["service_name", "instance_id"] as const;

export default function Metrics() {
  const { t } = useText();
  const { scope, change } = useScope();
  const { start, end, service } = scope;
  const names = useAnswer<MetricNamesAnswer>("metrics/names", { start, end, service });
  const all = names.data?.metrics ?? [];
  const wanted = scope.query.trim().toLowerCase();
  const found = wanted ? all.filter((m) => `${m.name} ${m.description}`.toLowerCase().includes(wanted)) : all;
  const chosen = all.find((m) => m.name === scope.focus) ?? all[0];
  return (
    <div className="page">
      <h1>{t("page.metrics")}</h1>
      <div className="metrics-columns">
        <Panel title={t("metrics.names")} note={names.data && count(found.length)} answer={names} minHeight={300} flush>
          <div className="pad">
            <input
              type="search"
              aria-label={t("metrics.find")}
              placeholder={t("metrics.find")}
              value={scope.query}
              onChange={(e) => change({ query: e.target.value }, { replace: true })}
            />
          </div>
          <ul className="metric-names">
            {found.map((m) => (
              <li key={m.name}>
                <button
                  type="button"
                  aria-pressed={m === chosen}
                  onClick={() => change({ focus: m.name, aggregate: "", group: scope.group })}
                >
                  <span className="mono">{m.name}</span>
                  <span className="dim">
                    {m.type.toLowerCase().replace("_", " ")}
                    {unitName(m.unit) ? ` · ${unitName(m.unit)}` : ""}
                  </span>
                </button>
              </li>
            ))}
          </ul>
          {names.data && found.length === 0 && <Nothing of="metrics" text={t("metrics.none")} />}
        </Panel>
        {chosen && <Metric metric={chosen} />}
      </div>
    </div>
  );
}

function Metric({ metric }: { metric: MetricName }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const groups = scope.group ? scope.group.split(",") : ["service_name"];
  const answer = useAnswer<MetricSeriesAnswer>(
    "metrics/series",
    {
      name: metric.name,
      start: scope.start,
      end: scope.end,
      service: scope.service,
      instance: scope.instance,
      attr: scope.attributes.map((a) => `${a.key}=${a.value}`),
      group_by: groups.filter((g) => g !== "none").join(","),
      agg: scope.aggregate,
    },
    { live: true },
  );
  const setGroup = (name: string, on: boolean) =>
    change(
      { group: (on ? [...groups, name] : groups.filter((g) => g !== name)).join(",") || "none" },
      { replace: true },
    );
  const extra = groups.filter((g) => g !== "none" && !(GROUPS as readonly string[]).includes(g)).join(",");
  const data = useMemo(() => answer.data && withoutRest(answer.data, scope), [answer.data, scope]);
  const more = data ? data.series.length - MOST_SERIES : 0;
  return (
    <Panel
      title={<span className="mono">{metric.name}</span>}
      note={metric.description}
      answer={answer}
      minHeight={420}
    >
      <div className="fields">
        <Segmented
          name={t("metrics.aggregate")}
          value={AGGREGATES.find((a) => a === scope.aggregate) ?? "auto"}
          options={[
            { value: "auto" as const, label: t("metrics.auto") },
            ...AGGREGATES.map((a) => ({ value: a, label: a })),
          ]}
          onChange={(a) => change({ aggregate: a === "auto" ? "" : a }, { replace: true })}
        />
        <span className="dim">{t("metrics.groupby")}</span>
        {GROUPS.map((g) => (
          <label className="check" key={g}>
            <input type="checkbox" checked={groups.includes(g)} onChange={(e) => setGroup(g, e.target.checked)} />
            {g}
          </label>
        ))}
        <label>
          <span className="sr-only">{t("metrics.groupby.attribute")}</span>
          <input
            key={extra}
            defaultValue={extra}
            placeholder={t("metrics.groupby.attribute")}
            onKeyDown={(e) => e.key === "Enter" && e.currentTarget.blur()}
            onBlur={(e) => {
              const kept = groups.filter((g) => (GROUPS as readonly string[]).includes(g));
              const named = e.target.value
                .split(/[,，]/)
                .map((g) => g.trim())
                .filter(Boolean);
              const next = [...kept, ...named].join(",") || "none";
              if (e.target.value.trim() !== extra) change({ group: next }, { replace: true });
            }}
          />
        </label>
      </div>
      {data && data.series.length > 0 ? (
        <>
          <p className="chart-title">
            {[data.agg, unitName(data.unit) && t("metrics.unit", { unit: unitName(data.unit) })]
              .filter(Boolean)
              .join(" · ")}
          </p>
          <SeriesChart answer={data} summary={t("metrics.summary", { name: metric.name, n: data.series.length })} />
          {more > 0 && <p className="hint">{t("metrics.more", { n: more })}</p>}
          {data.truncated && <p className="hint">{t("state.partial")}</p>}
          <SeriesTable answer={data} />
        </>
      ) : (
        data && <Nothing of="metrics" />
      )}
    </Panel>
  );
}

/** An answer without its last step where that counts what has come so far: it would look like a fall. */
function withoutRest(answer: MetricSeriesAnswer, scope: Scope): MetricSeriesAnswer {
  const now = Date.now();
  const length = (parseTime(scope.end, now) ?? now) - (parseTime(scope.start, now) ?? now);
  return fillsUp(answer, scope.aggregate !== "")
    ? { ...answer, series: wholeSteps(answer.series, answer.step_us, length * 1e3) }
    : answer;
}

function SeriesTable({ answer }: { answer: MetricSeriesAnswer }) {
  const { t } = useText();
  const rows = useMemo(
    () =>
      answer.series.map((s) => {
        const values = s.values.filter((v): v is number => v !== null);
        const sum = values.reduce((a, b) => a + b, 0);
        return {
          name: labelOf(s.labels),
          last: values.at(-1) ?? null,
          mean: values.length > 0 ? sum / values.length : null,
          low: values.length > 0 ? Math.min(...values) : null,
          high: values.length > 0 ? Math.max(...values) : null,
        };
      }),
    [answer],
  );
  const figure = (v: number | null) => (v === null ? "–" : inUnit(v, answer.unit));
  return (
    <Table
      caption={t("metrics.series")}
      rows={rows}
      rowKey={(r) => r.name}
      columns={[
        { id: "series", title: t("metrics.series"), cell: (r) => r.name, className: "wide" },
        { id: "last", title: t("metrics.last"), numeric: true, cell: (r) => figure(r.last) },
        { id: "mean", title: t("metrics.mean"), numeric: true, cell: (r) => figure(r.mean) },
        { id: "low", title: "min", numeric: true, cell: (r) => figure(r.low) },
        { id: "high", title: "max", numeric: true, cell: (r) => figure(r.high) },
      ]}
    />
  );
}
