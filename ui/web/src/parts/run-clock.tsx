// From when the latencies of a run count: where requests tell when they were meant to be sent, their p99 from then for the
// run and for each of its levels and stages; where they do not, that it cannot be known.

import type { OmissionAnswer } from "../api/hidden";
import type { Run } from "../api/runs";
import { useText } from "../i18n";
import { duration } from "../lib/format";
import { useAnswer, useAnswers } from "../state/answers";
import { everyMs, ofRun } from "./run-list";

/** All roots and entries are read, so of a run that goes on not too often. */
const CLOCK_MS = 30_000;

interface Stretch {
  start: string;
  end: string;
  /** It is the last, or a stage that still goes on: its end moves. */
  goesOn?: boolean;
}

export interface ClockOfRun {
  answer: OmissionAnswer | undefined;
  isKnown: boolean;
  /** Of a level or a stage; undefined while it is not there, null where none of its requests tells it. */
  p99(of: Stretch): number | null | undefined;
}

export function useClock(run: Run, stretches: readonly Stretch[]): ClockOfRun {
  const again = everyMs(run) ? CLOCK_MS : false;
  const whole = useAnswer<OmissionAnswer>("coordinated-omission", ofRun(run), again ? { everyMs: again } : {});
  const isKnown = whole.data?.known === true;
  const asked = isKnown ? stretches : [];
  const answers = useAnswers<OmissionAnswer>(
    "coordinated-omission",
    asked.map((s) => ({
      params: { ...ofRun(run), start: s.start, end: s.goesOn ? null : s.end },
      everyMs: s.goesOn ? again : false,
    })),
  );
  return {
    answer: whole.data,
    isKnown,
    p99: (of) => {
      const at = asked.findIndex((s) => s.start === of.start && s.end === of.end);
      const { data } = answers[at] ?? {};
      return data && (data.total?.p99_intended_ns ?? null);
    },
  };
}

/** The sentence, and the figures of the whole run beside each other. */
export function RunClock({ clock, p99 }: { clock: ClockOfRun; p99: number | null | undefined }) {
  const { t, lang } = useText();
  const { answer } = clock;
  if (!answer) return null;
  const { total } = answer;
  return (
    <p className="run-clock">
      {p99 != null && (
        <span>
          p99 <b>{duration(p99)}</b>
        </span>
      )}
      {total && (
        <span>
          {t("run.clock.p99")} <b>{duration(total.p99_intended_ns)}</b>
        </span>
      )}
      <span className="dim">{answer.clock[lang]}</span>
    </p>
  );
}
