// Runs as a table; two of them are picked to be compared.

import { Link } from "wouter";
import type { Params } from "../api/client";
import type { Run } from "../api/runs";
import { useText } from "../i18n";
import { dateTime, duration } from "../lib/format";
import { printLabels } from "../lib/labels";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";
import { Table } from "./table";

/** A run as parameters of an analysis: its time, and its traces alone where they say that they are its. */
export function ofRun(run: Run): Params {
  return { run: run.id };
}

/** How often hot spots of a run are asked for again: while it goes on, and until its last traces are assembled. */
export function everyMs(run: Run, nowMs = Date.now()): number | false {
  return run.end_time === null || nowMs - Date.parse(run.end_time) < SETTLED_MS ? 5_000 : false;
}

/** A trace is assembled when it was quiet for 12 s. */
const SETTLED_MS = 30_000;

export function RunList({ runs, picked, pick }: { runs: readonly Run[]; picked: string[]; pick(id: string): void }) {
  const { t } = useText();
  const { link } = useScope();
  const order = useOrder({ column: "start", descending: true });
  const lasted = (r: Run) => ((r.end_time ? Date.parse(r.end_time) : Date.now()) - Date.parse(r.start_time)) * 1e6;
  return (
    <Table
      caption={t("page.runs")}
      rows={runs}
      rowKey={(r) => r.id}
      empty={t("runs.none")}
      {...order}
      columns={[
        {
          id: "pick",
          title: <span className="sr-only">{t("runs.pick")}</span>,
          cell: (r) => (
            <input
              type="checkbox"
              aria-label={t("runs.pick.one", { name: r.name })}
              checked={picked.includes(r.id)}
              onChange={() => pick(r.id)}
            />
          ),
        },
        {
          id: "name",
          title: t("runs.name"),
          className: "wide",
          value: (r) => r.name,
          cell: (r) => (
            <span className="two-lines">
              <Link className="strong" href={link(`/runs/${encodeURIComponent(r.id)}`, { run: "" })}>
                {r.name}
              </Link>
              {r.notes && <span className="dim clipped">{r.notes}</span>}
            </span>
          ),
        },
        {
          id: "state",
          title: t("health.state"),
          value: (r) => (r.end_time ? 1 : 0),
          cell: (r) => <RunState run={r} />,
        },
        {
          id: "start",
          title: t("col.start"),
          value: (r) => r.start_time,
          cell: (r) => dateTime(Date.parse(r.start_time)),
        },
        { id: "duration", title: t("col.duration"), numeric: true, value: lasted, cell: (r) => duration(lasted(r)) },
        {
          id: "labels",
          title: t("runs.labels"),
          cell: (r) => <span className="mono">{printLabels(r.labels ?? {}) || "–"}</span>,
        },
      ]}
    />
  );
}

export function RunState({ run }: { run: Run }) {
  const { t } = useText();
  if (run.end_time) return <span className="tag">{t("runs.ended")}</span>;
  return (
    <span className="tag running">
      <span aria-hidden="true">● </span>
      {t("runs.running")}
    </span>
  );
}
