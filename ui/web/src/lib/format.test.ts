import { describe, expect, test } from "vitest";
import {
  bytes,
  change,
  clock,
  confidence,
  count,
  duration,
  inUnit,
  isDuration,
  momentText,
  number,
  parseDuration,
  percent,
  timeMark,
  unitName,
} from "./format";
import { parseOrder, printOrder, sorted } from "./sort";
import { isoMicros, isRelative, lookBack, microsOf, microsOfT0, parseTime } from "./time";

test("an axis of time names the day where one begins", () => {
  const midnight = new Date(2026, 10, 22).getTime();
  expect([timeMark(midnight), timeMark(midnight + 3_600_000)]).toEqual(["2026-11-22", "01:00:00"]);
});

describe("figures", () => {
  test("durations take the unit that keeps three digits", () => {
    expect([0, 1, 999, 1234, 999_600, 38e6, 1.24e9, 61e9, 150e9, 3600e9, 168 * 3600e9].map(duration)).toEqual([
      "0",
      "1 ns",
      "999 ns",
      "1.23 µs",
      "1 ms",
      "38 ms",
      "1.24 s",
      "61 s",
      "2 min 30 s",
      "1 h",
      "7 d",
    ]);
    expect(duration(null)).toBe("–");
  });

  test("changes carry their sign", () => {
    expect([change(38e6), change(-1.5e6), change(0), change(null)]).toEqual(["+38 ms", "−1.5 ms", "0", "–"]);
    expect([percent(-0.023), percent(-0.5), percent(0)]).toEqual(["−2.3 %", "−50 %", "0 %"]);
  });

  test("numbers are grouped and never abbreviated", () => {
    expect([number(40000), number(24.06), number(0.4021), number(7.99), count(1234567)]).toEqual([
      "40,000",
      "24.1",
      "0.402",
      "7.99",
      "1,234,567",
    ]);
  });

  test("shares, sizes and units", () => {
    expect([percent(0.61), percent(0.0084), percent(1), percent(0.034)]).toEqual(["61 %", "0.84 %", "100 %", "3.4 %"]);
    expect(percent(5968.75)).toBe("596,875 %");
    expect([bytes(512), bytes(4.5 * 1024), bytes(64 * 2 ** 20)]).toEqual(["512 B", "4.5 KiB", "64 MiB"]);
    expect([inUnit(0.25, "s"), inUnit(2048, "By"), inUnit(5, "{connection}")]).toEqual(["250 ms", "2 KiB", "5"]);
    expect([unitName("{connection}"), unitName("1"), unitName("s")]).toEqual(["connection", "", "s"]);
  });

  test("durations are read back, milliseconds when no unit is given", () => {
    expect([
      parseDuration("12 ms"),
      parseDuration("1.5s"),
      parseDuration("800 µs"),
      parseDuration("7"),
      parseDuration("x"),
    ]).toEqual([12e6, 1.5e9, 800e3, 7e6, null]);
    expect(["", "  ", "5", "abc", "5 abc", "5 ms x"].map(isDuration)).toEqual([true, true, true, false, false, false]);
  });

  test("what a duration is printed as is read back", () => {
    for (const ns of [1, 38e6, 61e9, 150e9, 3600e9, 5400e9, 50 * 3600e9]) expect(parseDuration(duration(ns))).toBe(ns);
  });

  test("clocks have two digits", () => {
    expect(clock(new Date(2026, 0, 1, 4, 5, 6).getTime())).toBe("04:05:06");
  });
});

describe("times", () => {
  const now = Date.UTC(2026, 10, 22, 12, 0, 0);

  test("relative, RFC 3339 and unix seconds are understood", () => {
    expect(parseTime("now-15m", now)).toBe(now - 900e3);
    expect(parseTime("now", now)).toBe(now);
    expect(parseTime("2026-11-22T12:00:00Z", 0)).toBe(now);
    expect(parseTime("1795348800.5", 0)).toBe(1795348800500);
    expect([parseTime("yesterday", now), parseTime("", now), parseTime("now-x", now)]).toEqual([null, null, null]);
    expect([isRelative("now-1h"), isRelative("2026-11-22")]).toEqual([true, false]);
  });

  test("microseconds survive RFC 3339", () => {
    const us = now * 1e3 + 123_456;
    expect(isoMicros(us)).toBe("2026-11-22T12:00:00.123456Z");
    expect(microsOf(isoMicros(us))).toBe(us);
    expect(microsOfT0("1795348800123456789")).toBe(1_795_348_800_123_456);
  });
});

test("sorting is stable, keeps missing values last and reads its own text", () => {
  const rows = [{ v: 2 }, { v: null }, { v: 3 }, { v: 1 }];
  expect(sorted(rows, (r) => r.v, true).map((r) => r.v)).toEqual([3, 2, 1, null]);
  expect(sorted(rows, (r) => r.v, false).map((r) => r.v)).toEqual([1, 2, 3, null]);
  const order = { column: "p99", descending: true };
  expect(parseOrder(printOrder(order), { column: "x", descending: false })).toEqual(order);
});

test("moments of one second are told apart", () => {
  const at = new Date(2026, 10, 22, 14, 3, 7, 45).getTime();
  expect(momentText(at, at + 1000)).toBe("14:03:07.045");
  expect(momentText(at, at + 86_400_000)).toBe("2026-11-22 14:03:07.045");
});

test("a confidence is never certain", () => {
  expect(confidence(0.998)).toBe("> 99 %");
  expect(confidence(1)).toBe("> 99 %");
  expect(confidence(0.99)).toBe("99 %");
  expect(confidence(null)).toBe("–");
});

test("a look back is a number and a unit", () => {
  expect(lookBack("now-8m")).toEqual({ n: 8, unit: "m" });
  expect(lookBack("now")).toBe(null);
  expect(lookBack("2026-11-22")).toBe(null);
});
