import { expect, test } from "vitest";
import { hasAny } from "./stored";

const spans = (received: number) => ({ spans: { received } });
const table = (name: string, rows: number) => ({ name, rows });

test("a server that was started again still knows that it has spans", () => {
  expect(hasAny("spans", { ledger: spans(0), ledger_since_creation: spans(558_333) })).toBe(true);
  expect(hasAny("spans", { ledger: spans(0), tables: [table("spans", 558_333)] })).toBe(true);
});

test("a store without spans has none, whatever else it has", () => {
  const logs = { ledger: spans(0), ledger_since_creation: spans(0), tables: [table("logs", 7)] };
  expect(hasAny("spans", logs)).toBe(false);
  expect(hasAny("logs", logs)).toBe(true);
  expect(hasAny("metrics", logs)).toBe(false);
});
