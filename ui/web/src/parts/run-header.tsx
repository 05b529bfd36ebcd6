// A run's name and state, and what can be done with it: stop, mark a moment, note something.

import { type ReactNode, useState } from "react";
import { useLocation } from "wouter";
import { change } from "../api/client";
import type { Run, RunsAnswer } from "../api/runs";
import { useText } from "../i18n";
import { clockOrDate, dateTime, duration } from "../lib/format";
import { printLabels } from "../lib/labels";
import { queryClient } from "../state/answers";
import { useScope } from "../state/use-scope";
import { Failure } from "./failure";
import { Popover } from "./popover";
import { RunState } from "./run-list";

export function RunHeader({ run, children }: { run: Run; children?: ReactNode }) {
  const { t } = useText();
  const { failed, send, remove } = useChange(run);
  const lastedNs = ((run.end_time ? Date.parse(run.end_time) : Date.now()) - Date.parse(run.start_time)) * 1e6;
  return (
    <>
      <div className="page-head">
        <h1 className="run-name">
          {run.name} <RunState run={run} />
        </h1>
        <div className="actions">
          {!run.end_time && (
            <>
              <MarkForm add={(name) => send("POST", `runs/${encodeURIComponent(run.id)}/marks`, { name })} />
              <button
                type="button"
                className="primary"
                onClick={() => void send("PATCH", path(run), { end_time: "now" })}
              >
                {t("run.stop")}
              </button>
            </>
          )}
          {children}
          <DeleteForm remove={remove} />
        </div>
      </div>
      <p className="trace-facts">
        <span>
          {dateTime(Date.parse(run.start_time))} –{" "}
          {run.end_time ? clockOrDate(Date.parse(run.end_time), Date.parse(run.start_time)) : "…"}
        </span>
        <span className="strong">{duration(lastedNs)}</span>
        {Object.keys(run.labels ?? {}).length > 0 && <span className="mono">{printLabels(run.labels ?? {})}</span>}
      </p>
      {failed && <Failure error={failed} />}
      <Notes key={run.id} run={run} save={(notes) => send("PATCH", path(run), { notes })} />
    </>
  );
}

function path(run: Run): string {
  return `runs/${encodeURIComponent(run.id)}`;
}

/** Sends a change of a run and asks for it again, or deletes it and goes to the others; keeps what went wrong. */
function useChange(run: Run) {
  const { link } = useScope();
  const [, navigate] = useLocation();
  const [failed, setFailed] = useState<Error | null>(null);
  const send = async (method: "POST" | "PATCH", to: string, body: unknown): Promise<boolean> => {
    setFailed(null);
    try {
      await change(method, to, body);
      await queryClient.invalidateQueries({ queryKey: [path(run)] });
      await queryClient.invalidateQueries({ queryKey: ["runs"] });
      return true;
    } catch (error) {
      setFailed(error as Error);
      return false;
    }
  };
  const remove = async (): Promise<boolean> => {
    setFailed(null);
    try {
      await change("DELETE", path(run), {});
    } catch (error) {
      setFailed(error as Error);
      return false;
    }
    // The list that was asked for before must not show the run until it is asked for again.
    queryClient.setQueriesData<RunsAnswer>(
      { queryKey: ["runs"] },
      (known) => known && { ...known, runs: known.runs.filter((r) => r.id !== run.id) },
    );
    navigate(link("/runs", {}));
    queryClient.removeQueries({ queryKey: [path(run)] });
    await queryClient.invalidateQueries({ queryKey: ["runs"] });
    return true;
  };
  return { failed, send, remove };
}

function MarkForm({ add }: { add(name: string): Promise<boolean> }) {
  const { t } = useText();
  const [name, setName] = useState("");
  return (
    <Popover label={t("run.mark")} name={t("run.mark")} align="end">
      {(close) => (
        <form
          className="fields"
          onSubmit={(e) => {
            e.preventDefault();
            void add(name.trim()).then((done) => {
              if (!done) return;
              setName("");
              close();
            });
          }}
        >
          <label>
            {t("run.mark.name")}
            <input value={name} required maxLength={200} size={20} onChange={(e) => setName(e.target.value)} />
          </label>
          <button type="submit" disabled={name.trim() === ""}>
            {t("run.mark.now")}
          </button>
        </form>
      )}
    </Popover>
  );
}

/** Asks once more before a run is deleted. The focus begins where nothing is lost. */
function DeleteForm({ remove }: { remove(): Promise<boolean> }) {
  const { t } = useText();
  const [waiting, setWaiting] = useState(false);
  return (
    <Popover label={t("run.delete")} name={t("run.delete.title")} align="end">
      {(close) => (
        <div className="confirm">
          <p className="strong">{t("run.delete.title")}</p>
          <p>{t("run.delete.note")}</p>
          <div className="fields">
            <button type="button" ref={focused} onClick={close}>
              {t("run.notes.cancel")}
            </button>
            <button
              type="button"
              className="danger"
              disabled={waiting}
              onClick={() => {
                setWaiting(true);
                void remove().then((gone) => {
                  if (gone) return;
                  setWaiting(false);
                  close();
                });
              }}
            >
              {t("run.delete.now")}
            </button>
          </div>
        </div>
      )}
    </Popover>
  );
}

function focused(button: HTMLButtonElement | null) {
  button?.focus();
}

function Notes({ run, save }: { run: Run; save(notes: string): Promise<boolean> }) {
  const { t } = useText();
  const kept = run.notes ?? "";
  const [text, setText] = useState(kept);
  const [editing, setEditing] = useState(false);
  if (!editing)
    return (
      <p className="run-notes">
        {kept && <span>{kept}</span>}
        <button type="button" className="small" onClick={() => setEditing(true)}>
          {kept ? t("run.notes.edit") : t("run.notes.add")}
        </button>
      </p>
    );
  return (
    <form
      className="run-notes-form"
      onSubmit={(e) => {
        e.preventDefault();
        void save(text.trim()).then((done) => done && setEditing(false));
      }}
    >
      <label>
        <span className="dim">{t("run.notes")}</span>
        <textarea value={text} rows={3} maxLength={10_000} onChange={(e) => setText(e.target.value)} />
      </label>
      <div className="fields">
        <button type="submit" className="primary">
          {t("run.notes.save")}
        </button>
        <button
          type="button"
          onClick={() => {
            setText(kept);
            setEditing(false);
          }}
        >
          {t("run.notes.cancel")}
        </button>
      </div>
    </form>
  );
}
