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

/** Boxes of the nodes: how wide, how far apart from left to right, how many letters of a name they hold. */
export interface Boxes {
  width: number;
  gap: number;
  letters: number;
}

export const WIDE: Boxes = { width: 226, gap: 60, letters: 27 };
export const NARROW: Boxes = { width: 172, gap: 40, letters: 20 };
/** A wide map is drawn smaller to fit, but not so small that it cannot be read. */
const SMALLEST = 0.6;
/** Below this size of a map of wide boxes, narrow ones are easier to read. */
const COMFORTABLE = 0.85;

/** Whether a map of wide boxes would be drawn too small in the room there is; no room is not known yet. */
export function needsNarrow(mapWidth: number, room: number): boolean {
  return room > 0 && room < COMFORTABLE * mapWidth;
}

/** How large a map is drawn. What does not fit then is scrolled to. */
export function scaleOf(mapWidth: number, room: number): number {
  return room > 0 ? Math.min(1, Math.max(SMALLEST, room / mapWidth)) : 1;
}

/** The node on which most of the time on critical paths is spent. */
export function hottest<N extends { critical_share: number }>(nodes: readonly N[]): N | null {
  return nodes.reduce<N | null>((most, n) => (most && most.critical_share >= n.critical_share ? most : n), null);
}

/** Where to scroll so that a point of a drawing lies in the middle of the room, as far as the drawing goes. */
export function scrolledTo(at: number, room: number, length: number): number {
  return Math.min(Math.max(0, at - room / 2), Math.max(0, length - room));
}

export interface Point {
  x: number;
  y: number;
}

/**
 * A line from the right side of one box to the left side of another. Where the layout leads it through a column of boxes
 * it goes straight, so that it stays between them, and bends only in the space between two columns.
 */
export function edgePath(
  from: Point,
  to: Point,
  boxWidth: number,
  turns: readonly Point[],
  columns: readonly number[],
): string {
  const half = boxWidth / 2;
  const start = { x: from.x + half, y: from.y };
  const end = { x: to.x - half, y: to.y };
  if (end.x <= start.x) return backwards(from, to, boxWidth);
  const through = turns.filter((p) => p.x > start.x && p.x < end.x && columns.some((x) => Math.abs(x - p.x) < 1));
  let d = `M${start.x},${start.y}`;
  let at = start;
  const bend = (next: Point) => {
    const middle = (at.x + next.x) / 2;
    d += ` C${middle},${at.y} ${middle},${next.y} ${next.x},${next.y}`;
    at = next;
  };
  for (const p of through) {
    bend({ x: p.x - half, y: p.y });
    d += ` H${p.x + half}`;
    at = { x: p.x + half, y: p.y };
  }
  bend(end);
  return d;
}

/** Against the direction of reading: below both boxes, from right to left. */
function backwards(from: Point, to: Point, boxWidth: number): string {
  const half = boxWidth / 2;
  const low = Math.max(from.y, to.y) + 52;
  return `M${from.x - half},${from.y} C${from.x - half - 40},${low} ${to.x + half + 40},${low} ${to.x + half},${to.y}`;
}

/** What a call takes longer at the caller than at the callee, where that is known: a database has no spans of its own. */
export function gapOf(edge: { gap_ns: number | null }): number | null {
  return edge.gap_ns || null;
}

/** Pixels for a share of the time on critical paths: area-true, never invisible. */
export function edgeWidth(share: number): number {
  return 1 + 9 * Math.sqrt(Math.min(1, Math.max(0, share)));
}
