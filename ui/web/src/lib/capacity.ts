// The laws that the server fitted, for drawing, and the words for a node.

/** The Universal Scalability Law. */
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

/** A queue before a number of servers, by its limit and its knee: what is served when as many are in the system. */
export interface Queue {
  servers: number;
  limit: number;
  knee: number;
}

export interface Queued {
  law: "usl" | "queue" | null;
  servers: number | null;
  limit_qps: number | null;
  knee_qps: number | null;
}

export function queueOf(node: Queued): Queue | null {
  const { servers, limit_qps: limit, knee_qps: knee } = node;
  return node.law !== "queue" || servers === null || limit === null || knee === null ? null : { servers, limit, knee };
}

/** Erlang's probability to wait before servers that are so busy, by the recursion of his loss formula. */
export function delayed(servers: number, busy: number): number {
  const offered = servers * busy;
  let lost = 1;
  for (let n = 1; n <= servers; n++) lost = (offered * lost) / (n + offered * lost);
  return lost / (1 - busy * (1 - lost));
}

/** What is waiting before servers that are so busy, but for how much service times vary. */
function waiting(servers: number, busy: number): number {
  return (delayed(servers, busy) * busy) / (1 - busy);
}

/** The server's table: how busy servers are by −ln(1 − ρ), up to this, in so many steps, and straight between them. */
const FULLEST = 12;
const STEPS = 96;

/**
 * Concurrency and throughput of a queue, rising, up to a concurrency: N = cρ + v W(ρ), X = Lρ. How much service times
 * vary (v) is what makes the curve pass its knee, where as many are in the system as there are servers.
 */
export function queueCurve({ servers, limit, knee }: Queue, to: number): [number, number][] {
  const table = Array.from({ length: STEPS + 1 }, (_, step) => {
    const busy = 1 - Math.exp((-FULLEST * step) / STEPS);
    return { busy, waits: waiting(servers, busy) };
  });
  const varies = variation(servers, knee / limit, table);
  const curve: [number, number][] = [];
  for (const { busy, waits } of table) {
    const [n, x] = [servers * busy + varies * waits, limit * busy];
    const [before, served] = curve.at(-1) ?? [0, 0];
    if (n > to) return [...curve, [to, served + ((x - served) * (to - before)) / (n - before)]];
    curve.push([n, x]);
  }
  return [...curve, [to, limit]];
}

/** Where servers that are so busy have as many in the system as there are of them: c = cρ + v W(ρ). */
function variation(servers: number, busy: number, table: readonly { busy: number; waits: number }[]): number {
  const above = table.findIndex((row) => row.busy >= busy);
  // Nobody waits before all are busy.
  if (above < 1) return 0;
  const [low, high] = [table[above - 1], table[above]];
  const waits = low.waits + ((high.waits - low.waits) * (busy - low.busy)) / (high.busy - low.busy);
  return (servers * (1 - busy)) / waits;
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
  law: Law | Queue | null,
  most: number | null,
): CurvePoint[] {
  const seen = Math.max(0, ...points.map((p) => p[0]));
  const to = Math.max(seen * 1.25, Math.min(most ?? 0, seen * 3));
  const curve: CurvePoint[] = points.map(([n, x]) => ({ concurrency: n, measured: x, fitted: null }));
  if (law && "servers" in law) {
    if (to > 0) curve.push(...queueCurve(law, to).map(([n, x]) => ({ concurrency: n, measured: null, fitted: x })));
  } else if (law && to > 0) {
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
