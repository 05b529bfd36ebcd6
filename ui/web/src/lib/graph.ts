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

/** Pixels for a share of the time on critical paths: area-true, never invisible. */
export function edgeWidth(share: number): number {
  return 1 + 9 * Math.sqrt(Math.min(1, Math.max(0, share)));
}
