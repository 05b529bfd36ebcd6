// Ways to select in the heat map without drawing: presets for the usual questions, and fields for exact bounds.

import { useState } from "react";
import { useText } from "../i18n";
import { dateTime, duration, isDuration, parseDuration } from "../lib/format";
import { type HeatGrid, quantileEdge, type Selection } from "../lib/heat";
import { parseTime, type Window } from "../lib/time";
import { useScope } from "../state/use-scope";
import { DurationField } from "./duration-field";

export interface SelectionProps {
  grid: HeatGrid;
  selection: Selection | null;
  select(selection: Selection | null): void;
}

const ALL: Selection = { startUs: null, endUs: null, minNs: null, maxNs: null, errors: false };

export function SelectionPresets({ grid, selection, select }: SelectionProps) {
  const { t } = useText();
  const { scope } = useScope();
  return (
    <div className="presets">
      <span className="dim">{t("heat.presets")}</span>
      <button type="button" onClick={() => select(slowest(grid))}>
        {t("heat.slowest")}
      </button>
      {scope.baseline && (
        <button type="button" onClick={() => scope.baseline && select(aboveBaseline(grid, scope.baseline))}>
          {t("heat.abovebaseline")}
        </button>
      )}
      <button type="button" onClick={() => select({ ...ALL, errors: true })}>
        {t("heat.errors")}
      </button>
      <button type="button" disabled={!selection} onClick={() => select(null)}>
        {t("heat.clear")}
      </button>
    </div>
  );
}

/** The slowest hundredth of all spans. */
export function slowest(grid: HeatGrid): Selection {
  return { ...ALL, minNs: Math.round(quantileEdge(grid, 0.99)) };
}

/** What came after the baseline and is slower than its p99. */
export function aboveBaseline(grid: HeatGrid, baseline: Window): Selection {
  const before = columnsOf(grid, baseline);
  const minNs = Math.round(quantileEdge(grid, 0.99, before));
  const startUs = grid.t0 + before.c1 * grid.binUs;
  return { ...ALL, minNs, startUs, endUs: grid.t0 + grid.columns * grid.binUs };
}

/** The columns of a window: all rows of it. */
function columnsOf(grid: HeatGrid, window: Window) {
  const now = Date.now();
  const column = (text: string) => ((parseTime(text, now) ?? now) * 1e3 - grid.t0) / grid.binUs;
  const c0 = Math.min(grid.columns - 1, Math.max(0, Math.floor(column(window.start))));
  const c1 = Math.min(grid.columns, Math.max(c0 + 1, Math.ceil(column(window.end))));
  return { c0, c1, r0: 0, r1: grid.rows };
}

/** Remounted for each new selection, so that the fields always start from it. */
export function SelectionFields({ grid, selection, select }: SelectionProps) {
  const { t } = useText();
  const start = selection?.startUs ?? grid.t0;
  const end = selection?.endUs ?? grid.t0 + grid.columns * grid.binUs;
  const [from, setFrom] = useState(dateTime(start / 1e3));
  const [to, setTo] = useState(dateTime(end / 1e3));
  const [low, setLow] = useState(selection?.minNs ? duration(selection.minNs) : "0 ms");
  const [high, setHigh] = useState(selection?.maxNs ? duration(selection.maxNs) : "");
  const apply = () => {
    if (!isDuration(low) || !isDuration(high)) return;
    const bounds = {
      startUs: edited(from, dateTime(start / 1e3), selection?.startUs ?? null),
      endUs: edited(to, dateTime(end / 1e3), selection?.endUs ?? null),
      minNs: low === duration(selection?.minNs ?? -1) ? (selection?.minNs ?? null) : parseDuration(low) || null,
      maxNs: high === duration(selection?.maxNs ?? -1) ? (selection?.maxNs ?? null) : parseDuration(high),
    };
    select({ ...bounds, errors: selection?.errors ?? false });
  };
  return (
    <form
      className="fields"
      onSubmit={(e) => {
        e.preventDefault();
        apply();
      }}
    >
      <label>
        {t("time.from")}
        <input value={from} onChange={(e) => setFrom(e.target.value)} size={19} spellCheck={false} />
      </label>
      <label>
        {t("time.to")}
        <input value={to} onChange={(e) => setTo(e.target.value)} size={19} spellCheck={false} />
      </label>
      <DurationField label={t("heat.min")} text={low} change={setLow} />
      <DurationField label={t("heat.max")} text={high} placeholder="∞" change={setHigh} />
      <label className="check">
        <input
          type="checkbox"
          checked={selection?.errors ?? false}
          onChange={(e) => select({ ...(selection ?? ALL), errors: e.target.checked })}
        />
        {t("heat.onlyerrors")}
      </label>
      <button type="submit">{t("action.select")}</button>
    </form>
  );
}

/** Microseconds of an edited field; the exact bound stays while its text does. */
function edited(text: string, shown: string, exact: number | null): number | null {
  if (text === shown) return exact;
  const ms = parseTime(text, Date.now());
  return ms === null ? exact : ms * 1e3;
}
