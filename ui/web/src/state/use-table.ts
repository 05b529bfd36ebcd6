// What of a table is in the address: the column it is sorted by, and its open row. Both are handed to `Table` as they are.

import { type Order, parseOrder, printOrder } from "../lib/sort";
import { useScope } from "./use-scope";

/** `first` is the order where the address names none; without it rows then stay as they come. */
export function useOrder(first?: Order) {
  const { scope, change } = useScope();
  return {
    order: parseOrder(scope.sort, first),
    setOrder: (order: Order) => change({ sort: printOrder(order) }, { replace: true }),
  };
}

export function useOpenRow() {
  const { scope, change } = useScope();
  return {
    open: scope.focus || null,
    setOpen: (key: string | null) => change({ focus: key ?? "" }, { replace: true }),
  };
}
