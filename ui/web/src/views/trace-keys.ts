// The keys of the trace page: walk the rows, jump along the critical path, to errors, between siblings; fold; zoom.

import type { TraceSpan } from "../api/types";
import type { nextRow, Row, Tree } from "../lib/waterfall";

export interface TraceActions {
  rows: readonly Row[];
  spans: readonly TraceSpan[];
  tree: Tree;
  selected: number;
  select(row: number): void;
  toggle(row: Row): void;
  zoom(factor: number): void;
  nextRow: typeof nextRow;
}

/** Answers whether the key was one of them. */
export function traceKeys(a: TraceActions): (e: KeyboardEvent) => boolean {
  const row = a.rows[a.selected];
  const move = (to: number) => a.select(Math.min(a.rows.length - 1, Math.max(0, to)));
  const seek = (step: 1 | -1, wanted: (s: TraceSpan, r: Row) => boolean) => {
    const found = a.nextRow(a.rows, a.selected, step, (r) => (r.group ?? [r.span]).some((i) => wanted(a.spans[i], r)));
    if (found >= 0) a.select(found);
  };
  const parent = a.tree.parent[row.span];
  return (e) => {
    switch (e.key) {
      case "j":
      case "ArrowDown":
        move(a.selected + 1);
        return true;
      case "k":
      case "ArrowUp":
        move(a.selected - 1);
        return true;
      case "f":
        seek(1, (s) => (s.critical_path_ns ?? 0) > 0);
        return true;
      case "F":
        seek(-1, (s) => (s.critical_path_ns ?? 0) > 0);
        return true;
      case "e":
        seek(1, (s) => s.status_code === "ERROR");
        return true;
      case "]":
        seek(1, (_, r) => a.tree.parent[r.span] === parent && r.depth === row.depth);
        return true;
      case "[":
        seek(-1, (_, r) => a.tree.parent[r.span] === parent && r.depth === row.depth);
        return true;
      case "ArrowRight":
        if (row.expandable && !row.expanded) a.toggle(row);
        else move(a.selected + 1);
        return true;
      case "ArrowLeft":
        if (row.expandable && row.expanded) a.toggle(row);
        else if (parent >= 0) move(a.rows.findIndex((r) => !r.group && r.span === parent));
        return true;
      case "+":
      case "=":
        a.zoom(0.5);
        return true;
      case "-":
        a.zoom(2);
        return true;
      case "0":
        a.zoom(0);
        return true;
      default:
        return false;
    }
  };
}
