// The range that charts show: a relative one by name, or two moments.

import { useState } from "react";
import { type Key, useText } from "../i18n";
import { dateTime, span } from "../lib/format";
import { isRelative, lookBack, parseTime } from "../lib/time";
import { useScope } from "../state/use-scope";
import { Popover } from "./popover";

const RELATIVE: [string, Key][] = [
  ["now-5m", "time.5m"],
  ["now-15m", "time.15m"],
  ["now-30m", "time.30m"],
  ["now-1h", "time.1h"],
  ["now-3h", "time.3h"],
  ["now-12h", "time.12h"],
  ["now-1d", "time.1d"],
  ["now-7d", "time.7d"],
];

export function TimeRange() {
  const { t } = useText();
  const { scope } = useScope();
  const known = scope.end === "now" ? RELATIVE.find(([start]) => start === scope.start) : undefined;
  const now = Date.now();
  const start = parseTime(scope.start, now) ?? now;
  const end = parseTime(scope.end, now) ?? now;
  const back = scope.end === "now" ? lookBack(scope.start) : null;
  const label = known
    ? t(known[1])
    : back
      ? t(`time.last.${back.unit}`, { n: back.n })
      : isRelative(scope.start)
        ? `${scope.start} – ${scope.end}`
        : span(start, end, now);
  return (
    <Popover
      className="time-button"
      name={t("time.title")}
      label={
        <>
          <span className="sr-only">{t("time.title")}: </span>
          {label} <span aria-hidden="true">▾</span>
        </>
      }
    >
      {(close) => <TimePanel close={close} start={start} end={end} />}
    </Popover>
  );
}

function TimePanel({ close, start, end }: { close(): void; start: number; end: number }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const [from, setFrom] = useState(isRelative(scope.start) ? dateTime(start) : dateTime(start));
  const [to, setTo] = useState(dateTime(end));
  const fromMs = parseTime(from, Date.now());
  const toMs = parseTime(to, Date.now());
  const valid = fromMs !== null && toMs !== null && fromMs < toMs;
  const apply = () => {
    if (!valid) return;
    const exact = (text: string, ms: number) => (isRelative(text) ? text.trim() : new Date(ms).toISOString());
    change({ start: exact(from, fromMs), end: exact(to, toMs), window: null, selection: null });
    close();
  };
  return (
    <div className="time-panel">
      <ul>
        {RELATIVE.map(([value, key]) => (
          <li key={value}>
            <button
              type="button"
              className={scope.start === value && scope.end === "now" ? "on" : undefined}
              onClick={() => {
                change({ start: value, end: "now", window: null, baseline: null, selection: null, run: "" });
                close();
              }}
            >
              {t(key)}
            </button>
          </li>
        ))}
      </ul>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          apply();
        }}
      >
        <label>
          {t("time.from")}
          <input value={from} onChange={(e) => setFrom(e.target.value)} spellCheck={false} />
        </label>
        <label>
          {t("time.to")}
          <input value={to} onChange={(e) => setTo(e.target.value)} spellCheck={false} />
        </label>
        <p className="dim">{valid ? t("time.hint") : t("time.invalid")}</p>
        <button type="submit" disabled={!valid}>
          {t("action.apply")}
        </button>
      </form>
    </div>
  );
}
