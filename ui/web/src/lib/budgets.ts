// How near the server is to what it may use: every limit it tells, with what is used of it now.

export type BudgetUnit = "bytes" | "count" | "seconds";

export interface Budget {
  id: "in_flight" | "memory" | "budget" | "wal" | "queries" | "query_queue" | "disk";
  now: number;
  /** Null when nothing bounds it, or the server does not say. */
  limit: number | null;
  unit: BudgetUnit;
}

/** The parts of the status that budgets are read from; servers of other versions may lack some. */
export interface BudgetSource {
  in_flight_bytes?: { now: number; limit: number };
  memory?: { bytes: number; limit?: number | null; budget?: number | null };
  process?: { rss_bytes: number };
  wal?: { bytes: number; limit?: number | null };
  queries?: { running: number; queued: number; limit?: number | null; queue_limit?: number | null };
  disk?: { free_bytes: number; total_bytes: number };
}

export function budgetsOf(status: BudgetSource): Budget[] {
  const found: (Budget | null)[] = [
    status.in_flight_bytes
      ? { id: "in_flight", now: status.in_flight_bytes.now, limit: status.in_flight_bytes.limit, unit: "bytes" }
      : null,
    status.memory
      ? { id: "memory", now: status.memory.bytes, limit: status.memory.limit ?? null, unit: "bytes" }
      : null,
    status.memory?.budget && status.process
      ? { id: "budget", now: status.process.rss_bytes, limit: status.memory.budget, unit: "bytes" }
      : null,
    status.wal ? { id: "wal", now: status.wal.bytes, limit: status.wal.limit ?? null, unit: "bytes" } : null,
    status.queries
      ? { id: "queries", now: status.queries.running, limit: status.queries.limit ?? null, unit: "count" }
      : null,
    status.queries
      ? { id: "query_queue", now: status.queries.queued, limit: status.queries.queue_limit ?? null, unit: "count" }
      : null,
    status.disk
      ? {
          id: "disk",
          now: status.disk.total_bytes - status.disk.free_bytes,
          limit: status.disk.total_bytes,
          unit: "bytes",
        }
      : null,
  ];
  return found.filter((b): b is Budget => b !== null);
}

/** Running queries at their limit are ordinary; everything else begins to refuse there. */
export function stateOf(budget: Budget): "free" | "near" | "reached" | "unbounded" {
  if (budget.limit === null || budget.limit <= 0) return "unbounded";
  const used = budget.now / budget.limit;
  if (budget.id === "queries") return "free";
  return used >= 1 ? "reached" : used >= 0.8 ? "near" : "free";
}
