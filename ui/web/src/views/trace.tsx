// One trace: the waterfall with its critical path, opened at the span one came for.

import { useCallback, useEffect, useMemo, useState } from "react";
import { useParams } from "wouter";
import type { TraceAnswer, TraceSpan } from "../api/types";
import { Minimap } from "../charts/minimap";
import { useText } from "../i18n";
import { count, dateTime, duration } from "../lib/format";
import { microsOfT0 } from "../lib/time";
import { buildTree, extent, type Folding, layoutRows, nextRow, type Row, reveal, type Tree } from "../lib/waterfall";
import { CopyButton } from "../parts/copy";
import { Panel } from "../parts/panel";
import { SpanDetails } from "../parts/span-details";
import { Waterfall } from "../parts/waterfall";
import { useAnswer } from "../state/answers";
import { isTyping } from "../state/keys";
import type { Scope } from "../state/scope";
import { useScope } from "../state/use-scope";
import { traceKeys } from "./trace-keys";

const GROUP_FROM = 5;
/** Flags that are said with the number of their spans. */
const COUNTED_FLAGS = ["orphan", "clock_skew"];

export default function Trace() {
  const { id = "" } = useParams<{ id: string }>();
  return <TracePage key={id} id={id} />;
}

function TracePage({ id }: { id: string }) {
  const { t } = useText();
  const answer = useAnswer<TraceAnswer>(`traces/${encodeURIComponent(id)}`, { limit: 50_000 });
  const trace = answer.data;
  return (
    <div className="page trace-page">
      <div className="page-head">
        <h1>
          {t("page.trace")} <span className="mono id">{id}</span>
        </h1>
        <CopyButton text={id} />
      </div>
      {trace && trace.spans.length > 0 ? (
        <TraceView trace={trace} />
      ) : (
        <Panel title={t("trace.spans")} answer={answer} minHeight={400}>
          <p className="empty">{t("trace.empty")}</p>
        </Panel>
      )}
    </div>
  );
}

function TraceView({ trace }: { trace: TraceAnswer }) {
  const { t, word } = useText();
  const { scope, change } = useScope();
  const { spans } = trace;
  const tree = useMemo(() => buildTree(spans), [spans]);
  const depths = useMemo(() => depthsOf(tree, spans.length), [tree, spans]);
  const range = useMemo(() => extent(spans), [spans]);
  const [view, setView] = useState<[number, number]>(range);
  const [wanted] = useState(() => spanWanted(spans, scope));
  const [folding, setFolding] = useState<Folding>(() =>
    reveal(spans, tree, wanted, { collapsed: new Set(), opened: new Set(), groupFrom: GROUP_FROM }),
  );
  const rows = useMemo(() => layoutRows(spans, tree, folding), [spans, tree, folding]);
  const [key, setKey] = useState(() => spans[wanted].span_id);
  const selected = Math.max(
    0,
    rows.findIndex((r) => r.key === key),
  );
  const span = spans[rows[selected].span];

  const select = useCallback(
    (index: number) => {
      const row = rows[index];
      if (!row) return;
      setKey(row.key);
      change({ focus: spans[row.span].span_id }, { replace: true });
    },
    [rows, spans, change],
  );
  const toggle = useCallback((row: Row) => setFolding((f) => toggled(f, row)), []);
  const zoom = useCallback((factor: number) => setView((v) => zoomed(v, range, span, factor)), [range, span]);

  useEffect(() => {
    const onKey = traceKeys({ rows, spans, tree, selected, select, toggle, zoom, nextRow });
    const listener = (e: KeyboardEvent) => {
      if (!isTyping(e) && !e.ctrlKey && !e.metaKey && !e.altKey && onKey(e)) e.preventDefault();
    };
    document.addEventListener("keydown", listener);
    return () => document.removeEventListener("keydown", listener);
  }, [rows, spans, tree, selected, select, toggle, zoom]);

  const orphans = spans.filter((s) => s.flags.includes("orphan")).length;
  const skewed = spans.filter((s) => s.flags.includes("clock_skew")).length;
  return (
    <>
      <p className="trace-facts">
        <span>{dateTime(microsOfT0(trace.t0) / 1e3)}</span>
        <span className="strong">{duration(trace.duration_ns)}</span>
        <span>{t("trace.count.spans", { n: count(spans.length) })}</span>
        <span>{t("trace.count.services", { n: trace.services })}</span>
        <span>{t("trace.count.depth", { n: trace.depth })}</span>
        <span>{t("trace.count.errors", { n: spans.filter((s) => s.status_code === "ERROR").length })}</span>
      </p>
      {trace.truncated && <p className="hint">{t("trace.truncated", { n: count(spans.length) })}</p>}
      {skewed > 0 && <p className="hint">{t("trace.skewed", { n: skewed })}</p>}
      {orphans > 0 && <p className="hint">{t("trace.orphans", { n: orphans })}</p>}
      {trace.flags
        .filter((f) => !COUNTED_FLAGS.includes(f))
        .map((f) => (
          <p className="hint" key={f}>
            {word("flag", f)}
          </p>
        ))}
      <div className="trace-tools">
        <Minimap spans={spans} depths={depths} range={range} view={view} setView={setView} />
        <div className="tool-buttons">
          <button type="button" onClick={() => zoom(0.5)} aria-label={t("trace.zoomin")}>
            +
          </button>
          <button type="button" onClick={() => zoom(2)} aria-label={t("trace.zoomout")}>
            −
          </button>
          <button type="button" onClick={() => setView(range)} disabled={view === range}>
            {t("trace.zoomall")}
          </button>
          <label className="check">
            <input
              type="checkbox"
              checked={folding.groupFrom > 0}
              onChange={(e) => setFolding((f) => ({ ...f, groupFrom: e.target.checked ? GROUP_FROM : 0 }))}
            />
            {t("trace.group")}
          </label>
          <span className="legend-critical">
            <b aria-hidden="true">●</b> {t("trace.critical")}
          </span>
        </div>
      </div>
      <div className="trace-columns">
        <Waterfall spans={spans} rows={rows} view={view} selected={selected} select={select} toggle={toggle} />
        <SpanDetails trace={trace} span={span} />
      </div>
    </>
  );
}

/** The span one came for: the one named in the address, else the costliest of the scope's operation, else the root. */
function spanWanted(spans: readonly TraceSpan[], scope: Scope): number {
  const named = scope.focus ? spans.findIndex((s) => s.span_id === scope.focus) : -1;
  if (named >= 0) return named;
  let best = -1;
  spans.forEach((s, i) => {
    if (!scope.service || s.service !== scope.service) return;
    if (scope.operation && s.name !== scope.operation) return;
    if (scope.kind && s.kind !== scope.kind) return;
    if (best === -1 || (s.critical_path_ns ?? 0) > (spans[best].critical_path_ns ?? 0)) best = i;
  });
  return best >= 0
    ? best
    : Math.max(
        0,
        spans.findIndex((s) => s.parent_span_id === ""),
      );
}

function depthsOf(tree: Tree, n: number): Int32Array {
  const depths = new Int32Array(n);
  const stack = [...tree.roots];
  while (stack.length > 0) {
    const i = stack.pop()!;
    for (const c of tree.children[i]) {
      depths[c] = depths[i] + 1;
      stack.push(c);
    }
  }
  return depths;
}

function toggled(folding: Folding, row: Row): Folding {
  const field = row.group ? "opened" : "collapsed";
  const keys = new Set(folding[field]);
  if (!keys.delete(row.key)) keys.add(row.key);
  return { ...folding, [field]: keys };
}

/** Zooms around the middle of the selected span, inside the trace. */
function zoomed(view: [number, number], range: [number, number], span: TraceSpan, factor: number): [number, number] {
  if (factor === 0) return range;
  const whole = range[1] - range[0];
  const length = Math.min(whole, Math.max(whole / 1e5, (view[1] - view[0]) * factor));
  const middle = span.start_ns + span.duration_ns / 2;
  const start = Math.min(range[1] - length, Math.max(range[0], middle - length / 2));
  return length >= whole ? range : [start, start + length];
}
