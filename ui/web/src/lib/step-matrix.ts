// Hot spots of every load level of a run side by side: which operation's time on the critical path grew with the load.

export interface Spot {
  service: string;
  operation: string;
  category: string;
  peer: string | null;
  span_kind: string;
  critical_path_ns_per_request: number;
  baseline_critical_path_ns_per_request?: number | null;
  change_ns_per_request: number | null;
  confidence: number | null;
}

export interface MatrixColumn {
  level: number;
  /** Null while it is not known. */
  spots: readonly Spot[] | null;
}

export interface MatrixCell {
  ns: number | null;
  change: number | null;
  confidence: number | null;
}

export interface MatrixRow {
  key: string;
  spot: Spot;
  cells: MatrixCell[];
  /** The largest sure growth of any level; what rows are ordered by. */
  growth: number;
}

/** `baseline` is the column that the others were compared with: its figures come from their answers. */
export function stepMatrix(columns: readonly MatrixColumn[], baseline: number, most = 8): MatrixRow[] {
  const rows = new Map<string, MatrixRow>();
  columns.forEach((column, at) => {
    for (const spot of column.spots ?? []) {
      const key = [spot.service, spot.operation, spot.span_kind, spot.peer ?? ""].join("|");
      const row = rows.get(key) ?? { key, spot, cells: columns.map(() => blank()), growth: 0 };
      rows.set(key, row);
      row.cells[at] = {
        ns: spot.critical_path_ns_per_request,
        change: spot.change_ns_per_request,
        confidence: spot.confidence,
      };
      const before = columns.findIndex((c) => c.level === baseline);
      if (before >= 0 && before !== at && row.cells[before].ns === null)
        row.cells[before] = { ...blank(), ns: spot.baseline_critical_path_ns_per_request ?? null };
      const growth = spot.change_ns_per_request ?? 0;
      if (growth > row.growth) Object.assign(row, { growth, spot });
    }
  });
  const cost = (row: MatrixRow) => Math.max(0, ...row.cells.map((c) => c.ns ?? 0));
  return [...rows.values()].sort((a, b) => b.growth - a.growth || cost(b) - cost(a)).slice(0, most);
}

function blank(): MatrixCell {
  return { ns: null, change: null, confidence: null };
}
