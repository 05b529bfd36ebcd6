import { describe, expect, test } from "vitest";
import { buildTree, extent, layoutRows, nextRow, reveal, ticks, type WaterfallSpan } from "./waterfall";

const OPEN = { collapsed: new Set<string>(), opened: new Set<string>(), groupFrom: 5 };

function span(id: string, parent: string, start: number, duration: number, name = id): WaterfallSpan {
  return {
    span_id: id,
    parent_span_id: parent,
    ran_within: "",
    name,
    kind: "INTERNAL",
    service: "shop",
    start_ns: start,
    duration_ns: duration,
    critical_path_ns: null,
    status_code: "UNSET",
  };
}

const names = (spans: WaterfallSpan[], folding = OPEN) =>
  layoutRows(spans, buildTree(spans), folding).map(
    (r) => `${" ".repeat(r.depth)}${r.group ? `${r.group.length}x` : ""}${spans[r.span].name}`,
  );

describe("rows of a trace", () => {
  test("children stand below their parent in order of start, whatever the order of arrival", () => {
    const spans = [span("c", "a", 5, 1), span("a", "", 0, 10), span("b", "a", 1, 2), span("d", "b", 1, 1)];
    expect(names(spans)).toEqual(["a", " b", "  d", " c"]);
  });

  test("a span whose parent never came is a root", () => {
    expect(names([span("a", "", 0, 10), span("b", "gone", 3, 1)])).toEqual(["a", "b"]);
  });

  test("a span whose parent never came stands below the call in whose time it ran", () => {
    const spans = [span("a", "", 0, 10), span("b", "a", 1, 8), { ...span("c", "gone", 3, 1), ran_within: "b" }];
    expect(names(spans)).toEqual(["a", " b", "  c"]);
  });

  test("every span of a cycle has exactly one row, also one that is its own parent", () => {
    const spans = [span("a", "c", 0, 1), span("b", "a", 0, 1), span("c", "b", 0, 1), span("s", "s", 2, 1)];
    expect(
      names(spans)
        .map((n) => n.trim())
        .sort(),
    ).toEqual(["a", "b", "c", "s"]);
  });

  test("of spans with the same id the first is the parent and all keep their rows", () => {
    const spans = [span("a", "", 0, 10), span("a", "", 1, 9), span("b", "a", 2, 1)];
    expect(names(spans)).toEqual(["a", " b", "a"]);
  });

  test("a collapsed span hides what is below it", () => {
    const spans = [span("a", "", 0, 10), span("b", "a", 1, 2), span("c", "b", 1, 1), span("d", "a", 5, 1)];
    expect(names(spans, { ...OPEN, collapsed: new Set(["b"]) })).toEqual(["a", " b", " d"]);
  });

  test("five like siblings become one row, which opens to its members", () => {
    const spans = [span("a", "", 0, 10), ...[1, 2, 3, 4, 5].map((i) => span(`s${i}`, "a", i, 1, "SELECT"))];
    expect(names(spans)).toEqual(["a", " 5xSELECT"]);
    const rows = layoutRows(spans, buildTree(spans), OPEN);
    const opened = { ...OPEN, opened: new Set([rows[1].key]) };
    expect(names(spans, opened)).toEqual(["a", " 5xSELECT", ..."12345".split("").map(() => "  SELECT")]);
    expect(names(spans, { ...OPEN, groupFrom: 0 })).toHaveLength(6);
  });

  test("revealing a span opens its group and its collapsed ancestors", () => {
    const spans = [
      span("r", "", 0, 9),
      span("a", "r", 0, 9),
      ...[1, 2, 3, 4, 5].map((i) => span(`s${i}`, "a", i, 1, "SELECT")),
    ];
    const tree = buildTree(spans);
    const shown = reveal(spans, tree, 4, { ...OPEN, collapsed: new Set(["a", "r"]) });
    expect(layoutRows(spans, tree, shown).some((r) => !r.group && r.span === 4)).toBe(true);
  });

  test("a chain of 50,000 spans is laid out without recursion", () => {
    const spans = Array.from({ length: 50_000 }, (_, i) => span(`${i}`, i === 0 ? "" : `${i - 1}`, i, 50_000 - i));
    const rows = layoutRows(spans, buildTree(spans), OPEN);
    expect(rows).toHaveLength(50_000);
    expect(rows[49_999].depth).toBe(49_999);
  });

  test("a cycle of 50,000 spans is cut once", () => {
    const spans = Array.from({ length: 50_000 }, (_, i) => span(`${i}`, `${(i + 49_999) % 50_000}`, i, 1));
    expect(layoutRows(spans, buildTree(spans), OPEN)).toHaveLength(50_000);
  });
});

test("searching rows wraps around and answers -1 when nothing fits", () => {
  const spans = [span("a", "", 0, 1), span("b", "", 1, 1), span("c", "", 2, 1)];
  const rows = layoutRows(spans, buildTree(spans), OPEN);
  expect(nextRow(rows, 2, 1, (r) => r.key === "a")).toBe(0);
  expect(nextRow(rows, 0, -1, (r) => r.key === "b")).toBe(1);
  expect(nextRow(rows, 0, 1, () => false)).toBe(-1);
});

test("the extent covers spans that outlive the root, and is never empty", () => {
  expect(extent([span("a", "", 10, 5), span("b", "a", 12, 20)])).toEqual([10, 32]);
  expect(extent([span("a", "", 7, 0)])).toEqual([7, 8]);
});

test("ticks are round and inside the range", () => {
  expect(ticks(0, 630, 5)).toEqual([0, 200, 400, 600]);
  expect(ticks(3, 3, 5)).toEqual([3]);
});
