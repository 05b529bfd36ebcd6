// The board of weak nodes: rounds from left to right, a node in each row, and what became of it.

import { Link } from "wouter";
import type { Run } from "../api/runs";
import type { HotSpotsAnswer } from "../api/types";
import { useText } from "../i18n";
import { type BoardRow, boardOf, type Cell, emptiness, judgedOf, newestOf, type Round } from "../lib/board";
import { change, confidence } from "../lib/format";
import { useAnswers } from "../state/answers";
import { useScope } from "../state/use-scope";
import { Panel } from "./panel";
import { ofRun } from "./run-list";
import { ServiceName } from "./service-name";

/** Rounds that fit beside each other. */
const MOST = 8;

export function Board({ runs }: { runs: readonly Run[] }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const isAll = scope.tab === "all";
  const shown = newestOf(runs, isAll ? runs.length : MOST);
  const answers = useAnswers<HotSpotsAnswer>(
    "hotspots",
    shown.map(({ run }) => ofRun(run)),
  );
  const failed = answers.find((a) => a.error);
  const rounds: Round[] = shown.map(({ run, number }, i) => ({
    id: run.id,
    number,
    name: run.name,
    start: run.start_time,
    running: run.end_time === null,
    verdict: answers[i].data?.verdict ?? null,
    findings: answers[i].data?.hotspots ?? [],
  }));
  const waiting = answers.filter((a) => a.loading).length;
  const of =
    shown.length < runs.length ? t("board.note.newest", { n: shown.length, all: runs.length }) : t("board.note");
  return (
    <Panel
      title={t("board.title")}
      note={waiting > 0 ? t("board.waiting", { n: waiting }) : of}
      actions={
        runs.length > MOST && (
          <button type="button" onClick={() => change({ tab: isAll ? "" : "all" }, { replace: true })}>
            {isAll ? t("board.newest", { n: MOST }) : t("board.all", { n: runs.length })}
          </button>
        )
      }
      answer={{
        error: failed && waiting === 0 && answers.every((a) => !a.data) ? failed.error : null,
        loading: answers.length > 0 && waiting === answers.length,
        old: false,
        retry: () =>
          answers.forEach((a) => {
            if (a.error) a.retry();
          }),
      }}
      minHeight={120}
      flush
    >
      <Rows rounds={rounds} rows={boardOf(rounds)} waiting={waiting} />
    </Panel>
  );
}

function Rows({ rounds, rows, waiting }: { rounds: readonly Round[]; rows: readonly BoardRow[]; waiting: number }) {
  const { t } = useText();
  const { link } = useScope();
  if (rows.length === 0) return <Empty rounds={rounds} waiting={waiting} />;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={t("board.title")}>
      <table className="grid board">
        <caption className="sr-only">{t("board.title")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("col.operation")}</th>
            {rounds.map((round) => (
              <th scope="col" key={round.id}>
                <Link href={link(`/runs/${encodeURIComponent(round.id)}`)}>
                  {round.number} · {round.name}
                </Link>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row" className="wide">
                <ServiceName name={row.service} /> <span className="op">{row.operation}</span>
                {row.peer && <span className="dim"> → {row.peer}</span>}
              </th>
              {row.cells.map((cell, i) => (
                <td key={rounds[i].id} className={`board-cell ${cell.state}`}>
                  <State cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Empty({ rounds, waiting }: { rounds: readonly Round[]; waiting: number }) {
  const { t } = useText();
  const why = emptiness(rounds, waiting);
  return (
    <p className="empty">
      {why === "pending" ? t("state.loading") : t(`board.${why}`, { n: judgedOf(rounds), all: rounds.length })}
    </p>
  );
}

const SIGNS: Record<Cell["state"], string> = {
  found: "●",
  still: "●",
  back: "↩",
  gone: "✓",
  absent: "",
  unknown: "?",
  pending: "…",
};

function State({ cell }: { cell: Cell }) {
  const { t, word } = useText();
  if (cell.state === "absent") return <span className="sr-only">{t("board.absent")}</span>;
  const f = cell.finding;
  return (
    <span className="two-lines">
      <span>
        <span aria-hidden="true">{SIGNS[cell.state]} </span>
        {t(`board.${cell.state}`)}
        {f && ` · ${word("category", f.category)}`}
      </span>
      {f && f.change_ns_per_request !== null && (
        <span className="dim">
          {change(f.change_ns_per_request)} · {confidence(f.confidence)}
        </span>
      )}
    </span>
  );
}
