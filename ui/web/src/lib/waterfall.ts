// A trace as rows: the span forest, what is collapsed, and runs of like siblings folded into one row. Nothing here
// recurses, so a chain of 50,000 spans costs no stack; a span lost in a cycle or without its parent still gets a row.

export interface WaterfallSpan {
  span_id: string;
  parent_span_id: string;
  /** The call in whose time a span without its parent ran, or "". */
  ran_within: string;
  name: string;
  kind: string;
  service: string;
  start_ns: number;
  duration_ns: number;
  critical_path_ns: number | null;
  status_code: string;
}

export interface Tree {
  roots: number[];
  /** Children of each span, by start time. */
  children: number[][];
  /** Index of the parent, or -1. */
  parent: Int32Array;
}

export interface Row {
  key: string;
  depth: number;
  /** Index of the span; for a group, of its first member. */
  span: number;
  /** Members when the row stands for several like siblings. */
  group: number[] | null;
  expandable: boolean;
  expanded: boolean;
}

export interface Folding {
  /** Keys of rows whose children are hidden. */
  collapsed: ReadonlySet<string>;
  /** Keys of groups whose members are shown. */
  opened: ReadonlySet<string>;
  /** Fold like siblings from this many on; 0 never folds. */
  groupFrom: number;
}

export function buildTree(spans: readonly WaterfallSpan[]): Tree {
  const indexOf = new Map<string, number>();
  spans.forEach((s, i) => {
    if (!indexOf.has(s.span_id)) indexOf.set(s.span_id, i);
  });
  const parent = new Int32Array(spans.length).fill(-1);
  const children: number[][] = spans.map(() => []);
  const roots: number[] = [];
  spans.forEach((s, i) => {
    const p = indexOf.get(s.parent_span_id) ?? indexOf.get(s.ran_within) ?? -1;
    parent[i] = p === i ? -1 : p;
    if (parent[i] === -1) roots.push(i);
    else children[p].push(i);
  });
  breakCycles(children, parent, roots);
  const byStart = (a: number, b: number) => spans[a].start_ns - spans[b].start_ns || a - b;
  for (const list of children) list.sort(byStart);
  roots.sort(byStart);
  return { roots, children, parent };
}

/** Spans that no root reaches form cycles: the first of each becomes a root and loses its parent edge. */
function breakCycles(children: number[][], parent: Int32Array, roots: number[]) {
  const seen = new Uint8Array(parent.length);
  const visit = (from: number) => {
    const stack = [from];
    while (stack.length > 0) {
      const i = stack.pop()!;
      if (seen[i]) continue;
      seen[i] = 1;
      for (const c of children[i]) if (!seen[c]) stack.push(c);
    }
  };
  for (const r of [...roots]) visit(r);
  for (let i = 0; i < parent.length; i++) {
    if (seen[i]) continue;
    children[parent[i]] = children[parent[i]].filter((c) => c !== i);
    parent[i] = -1;
    roots.push(i);
    visit(i);
  }
}

export function layoutRows(spans: readonly WaterfallSpan[], tree: Tree, folding: Folding): Row[] {
  const rows: Row[] = [];
  const stack: Row[] = [];
  const push = (list: number[], depth: number, scope: string) => {
    const entries = folded(spans, list, depth, scope, folding);
    for (let i = entries.length - 1; i >= 0; i--) stack.push(entries[i]);
  };
  push(tree.roots, 0, "");
  while (stack.length > 0) {
    const row = stack.pop()!;
    rows.push(row);
    if (!row.expanded) continue;
    if (row.group) {
      for (let i = row.group.length - 1; i >= 0; i--)
        stack.push(spanRow(spans, tree, row.group[i], row.depth + 1, folding));
    } else {
      push(tree.children[row.span], row.depth + 1, row.key);
    }
  }
  return rows;

  function folded(all: readonly WaterfallSpan[], list: number[], depth: number, scope: string, f: Folding): Row[] {
    if (f.groupFrom === 0 || list.length < f.groupFrom) return list.map((i) => spanRow(all, tree, i, depth, f));
    const alike = new Map<string, number[]>();
    for (const i of list) {
      const kind = `${all[i].service}\u0000${all[i].name}\u0000${all[i].kind}`;
      const members = alike.get(kind);
      if (members) members.push(i);
      else alike.set(kind, [i]);
    }
    const out: Row[] = [];
    const done = new Set<string>();
    for (const i of list) {
      const kind = `${all[i].service}\u0000${all[i].name}\u0000${all[i].kind}`;
      const members = alike.get(kind)!;
      if (members.length < f.groupFrom) {
        out.push(spanRow(all, tree, i, depth, f));
      } else if (!done.has(kind)) {
        done.add(kind);
        const key = `group:${scope}:${kind}`;
        out.push({ key, depth, span: i, group: members, expandable: true, expanded: f.opened.has(key) });
      }
    }
    return out;
  }
}

function spanRow(spans: readonly WaterfallSpan[], tree: Tree, i: number, depth: number, folding: Folding): Row {
  const key = spans[i].span_id || `#${i}`;
  const expandable = tree.children[i].length > 0;
  return { key, depth, span: i, group: null, expandable, expanded: expandable && !folding.collapsed.has(key) };
}

/** The keys to open so that a span has a row of its own: no ancestor collapsed, its group opened. */
export function reveal(spans: readonly WaterfallSpan[], tree: Tree, target: number, folding: Folding): Folding {
  const collapsed = new Set(folding.collapsed);
  for (let i = tree.parent[target]; i !== -1; i = tree.parent[i]) collapsed.delete(spans[i].span_id || `#${i}`);
  const opened = new Set(folding.opened);
  for (let i = target; i !== -1; i = tree.parent[i]) {
    const p = tree.parent[i];
    const scope = p === -1 ? "" : spans[p].span_id || `#${p}`;
    opened.add(`group:${scope}:${spans[i].service}\u0000${spans[i].name}\u0000${spans[i].kind}`);
  }
  return { ...folding, collapsed, opened };
}

/** The next row (cyclic) after `from` for which `wanted` holds, or -1. */
export function nextRow(rows: readonly Row[], from: number, step: 1 | -1, wanted: (row: Row) => boolean): number {
  for (let k = 1; k <= rows.length; k++) {
    const i = (((from + step * k) % rows.length) + rows.length) % rows.length;
    if (wanted(rows[i])) return i;
  }
  return -1;
}

/** The range of time that a trace covers, in nanoseconds since its t0. */
export function extent(spans: readonly WaterfallSpan[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const s of spans) {
    if (s.start_ns < low) low = s.start_ns;
    if (s.start_ns + s.duration_ns > high) high = s.start_ns + s.duration_ns;
  }
  return low < high ? [low, high] : [Number.isFinite(low) ? low : 0, (Number.isFinite(low) ? low : 0) + 1];
}

/** Round tick positions (1, 2 or 5 times a power of ten) inside a range, about `wanted` of them. */
export function ticks(low: number, high: number, wanted: number): number[] {
  const rough = (high - low) / Math.max(1, wanted);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
  const out: number[] = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) out.push(t);
  return out;
}
