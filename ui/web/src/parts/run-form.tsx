// Starting a run: its name, and labels that later rounds can be told apart by.

import { useState } from "react";
import { useLocation } from "wouter";
import { change } from "../api/client";
import type { Run } from "../api/runs";
import { useText } from "../i18n";
import { parseLabels } from "../lib/labels";
import { queryClient } from "../state/answers";
import { useScope } from "../state/use-scope";
import { Failure } from "./failure";

export function RunForm() {
  const { t } = useText();
  const { link } = useScope();
  const [, navigate] = useLocation();
  const [name, setName] = useState("");
  const [labels, setLabels] = useState("");
  const [failed, setFailed] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const parsed = parseLabels(labels);
  const start = async () => {
    setBusy(true);
    setFailed(null);
    try {
      const run = await change<Run>("POST", "runs", { name: name.trim(), labels: parsed ?? {} });
      await queryClient.invalidateQueries({ queryKey: ["runs"] });
      if (run) navigate(link(`/runs/${encodeURIComponent(run.id)}`, { run: "" }));
    } catch (error) {
      setFailed(error as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="fields"
      onSubmit={(e) => {
        e.preventDefault();
        void start();
      }}
    >
      <label>
        {t("runs.name")}
        <input value={name} required size={28} maxLength={200} onChange={(e) => setName(e.target.value)} />
      </label>
      <label>
        {t("runs.labels")}
        <input
          value={labels}
          size={28}
          placeholder="git=4f1c2aa, env=staging"
          aria-invalid={parsed === null}
          onChange={(e) => setLabels(e.target.value)}
        />
      </label>
      <button type="submit" className="primary" disabled={busy || name.trim() === "" || parsed === null}>
        {t("runs.start")}
      </button>
      {parsed === null && <span className="bad-text">{t("runs.labels.wrong")}</span>}
      {failed && <Failure error={failed} />}
    </form>
  );
}
