// The board of weak nodes: rounds from left to right, a node in each row, and what became of it.

import { Link } from "wouter";
import type { Run } from "../api/runs";
import type { HotSpotsAnswer } from "../api/types";
import { useText } from "../i18n";
import {
  type BoardRow,
  type BoardWords,
  boardOf,
  boardPaper,
  type Cell,
  emptiness,
  judgedOf,
  loadOf,
  newestOf,
  type Round,
} from "../lib/board";
import { change, confidence, number } from "../lib/format";
import { useAnswers } from "../state/answers";
import { useScope } from "../state/use-scope";
import { Export } from "./export";
import { Panel } from "./panel";
import { everyMs, ofRun } from "./run-list";
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
    shown.map(({ run }) => ({ params: ofRun(run), everyMs: everyMs(run) })),
  );
  const failed = answers.find((a) => a.error);
  const rounds: Round[] = shown.map(({ run, number }, i) => ({
    id: run.id,
    number,
    name: run.name,
    start: run.start_time,
    running: run.end_time === null,
    load: loadOf(answers[i].data?.window),
    verdict: answers[i].data?.verdict ?? null,
    findings: answers[i].data?.hotspots ?? [],
  }));
  const rows = boardOf(rounds);
  const waiting = answers.filter((a) => a.loading).length;
  const of =
    shown.length < runs.length ? t("board.note.newest", { n: shown.length, all: runs.length }) : t("board.note");
  return (
    <Panel
      title={t("board.title")}
      note={waiting > 0 ? t("board.waiting", { n: waiting }) : of}
      actions={
        <>
          {runs.length > MOST && (
            <button type="button" onClick={() => change({ tab: isAll ? "" : "all" }, { replace: true })}>
              {isAll ? t("board.newest", { n: MOST }) : t("board.all", { n: runs.length })}
            </button>
          )}
          {rows.length > 0 && <BoardExport rounds={rounds} rows={rows} />}
        </>
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
      <Rows rounds={rounds} rows={rows} waiting={waiting} />
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
                <Link href={link(`/runs/${encodeURIComponent(round.id)}`, { run: "" })}>
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
  less: "◔",
  absent: "",
  unknown: "?",
  pending: "…",
};

function State({ cell }: { cell: Cell }) {
  const { t } = useText();
  const tell = useTold();
  if (cell.state === "absent") return <span className="sr-only">{t("board.absent")}</span>;
  const { what, more, why } = tell(cell);
  return (
    <span className="two-lines" title={why}>
      <span>
        <span aria-hidden="true">{SIGNS[cell.state]} </span>
        {what}
      </span>
      {more && <span className="dim">{more}</span>}
    </span>
  );
}

/** What a cell says, the figures behind it, and what it means where that is not plain. */
function useTold(): (cell: Cell) => { what: string; more?: string; why?: string } {
  const { t, word } = useText();
  return ({ state, finding: f, loads }) => {
    const rates = loads && { now: number(loads.now), found: number(loads.found) };
    return {
      what: [t(`board.${state}`), f && word("category", f.category)].filter(Boolean).join(" · "),
      more:
        (rates && t("board.less.of", rates)) ??
        (f && f.change_ns_per_request !== null
          ? `${change(f.change_ns_per_request)} · ${confidence(f.confidence)}`
          : undefined),
      why: rates && t("board.less.doc", rates),
    };
  };
}

function BoardExport({ rounds, rows }: { rounds: readonly Round[]; rows: readonly BoardRow[] }) {
  const { t, word, lang } = useText();
  const tell = useTold();
  const words: BoardWords = {
    language: lang === "zh" ? "zh-CN" : "en",
    title: t("board.title"),
    operation: t("col.operation"),
    rate: t("chart.requests"),
    verdict: (verdict) => (verdict ? word("verdictname", verdict) : "…"),
    cell: (cell) => {
      const { what, more } = tell(cell);
      return [SIGNS[cell.state], more ? t("text.aside", { text: what, aside: more }) : what].filter(Boolean).join(" ");
    },
  };
  return <Export name={t("board.title")} paper={() => boardPaper(rounds, rows, words, location.href)} />;
}
