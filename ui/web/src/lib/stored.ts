// Whether a store holds, or ever held, a span: the question behind the page for newcomers.

interface Stored {
  ledger: { spans: { received: number } };
  ledger_since_creation?: { spans: { received: number } };
  tables?: readonly { name: string; rows: number }[];
}

/** The ledger begins anew with each start of the server; that since the creation and the rows do not. */
export function hasSpans(status: Stored): boolean {
  const received = (status.ledger_since_creation ?? status.ledger).spans.received;
  return received > 0 || (status.tables ?? []).some((table) => table.name === "spans" && table.rows > 0);
}
