// What the server told about itself while this page was open: the status answers, at most an hour of them. A server
// that was started again begins a new history.

import type { StatusAnswer } from "../api/types";
import { createStore } from "./store";

export interface Reading {
  /** Unix milliseconds, by this browser's clock. */
  at: number;
  status: StatusAnswer;
}

const MOST = 720;

export const readings = createStore<readonly Reading[]>([]);

export function remember(status: StatusAnswer, at: number) {
  const known = readings.get();
  const last = known.at(-1);
  if (last?.status === status) return;
  const kept = last?.status.started_at === status.started_at ? known.slice(1 - MOST) : [];
  readings.set([...kept, { at, status }]);
}

/** Rows of all signals that were not kept. */
export function lostRows(status: StatusAnswer): number {
  return Object.values(status.ledger).reduce((sum, l) => sum + (l?.rejected ?? 0) + (l?.refused ?? 0), 0);
}
