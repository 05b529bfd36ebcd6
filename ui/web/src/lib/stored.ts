// Whether a store holds, or ever held, a span, a point of a metric or a log record: the question behind what newcomers
// are told.

export type Signal = "spans" | "metrics" | "logs";

type Received = Partial<Record<Signal, { received: number }>>;

interface Stored {
  ledger: Received;
  ledger_since_creation?: Received;
  tables?: readonly { name: string; rows: number }[];
}

/** The ledger begins anew with each start of the server; that since the creation and the rows do not. */
export function hasAny(signal: Signal, status: Stored): boolean {
  const received = (status.ledger_since_creation ?? status.ledger)[signal]?.received ?? 0;
  return received > 0 || (status.tables ?? []).some((table) => table.name === signal && table.rows > 0);
}
