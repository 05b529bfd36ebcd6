import { expect, test } from "vitest";
import { hasSpans } from "./stored";

const spans = (received: number) => ({ spans: { received } });
const table = (name: string, rows: number) => ({ name, rows });

test("a server that was started again still knows that it has spans", () => {
  expect(hasSpans({ ledger: spans(0), ledger_since_creation: spans(558_333) })).toBe(true);
  expect(hasSpans({ ledger: spans(0), tables: [table("spans", 558_333)] })).toBe(true);
});

test("a store without spans has none, whatever else it has", () => {
  expect(hasSpans({ ledger: spans(0), ledger_since_creation: spans(0), tables: [table("logs", 7)] })).toBe(false);
});
