// Sorting of tables by one column. The order lives in the URL as "column" (ascending) or "-column" (descending).

export interface Order {
  column: string;
  descending: boolean;
}

export function parseOrder<Fallback>(text: string, fallback: Fallback): Order | Fallback {
  if (!text) return fallback;
  return text.startsWith("-") ? { column: text.slice(1), descending: true } : { column: text, descending: false };
}

export function printOrder(order: Order): string {
  return order.descending ? `-${order.column}` : order.column;
}

/** A stable sorted copy; missing values stay last in both directions. */
export function sorted<T>(rows: readonly T[], value: (row: T) => string | number | null, descending: boolean): T[] {
  const keyed = rows.map((row) => ({ row, key: value(row) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return a.key === b.key ? 0 : a.key === null ? 1 : -1;
    const order =
      typeof a.key === "number" && typeof b.key === "number"
        ? a.key - b.key
        : String(a.key).localeCompare(String(b.key));
    return descending ? -order : order;
  });
  return keyed.map((k) => k.row);
}
