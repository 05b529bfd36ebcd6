// What of a service map is worth drawing, and how thick.

export interface GraphEdge {
  from: string;
  to: string;
  critical_share: number;
  calls: number;
}

/** The nodes to show: all of a small map, else the neighbourhood of a node (or of the heaviest edges). */
export function visibleNodes(
  nodes: readonly string[],
  edges: readonly GraphEdge[],
  around: string,
  most = 150,
): Set<string> {
  if (around && nodes.includes(around)) {
    const near = new Set([around]);
    for (const e of edges) {
      if (e.from === around) near.add(e.to);
      if (e.to === around) near.add(e.from);
    }
    return near;
  }
  if (nodes.length <= most) return new Set(nodes);
  const chosen = new Set<string>();
  for (const e of [...edges].sort((a, b) => b.critical_share - a.critical_share)) {
    if (chosen.size + 2 > most) break;
    chosen.add(e.from);
    chosen.add(e.to);
  }
  return chosen;
}

export interface Point {
  x: number;
  y: number;
}

/** A line from the right side of one box to the left side of another, through the layout's turns in between. */
export function edgePath(from: Point, to: Point, boxWidth: number, turns: readonly Point[]): string {
  const start = { x: from.x + boxWidth / 2, y: from.y };
  const end = { x: to.x - boxWidth / 2, y: to.y };
  if (end.x <= start.x) return backwards(from, to, boxWidth);
  // Turns beside a box, not between two columns, would only bend a line that is straight enough.
  const between = turns.slice(1, -1).filter((p) => p.x > start.x + boxWidth / 2 && p.x < end.x - boxWidth / 2);
  let d = `M${start.x},${start.y}`;
  let at = start;
  for (const next of [...between, end]) {
    const middle = (at.x + next.x) / 2;
    d += ` C${middle},${at.y} ${middle},${next.y} ${next.x},${next.y}`;
    at = next;
  }
  return d;
}

/** Against the direction of reading: below both boxes, from right to left. */
function backwards(from: Point, to: Point, boxWidth: number): string {
  const half = boxWidth / 2;
  const low = Math.max(from.y, to.y) + 52;
  return `M${from.x - half},${from.y} C${from.x - half - 40},${low} ${to.x + half + 40},${low} ${to.x + half},${to.y}`;
}

/** Pixels for a share of the time on critical paths: area-true, never invisible. */
export function edgeWidth(share: number): number {
  return 1 + 9 * Math.sqrt(Math.min(1, Math.max(0, share)));
}
