// The Universal Scalability Law as the server fitted it, for drawing, and the words for a node.

export interface Law {
  lambda: number;
  sigma: number;
  kappa: number;
}

/** Throughput at a concurrency: λN / (1 + σ(N − 1) + κN(N − 1)). */
export function throughput(law: Law, concurrency: number): number {
  const n = concurrency;
  return (law.lambda * n) / (1 + law.sigma * (n - 1) + law.kappa * n * (n - 1));
}

export interface Fitted {
  lambda: number | null;
  sigma: number | null;
  kappa: number | null;
}

export function lawOf(node: Fitted): Law | null {
  const { lambda, sigma, kappa } = node;
  return lambda === null || sigma === null || kappa === null ? null : { lambda, sigma, kappa };
}

export interface CurvePoint {
  concurrency: number;
  /** Measured, else null. */
  measured: number | null;
  /** By the law, else null. */
  fitted: number | null;
}

/** Measured points and the law's curve on one axis of concurrency, a little beyond the loads seen. */
export function curveOf(
  points: readonly (readonly [number, number, ...unknown[]])[],
  law: Law | null,
  most: number | null,
): CurvePoint[] {
  const seen = Math.max(0, ...points.map((p) => p[0]));
  const to = Math.max(seen * 1.25, Math.min(most ?? 0, seen * 3));
  const curve: CurvePoint[] = points.map(([n, x]) => ({ concurrency: n, measured: x, fitted: null }));
  if (law && to > 0) {
    for (let i = 0; i <= 80; i++) {
      const n = (i / 80) * to;
      curve.push({ concurrency: n, measured: null, fitted: n === 0 ? 0 : throughput(law, n) });
    }
  }
  return curve.sort((a, b) => a.concurrency - b.concurrency);
}

export interface Named {
  node: string;
  service: string | null;
  operation: string | null;
  peer: string | null;
  instance: string | null;
}

export function nodeName(node: Named): string {
  if (node.node === "dependency") return node.peer ?? "?";
  return [node.service, node.instance ?? node.operation].filter(Boolean).join(" · ");
}

export function nodeKey(node: Named): string {
  return [node.node, node.service ?? "", node.operation ?? "", node.peer ?? "", node.instance ?? ""].join("|");
}

export interface Judged {
  headroom: number | null;
  load_at_target: number | null;
  gives_way: boolean | null;
}

/** How a node stands: at a target when there is one, else now. */
export function standing(node: Judged): "over" | "near" | "free" | "unknown" {
  if (node.gives_way === true) return "over";
  const load = node.load_at_target ?? (node.headroom === null ? null : 1 / (1 + node.headroom));
  if (load === null) return node.gives_way === false ? "free" : "unknown";
  return load > 1 ? "over" : load >= 0.8 ? "near" : "free";
}

/** A positive number from a field; null when it is empty or none. */
export function positive(text: string): number | null {
  const value = Number(text.replaceAll(",", ""));
  return text.trim() !== "" && Number.isFinite(value) && value > 0 ? value : null;
}
