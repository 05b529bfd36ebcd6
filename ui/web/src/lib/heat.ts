// Arithmetic of the heat map: cells, the summed-area table that makes any box's count four look-ups, and the change of
// a selection between moments and cells. Columns are time, rows are durations; row 0 begins at zero and the last row is
// open above, so that time-outs are never clamped away.

export interface HeatGrid {
  /** Unix microseconds where column 0 begins. */
  t0: number;
  binUs: number;
  columns: number;
  rows: number;
  /** rows + 1 edges in nanoseconds. */
  edges: number[];
  /** Column-major: column c, row r at c * rows + r. */
  counts: ArrayLike<number>;
}

/** Half-open in both directions; `maxNs` null is open above, times null is the whole width. */
export interface Selection {
  startUs: number | null;
  endUs: number | null;
  minNs: number | null;
  maxNs: number | null;
  errors: boolean;
}

/** Cells [c0, c1) x [r0, r1). */
export interface Cells {
  c0: number;
  c1: number;
  r0: number;
  r1: number;
}

/** Sums over all cells left of and below each corner; (columns + 1) x (rows + 1). */
export function summedArea(grid: HeatGrid): Float64Array {
  const { columns, rows, counts } = grid;
  const stride = rows + 1;
  const table = new Float64Array((columns + 1) * stride);
  for (let c = 0; c < columns; c++) {
    let column = 0;
    for (let r = 0; r < rows; r++) {
      column += counts[c * rows + r];
      table[(c + 1) * stride + r + 1] = table[c * stride + r + 1] + column;
    }
  }
  return table;
}

/** Number of spans in a box of cells. */
export function countIn(table: Float64Array, rows: number, box: Cells): number {
  const stride = rows + 1;
  const at = (c: number, r: number) => table[c * stride + r];
  return at(box.c1, box.r1) - at(box.c0, box.r1) - at(box.c1, box.r0) + at(box.c0, box.r0);
}

/** The cells a selection touches. */
export function cellsOf(grid: HeatGrid, s: Selection): Cells {
  const column = (us: number) => (us - grid.t0) / grid.binUs;
  const c0 = s.startUs === null ? 0 : clamp(Math.floor(column(s.startUs) + 1e-6), 0, grid.columns - 1);
  const c1 = s.endUs === null ? grid.columns : clamp(Math.ceil(column(s.endUs) - 1e-6), c0 + 1, grid.columns);
  const r0 = s.minNs === null ? 0 : clamp(rowOf(grid.edges, s.minNs), 0, grid.rows - 1);
  const top = s.maxNs === null ? grid.rows : firstEdgeAtLeast(grid.edges, s.maxNs);
  return { c0, c1, r0, r1: clamp(top, r0 + 1, grid.rows) };
}

/** The selection that covers cells exactly; a full side is left open. */
export function selectionOf(grid: HeatGrid, box: Cells, errors: boolean): Selection {
  return {
    startUs: box.c0 === 0 && box.c1 === grid.columns ? null : grid.t0 + box.c0 * grid.binUs,
    endUs: box.c0 === 0 && box.c1 === grid.columns ? null : grid.t0 + box.c1 * grid.binUs,
    minNs: box.r0 === 0 ? null : Math.round(grid.edges[box.r0]),
    maxNs: box.r1 === grid.rows ? null : Math.round(grid.edges[box.r1]),
    errors,
  };
}

/** The row whose half-open interval holds a duration. */
export function rowOf(edges: number[], ns: number): number {
  let low = 0;
  let high = edges.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (edges[middle] <= ns * (1 + 1e-9)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The duration below which `share` of all spans lie, as the upper edge of its row: at most one row too high. */
export function quantileEdge(grid: HeatGrid, share: number, box?: Cells): number {
  const { c0, c1 } = box ?? { c0: 0, c1: grid.columns };
  const perRow = new Float64Array(grid.rows);
  let total = 0;
  for (let c = c0; c < c1; c++) {
    for (let r = 0; r < grid.rows; r++) {
      perRow[r] += grid.counts[c * grid.rows + r];
      total += grid.counts[c * grid.rows + r];
    }
  }
  let below = 0;
  for (let r = 0; r < grid.rows; r++) {
    below += perRow[r];
    if (below >= share * total) return grid.edges[r + 1];
  }
  return grid.edges[grid.rows];
}

/** Moves (or, with `resize`, grows from its start corner) a box by whole cells and keeps it inside the grid. */
export function nudge(grid: HeatGrid, box: Cells, dc: number, dr: number, resize: boolean): Cells {
  if (resize) {
    return {
      ...box,
      c1: clamp(box.c1 + dc, box.c0 + 1, grid.columns),
      r1: clamp(box.r1 + dr, box.r0 + 1, grid.rows),
    };
  }
  const width = box.c1 - box.c0;
  const height = box.r1 - box.r0;
  const c0 = clamp(box.c0 + dc, 0, grid.columns - width);
  const r0 = clamp(box.r0 + dr, 0, grid.rows - height);
  return { c0, c1: c0 + width, r0, r1: r0 + height };
}

function firstEdgeAtLeast(edges: number[], ns: number): number {
  const i = edges.findIndex((edge) => edge >= ns * (1 - 1e-9));
  return i === -1 ? edges.length - 1 : i;
}

function clamp(v: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, v));
}
