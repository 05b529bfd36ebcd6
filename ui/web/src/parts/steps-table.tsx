// The load levels, or the marked stages, as a table: the chart's twin, and the way to pick window and baseline by keyboard.

import type { ReactNode } from "react";
import type { LoadStep, StepsAnswer } from "../api/types";
import type { Interval } from "../charts/steps-chart";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import { microsOf } from "../lib/time";
import { windowText } from "./top-bar";

interface MoreColumn<T> {
  title: string;
  cell(step: T): ReactNode;
}

export interface StepsTableProps extends LevelsTableProps<LoadStep> {
  answer: StepsAnswer;
}

export interface LevelsTableProps<T extends LoadStep> {
  window: Interval | null;
  baseline: Interval | null;
  pick(step: T, asBaseline: boolean): void;
  /** One more column: what else is known of a level. */
  more?: MoreColumn<T>;
  /** The p99 from when requests were meant to be sent, where they tell it; undefined while it is not known. */
  intended?: (step: T) => number | null | undefined;
}

export function StepsTable({ answer, ...props }: StepsTableProps) {
  const { t } = useText();
  const levels = answer.steps.filter((s) => !s.transition);
  if (levels.length === 0) return <p className="dim">{t("steps.none")}</p>;
  return <LevelsTable {...props} levels={levels} title={t("steps.title")} first={t("steps.level")} />;
}

interface NamedLevelsProps<T extends LoadStep> extends LevelsTableProps<T> {
  levels: readonly T[];
  title: string;
  /** The heading of the first column, and what stands there above the time. */
  first: string;
  name?(step: T): ReactNode;
}

export function LevelsTable<T extends LoadStep>(props: NamedLevelsProps<T>) {
  const { levels, title, first, name, window, baseline, pick, more, intended } = props;
  const { t } = useText();
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={title}>
      <table className={more ? "grid steps-table with-more" : "grid steps-table"}>
        <caption className="sr-only">{title}</caption>
        <thead>
          <tr>
            <th scope="col">{first}</th>
            <th scope="col" className="num">
              {t("col.rate")}
            </th>
            <th scope="col" className="num">
              {t("capacity.concurrency")}
            </th>
            <th scope="col" className="num">
              {t("col.requests")}
            </th>
            <th scope="col" className="num">
              p50
            </th>
            <th scope="col" className="num spare">
              p90
            </th>
            <th scope="col" className={intended ? "num spare" : "num"}>
              p95
            </th>
            <th scope="col" className="num">
              p99
            </th>
            <th scope="col" className="num">
              p99.9
            </th>
            {intended && (
              <th scope="col" className="num wrapped" title={t("run.clock.doc")}>
                {t("run.clock.p99")}
              </th>
            )}
            <th scope="col" className="num">
              {t("col.errors")}
            </th>
            {more && <th scope="col">{more.title}</th>}
            <th scope="col">{t("steps.use")}</th>
          </tr>
        </thead>
        <tbody>
          {levels.map((s) => (
            <tr key={s.index}>
              <td>
                {name ? (
                  <span className="two-lines">
                    {name(s)}
                    <span className="dim">{windowText(s)}</span>
                  </span>
                ) : (
                  windowText(s)
                )}
              </td>
              <td className="num strong">{number(s.qps)}/s</td>
              <td className="num">{number(s.concurrency)}</td>
              <td className="num">{count(s.requests)}</td>
              <td className="num">{duration(s.requests > 0 ? s.p50_ns : null)}</td>
              <td className="num spare">{duration(s.requests > 0 ? s.p90_ns : null)}</td>
              <td className={intended ? "num spare" : "num"}>{duration(s.requests > 0 ? s.p95_ns : null)}</td>
              <td className="num">{duration(s.requests > 0 ? s.p99_ns : null)}</td>
              <td className="num">{duration(s.requests > 0 ? s.p999_ns : null)}</td>
              {intended && <td className="num strong">{duration(intended(s))}</td>}
              <td className="num">{percent(s.requests > 0 ? s.errors / s.requests : null)}</td>
              {more && <td className="more">{more.cell(s)}</td>}
              <td className="choices">
                <Choice
                  name={t("chips.baseline")}
                  tone="baseline"
                  on={covers(baseline, s)}
                  pick={() => pick(s, true)}
                />
                <Choice name={t("chips.window")} tone="window" on={covers(window, s)} pick={() => pick(s, false)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Choice({ name, tone, on, pick }: { name: string; tone: string; on: boolean; pick(): void }) {
  return (
    <button type="button" className={`choice ${tone}`} aria-pressed={on} onClick={pick}>
      {name}
    </button>
  );
}

/** Whether the middle of a level lies in an interval. */
function covers(interval: Interval | null, step: LoadStep): boolean {
  if (!interval) return false;
  const middle = (microsOf(step.start) + microsOf(step.end)) / 2e6;
  return middle >= interval.from && middle < interval.to;
}
