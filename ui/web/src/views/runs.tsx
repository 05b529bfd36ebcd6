// Stress-test runs: start one, open one, compare two, and see what became of each weak node over the rounds.

import { useState } from "react";
import { Link } from "wouter";
import type { RunsAnswer } from "../api/runs";
import { useText } from "../i18n";
import { count } from "../lib/format";
import { Board } from "../parts/board";
import { Panel } from "../parts/panel";
import { RunForm } from "../parts/run-form";
import { RunList } from "../parts/run-list";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";

export default function Runs() {
  const { t } = useText();
  const { link } = useScope();
  const answer = useAnswer<RunsAnswer>("runs", {}, { everyMs: 10_000 });
  const runs = answer.data?.runs ?? [];
  const [picked, setPicked] = useState<string[]>([]);
  const pick = (id: string) => setPicked((p) => (p.includes(id) ? p.filter((x) => x !== id) : [...p, id].slice(-2)));
  // The earlier one is what the later one is compared with.
  const [a, b] = runs.filter((r) => picked.includes(r.id)).sort((x, y) => x.start_time.localeCompare(y.start_time));
  return (
    <div className="page">
      <h1>{t("page.runs")}</h1>
      <Panel title={t("runs.new")} note={t("runs.new.note")}>
        <RunForm />
      </Panel>
      <Panel
        title={t("page.runs")}
        note={answer.data && count(runs.length)}
        answer={answer}
        minHeight={160}
        flush
        actions={
          a && b ? (
            <Link className="button primary" href={link("/runs/compare", { left: a.id, right: b.id })}>
              {t("runs.compare")}
            </Link>
          ) : (
            <span className="dim">{t("runs.compare.hint")}</span>
          )
        }
      >
        <RunList runs={runs} picked={picked} pick={pick} />
      </Panel>
      {runs.length > 0 && <Board runs={runs} />}
    </div>
  );
}
