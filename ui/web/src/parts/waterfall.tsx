// The rows of a trace: only those in sight are in the page. Names, bars and figures have columns of their own, so that
// no figure ever stands on a bar.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { TraceSpan } from "../api/types";
import { useText } from "../i18n";
import { count, duration } from "../lib/format";
import { serviceColor } from "../lib/palette";
import { type Row, ticks } from "../lib/waterfall";

export interface WaterfallProps {
  spans: readonly TraceSpan[];
  rows: readonly Row[];
  view: [number, number];
  selected: number;
  select(row: number): void;
  toggle(row: Row): void;
}

const ROW_HEIGHT = 26;

export function Waterfall({ spans, rows, view, selected, select, toggle }: WaterfallProps) {
  const { t } = useText();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolling follows the selection only
  useEffect(() => {
    if (selected >= 0) virtual.scrollToIndex(selected, { align: "auto" });
  }, [selected]);
  const marks = ticks(0, view[1] - view[0], 5);
  return (
    <div
      className="waterfall"
      role="treegrid"
      aria-label={t("trace.spans")}
      aria-rowcount={rows.length + 1}
      aria-activedescendant={selected >= 0 ? `row-${selected}` : undefined}
      tabIndex={0}
    >
      <div role="rowgroup">
        <div className="wf-row wf-head" role="row" aria-rowindex={1}>
          <span role="columnheader">{t("col.operation")}</span>
          <span role="columnheader" className="wf-axis" aria-label={t("trace.timeline")}>
            {marks.slice(0, -1).map((m) => (
              <i key={m} style={{ left: `${(m / (view[1] - view[0])) * 100}%` }}>
                {duration(view[0] + m)}
              </i>
            ))}
          </span>
          <span role="columnheader" className="num">
            {t("col.duration")}
          </span>
          <span role="columnheader" className="num" title={t("col.self.doc")}>
            {t("col.self")}
          </span>
        </div>
      </div>
      <div className="wf-scroll" ref={scroller} role="rowgroup">
        <div style={{ height: virtual.getTotalSize(), position: "relative" }} role="presentation">
          {virtual.getVirtualItems().map((item) => (
            <WaterfallRow
              key={rows[item.index].key + item.index}
              index={item.index}
              top={item.start}
              row={rows[item.index]}
              above={item.index > 0 ? spans[rows[item.index - 1].span].service : null}
              spans={spans}
              view={view}
              selected={item.index === selected}
              select={select}
              toggle={toggle}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

interface RowProps extends Pick<WaterfallProps, "spans" | "view" | "select" | "toggle"> {
  index: number;
  top: number;
  row: Row;
  /** The service of the row above: its name is not repeated. */
  above: string | null;
  selected: boolean;
}

function WaterfallRow({ index, top, row, above, spans, view, selected, select, toggle }: RowProps) {
  const { t } = useText();
  const span = spans[row.span];
  const members = row.group ? row.group.map((i) => spans[i]) : [span];
  const critical = members.some((s) => (s.critical_path_ns ?? 0) > 0);
  const failed = members.some((s) => s.status_code === "ERROR");
  const total = members.reduce((sum, s) => sum + s.duration_ns, 0);
  const self = members.reduce((sum, s) => sum + (s.self_time_ns ?? 0), 0);
  return (
    <div
      id={`row-${index}`}
      role="row"
      aria-rowindex={index + 2}
      aria-level={row.depth + 1}
      aria-expanded={row.expandable ? row.expanded : undefined}
      aria-selected={selected}
      className={`wf-row ${selected ? "selected" : ""} ${failed ? "failed" : ""}`}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => select(index)}
      onDoubleClick={() => row.expandable && toggle(row)}
    >
      <span role="gridcell" className="wf-name" style={{ paddingLeft: indent(row.depth) }}>
        {row.expandable ? (
          <button
            type="button"
            className="plain"
            tabIndex={-1}
            aria-label={row.expanded ? t("trace.collapse") : t("trace.expand")}
            onClick={(e) => {
              e.stopPropagation();
              toggle(row);
            }}
          >
            <span className={row.expanded ? "chevron down" : "chevron"} aria-hidden="true" />
          </button>
        ) : (
          <span className="wf-leaf" />
        )}
        <i className="wf-dot" style={{ background: serviceColor(span.service) }} aria-hidden="true" />
        <span className={span.service === above ? "sr-only" : "wf-service"}>{span.service}</span>
        <span className={critical ? "wf-op critical" : "wf-op"} title={span.name}>
          {row.group ? `${count(row.group.length)} × ` : ""}
          {span.name}
        </span>
        {critical && (
          <b className="wf-critical" title={t("trace.oncritical")}>
            ●
          </b>
        )}
        {failed && (
          <b className="wf-error" title={t("trace.failed")}>
            !<span className="sr-only">{t("trace.failed")}</span>
          </b>
        )}
        {span.flags.length > 0 && !row.group && (
          <b className="wf-flag" title={span.flags.join(", ")}>
            ⚑
          </b>
        )}
      </span>
      <span role="gridcell" className="wf-track">
        {members.slice(0, 400).map((s, i) => (
          <Bar key={i} span={s} view={view} />
        ))}
      </span>
      <span role="gridcell" className="num">
        {duration(total)}
      </span>
      <span role="gridcell" className="num">
        {duration(self)}
      </span>
    </div>
  );
}

/** Pixels before a name: whole steps at first, then ever less, so that deep traces keep room for their names. */
function indent(depth: number): number {
  return 6 + Math.min(depth, 10) * 12 + Math.min(40, Math.max(0, depth - 10));
}

function Bar({ span, view }: { span: TraceSpan; view: [number, number] }) {
  const length = view[1] - view[0];
  const place = (from: number, to: number) => {
    const left = Math.max(0, (from - view[0]) / length);
    const right = Math.min(1, (to - view[0]) / length);
    return right < 0 || left > 1 ? null : { left: `${left * 100}%`, width: `${Math.max(0, right - left) * 100}%` };
  };
  const whole = place(span.start_ns, span.start_ns + span.duration_ns);
  if (!whole) return null;
  return (
    <>
      <i className="wf-bar" style={{ ...whole, background: serviceColor(span.service) }} />
      {span.critical_segments.map(([from, to], i) => {
        const at = place(from, to);
        return at && <i key={i} className="wf-segment" style={at} />;
      })}
    </>
  );
}
