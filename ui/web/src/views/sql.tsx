// The SQL console. The statement that ran is in the address.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { postSql } from "../api/client";
import type { SchemaAnswer, SqlAnswer } from "../api/types";
import { type Key, useText } from "../i18n";
import { bytes, count, duration } from "../lib/format";
import { Failure, FailureText } from "../parts/failure";
import { Panel } from "../parts/panel";
import { ResultTable } from "../parts/result-table";
import { SqlEditor } from "../parts/sql-editor";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";
import { EXAMPLES } from "./sql-examples";

export default function Sql() {
  const { t } = useText();
  const { scope, change } = useScope();
  const [text, setText] = useState(scope.query);
  const schema = useAnswer<SchemaAnswer>("schema", {}).data;
  const answer = useQuery({
    queryKey: ["sql", scope.query],
    enabled: scope.query.trim() !== "",
    staleTime: 0,
    retry: false,
    queryFn: async ({ signal }) => (await (await postSql(scope.query, "application/json", signal)).json()) as SqlAnswer,
  });
  const run = (statement: string) => {
    setText(statement);
    if (statement.trim() === "") return;
    if (statement === scope.query) void answer.refetch();
    else change({ query: statement });
  };
  return (
    <div className="page">
      <h1 className="sr-only">{t("page.sql")}</h1>
      <Panel
        title={t("page.sql")}
        note={t("sql.note")}
        actions={
          <button type="button" className="primary" onClick={() => run(text)} disabled={text.trim() === ""}>
            {answer.isFetching ? t("sql.running") : t("sql.run")} <kbd>Ctrl ↵</kbd>
          </button>
        }
        flush
      >
        <SqlEditor
          text={text}
          schema={schema}
          label={t("page.sql")}
          hint={t("sql.hint")}
          onChange={setText}
          run={() => run(text)}
        />
      </Panel>
      <div className="sql-columns">
        <section className="panel sql-result" aria-busy={answer.isFetching || undefined}>
          <header className="panel-head">
            <h2>{scope.query.trim() ? t("sql.result") : t("sql.examples")}</h2>
            {answer.data && !answer.isError && <ResultFacts answer={answer.data} />}
            {answer.data && !answer.isError && <Downloads statement={scope.query} />}
          </header>
          <div className="panel-body flush">
            {answer.isError ? (
              <div className="pad">
                <Failure error={answer.error} retry={() => void answer.refetch()} />
              </div>
            ) : answer.data ? (
              <div className={answer.isFetching ? "old" : undefined}>
                {answer.data.rows.length === 0 ? (
                  <p className="empty">{t("sql.norows")}</p>
                ) : (
                  <ResultTable key={scope.query} answer={answer.data} />
                )}
              </div>
            ) : answer.isFetching ? (
              <p className="skeleton" style={{ minHeight: 120 }}>
                <span>{t("sql.running")}</span>
              </p>
            ) : (
              <Examples run={run} />
            )}
          </div>
        </section>
        <SchemaBrowser schema={schema} />
      </div>
      {answer.data && (
        <Panel title={t("sql.examples")} flush>
          <Examples run={run} />
        </Panel>
      )}
    </div>
  );
}

function ResultFacts({ answer }: { answer: SqlAnswer }) {
  const { t } = useText();
  const facts = t("sql.facts", { n: count(answer.rows.length), time: duration(answer.elapsed_ms * 1e6) });
  const { cut } = answer;
  const most =
    cut?.setting === "max_bytes" ? bytes(cut.most) : t("sql.rows", { n: count(cut?.most ?? answer.rows.length) });
  return (
    <p className={answer.truncated ? "note warn-text" : "note"} aria-live="polite">
      {facts}
      {answer.truncated && ` ${t("sql.truncated", { most, setting: cut?.setting ?? "max_rows, max_bytes" })}`}
    </p>
  );
}

const FORMATS = [
  ["CSV", "text/csv", "csv"],
  ["Parquet", "application/vnd.apache.parquet", "parquet"],
  ["Arrow", "application/vnd.apache.arrow.stream", "arrow"],
] as const;

function Downloads({ statement }: { statement: string }) {
  const { t } = useText();
  const [error, setError] = useState<Error | null>(null);
  const download = async (accept: string, extension: string) => {
    setError(null);
    try {
      const response = await postSql(statement, accept, new AbortController().signal);
      const url = URL.createObjectURL(await response.blob());
      const a = Object.assign(document.createElement("a"), { href: url, download: `hotspan.${extension}` });
      a.click();
      URL.revokeObjectURL(url);
    } catch (e) {
      setError(e as Error);
    }
  };
  return (
    <div className="actions">
      {error && (
        <div className="warn-text">
          <FailureText error={error} />
        </div>
      )}
      {FORMATS.map(([name, accept, extension]) => (
        <button
          type="button"
          key={name}
          className="small"
          aria-label={t("sql.download", { format: name })}
          onClick={() => download(accept, extension)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

function Examples({ run }: { run(statement: string): void }) {
  const { t } = useText();
  return (
    <ul className="examples">
      {EXAMPLES.map((e) => (
        <li key={e.title}>
          <button type="button" onClick={() => run(e.statement)}>
            <b>{t(e.title as Key)}</b>
            <code>{e.statement}</code>
          </button>
        </li>
      ))}
    </ul>
  );
}

function SchemaBrowser({ schema }: { schema: SchemaAnswer | undefined }) {
  const { t } = useText();
  return (
    <section className="panel schema">
      <header className="panel-head">
        <h2>{t("sql.schema")}</h2>
      </header>
      <div className="panel-body">
        {(schema?.tables ?? []).map((table) => (
          <details key={table.name}>
            <summary>
              <span className="mono">{table.name}</span>
            </summary>
            <p className="dim">{table.doc}</p>
            <dl className="attributes">
              {table.columns.map((c) => (
                <div key={c.name} title={c.doc}>
                  <dt>{c.name}</dt>
                  <dd>{c.type}</dd>
                </div>
              ))}
            </dl>
          </details>
        ))}
        {(schema?.functions ?? []).length > 0 && (
          <details>
            <summary>{t("sql.functions")}</summary>
            {(schema?.functions ?? []).map((f) => (
              <div className="event" key={f.name}>
                <p>
                  <b className="mono">{f.name}</b>
                </p>
                <p className="dim">{f.doc}</p>
                <code>{f.example}</code>
              </div>
            ))}
          </details>
        )}
      </div>
    </section>
  );
}
