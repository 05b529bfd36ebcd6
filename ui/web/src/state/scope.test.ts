import { describe, expect, test } from "vitest";
import { compareParams, rangeParams, windowParams } from "./params";
import { DEFAULT_SCOPE, decodeScope, encodeScope, pageHref, type Scope, sharedScope } from "./scope";

const FULL: Scope = {
  start: "2026-11-22T06:00:00.000Z",
  end: "now",
  window: { start: "2026-11-22T06:06:20Z", end: "2026-11-22T06:15:00Z" },
  baseline: { start: "2026-11-22T06:00:00Z", end: "2026-11-22T06:06:00Z" },
  service: "inventory",
  operation: "UPDATE stock & more = 100 %",
  kind: "CLIENT",
  instance: "inventory-2",
  attributes: [
    { key: "app.region", value: "深圳=east&west" },
    { key: "db.rows", value: "4" },
  ],
  selection: {
    startUs: 1_795_327_580_123_456,
    endUs: 1_795_328_100_000_001,
    minNs: 9_120_000,
    maxNs: 5e9,
    errors: true,
  },
  tab: "slowest",
  sort: "-p99",
  query: "SELECT '+ &' FROM spans",
  focus: "a|b|c",
  group: "service_name,app.region",
  aggregate: "p99",
  run: "r5",
  left: "r1",
  right: "r2",
  target: "40000",
  p99Limit: "500",
  errorLimit: "1",
};

describe("the scope in the address", () => {
  test("survives the way there and back", () => {
    expect(decodeScope(encodeScope(FULL))).toEqual(FULL);
    expect(decodeScope(encodeScope(DEFAULT_SCOPE))).toEqual(DEFAULT_SCOPE);
  });

  test("each field alone survives", () => {
    for (const field of Object.keys(FULL) as (keyof Scope)[]) {
      const scope = { ...DEFAULT_SCOPE, [field]: FULL[field] };
      expect(decodeScope(encodeScope(scope))).toEqual(scope);
    }
  });

  test("a selection with one bound, or with errors only, survives", () => {
    const none = { startUs: null, endUs: null, minNs: null, maxNs: null, errors: false };
    for (const selection of [
      { ...none, minNs: 5 },
      { ...none, maxNs: 7 },
      { ...none, errors: true },
    ]) {
      expect(decodeScope(encodeScope({ ...DEFAULT_SCOPE, selection })).selection).toEqual(selection);
    }
  });

  test("defaults are not written", () => {
    expect(encodeScope(DEFAULT_SCOPE)).toBe("");
    expect(pageHref("/heat", DEFAULT_SCOPE)).toBe("/heat");
  });

  test("nonsense falls back to the default instead of reaching the server", () => {
    const scope = decodeScope(
      "start=bogus&end=&window_start=x&window_end=now&attr=nokey&attr==v&sel_min_ns=-3&sel_start=soon",
    );
    expect(scope).toEqual(DEFAULT_SCOPE);
  });

  test("times and filters carry over to another page, the page's own state does not", () => {
    const carried = sharedScope(FULL);
    expect(carried).toMatchObject({ start: FULL.start, baseline: FULL.baseline, attributes: FULL.attributes });
    expect(carried).toMatchObject({ run: "r5", query: "", sort: "", focus: "", selection: null });
  });
});

describe("the scope as parameters", () => {
  test("analyses ask for the window, charts for the range", () => {
    expect(windowParams(FULL)).toMatchObject({
      start: FULL.window?.start,
      baseline_end: FULL.baseline?.end,
      attr: ["app.region=深圳=east&west", "db.rows=4"],
    });
    expect(rangeParams(FULL)).toMatchObject({ start: FULL.start, end: "now", service: "inventory" });
    expect(windowParams(DEFAULT_SCOPE)).toMatchObject({ start: "now-15m", end: "now" });
  });

  test("every question within a run names it", () => {
    for (const of of [windowParams, rangeParams, compareParams]) expect(of(FULL)).toMatchObject({ run: "r5" });
  });

  test("a comparison carries the selection's bounds", () => {
    expect(compareParams(FULL)).toMatchObject({
      sel_start: "2026-11-22T06:06:20.123456Z",
      sel_min_ns: 9_120_000,
      sel_errors: true,
    });
  });
});
