// What selection and baseline do not share, most telling first: each attribute's value with its share on either side,
// and examples of both. A value can become a filter, or narrow the list to its key.

import { useState } from "react";
import { Link } from "wouter";
import type { CompareAnswer, Difference } from "../api/types";
import { useText } from "../i18n";
import { percent, value } from "../lib/format";
import { isoMicros } from "../lib/time";
import type { Scope } from "../state/scope";
import { useScope } from "../state/use-scope";

export function Differences({ answer }: { answer: CompareAnswer }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const [all, setAll] = useState(false);
  const ofKey = scope.group ? answer.differences.filter((d) => d.key === scope.group) : answer.differences;
  const shown = all || scope.group ? ofKey : ofKey.slice(0, 10);
  const few = answer.selection.spans < 30 || answer.baseline.spans < 30;
  return (
    <>
      <p className="diff-key">
        <span className="key orange">{t("diff.selection")}</span>
        <span className="key blue">{t("chips.baseline")}</span>
        {scope.group && (
          <button type="button" className="small" onClick={() => change({ group: "" }, { replace: true })}>
            {t("diff.allkeys", { key: scope.group })}
          </button>
        )}
      </p>
      {few && <p className="hint">{t("diff.few")}</p>}
      {shown.length === 0 && <p className="empty">{t("diff.empty")}</p>}
      <ol className="diffs">
        {shown.map((d) => (
          <Entry key={`${d.scope}.${d.key}.${value(d.value)}`} difference={d} answer={answer} />
        ))}
      </ol>
      {shown.length < ofKey.length && (
        <button type="button" className="start" onClick={() => setAll(true)}>
          {t("diff.more", { n: ofKey.length - shown.length })}
        </button>
      )}
      <div className="spot-columns">
        <Exemplars title={t("diff.exemplars.selection")} ids={answer.exemplars.selection} />
        <Exemplars title={t("diff.exemplars.baseline")} ids={answer.exemplars.baseline} />
      </div>
    </>
  );
}

function Entry({ difference: d, answer }: { difference: Difference; answer: CompareAnswer }) {
  const { t, word } = useText();
  const text = value(d.value);
  return (
    <li>
      <div className="diff-head">
        <span className="diff-name" title={word("scope", d.scope)}>
          <span className="dim">{d.key}</span> <b>{text || t("diff.absent")}</b>
        </span>
        <Actions difference={d} text={text} answer={answer} />
      </div>
      <Side tone="orange" share={d.selection_share} label={t("diff.selection")} />
      <Side tone="blue" share={d.baseline_share} label={t("chips.baseline")} />
    </li>
  );
}

function Actions({ difference: d, text, answer }: { difference: Difference; text: string; answer: CompareAnswer }) {
  const { t } = useText();
  const { scope, change, link } = useScope();
  const of = `${d.key} ${text}`;
  const filter = filterFor(d, text, scope);
  // The examples are of any selected spans: they have the value for sure only where all of these do.
  const example = d.selection_count === answer.selection.spans ? answer.exemplars.selection[0] : undefined;
  // A list can be narrowed to errors, and to no other status.
  const isListed = d.selection_count > 0 && !(isStatus(d) && text !== "ERROR");
  const [name, href] = example
    ? ([t("action.trace"), link(`/trace/${example}`)] as const)
    : ([t("page.traces"), link("/traces", { ...filter, ...selectedOf({ ...scope, ...filter }) })] as const);
  return (
    <span className="diff-actions">
      {(example || isListed) && (
        <Link className="button small" href={href} aria-label={t("text.pair", { name, value: of })}>
          {name}
        </Link>
      )}
      <button
        type="button"
        className="small"
        aria-label={t("text.pair", { name: t("diff.filter"), value: of })}
        onClick={() => change(filter)}
      >
        {t("diff.filter")}
      </button>
      {scope.group !== d.key && (
        <button
          type="button"
          className="small"
          aria-label={t("text.pair", { name: t("diff.group"), value: d.key })}
          onClick={() => change({ group: d.key }, { replace: true })}
        >
          {t("diff.group")}
        </button>
      )}
    </span>
  );
}

/** The selection as a list of traces takes it: its time as the window, its durations as bounds. */
function selectedOf({ selection, start, end }: Scope): Partial<Scope> {
  if (!selection) return {};
  const { startUs, endUs } = selection;
  const window = {
    start: startUs === null ? start : isoMicros(startUs),
    end: endUs === null ? end : isoMicros(endUs),
  };
  return { window, selection: { ...selection, startUs: null, endUs: null } };
}

function isStatus(d: Difference): boolean {
  return d.scope === "intrinsic" && d.key.startsWith("status");
}

/** Intrinsic keys have filters of their own; attributes become attribute filters. */
function filterFor(d: Difference, text: string, scope: Scope): Partial<Scope> {
  if (d.scope === "intrinsic" && d.key.startsWith("instance")) return { instance: text };
  if (d.scope === "intrinsic" && d.key === "kind") return { kind: text };
  if (d.scope === "intrinsic" && d.key === "name") return { operation: text };
  if (isStatus(d)) {
    return scope.selection ? { selection: { ...scope.selection, errors: text === "ERROR" } } : {};
  }
  return { attributes: [...scope.attributes.filter((a) => a.key !== d.key), { key: d.key, value: text }] };
}

function Side({ tone, share, label }: { tone: string; share: number; label: string }) {
  return (
    <div className="diff-side">
      <span className="sr-only">{label}</span>
      <span className="diff-track" aria-hidden="true">
        <span className={tone} style={{ width: `${Math.max(share > 0 ? 0.5 : 0, share * 100)}%` }} />
      </span>
      <span className="num">{percent(share)}</span>
    </div>
  );
}

function Exemplars({ title, ids }: { title: string; ids: string[] }) {
  const { t } = useText();
  const { link } = useScope();
  return (
    <div>
      <h3>{title}</h3>
      {ids.length === 0 && <p className="dim">{t("diff.noexemplars")}</p>}
      <ul>
        {ids.slice(0, 5).map((id) => (
          <li key={id}>
            <Link className="mono" href={link(`/trace/${id}`)}>
              {id.slice(0, 16)}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
