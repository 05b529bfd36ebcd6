// A framed part of a page with one question behind it. It shows that question's states in words: waiting, failed, old,
// cut short. Whatever goes wrong inside stays inside.

import { Component, type ReactNode } from "react";
import type { Meta } from "../api/types";
import { useText } from "../i18n";
import { count, span } from "../lib/format";
import { Failure } from "./failure";

interface StateOf {
  error: Error | null;
  loading: boolean;
  old: boolean;
  retry(): void;
  data?: unknown;
}

export interface PanelProps {
  title: ReactNode;
  /** A sentence beside the title: what is counted, over what. */
  note?: ReactNode;
  actions?: ReactNode;
  answer?: StateOf;
  /** Height to keep while waiting, so that nothing jumps. */
  minHeight?: number;
  className?: string;
  flush?: boolean;
  /** Another panel already says what the server says about this answer. */
  unsaid?: boolean;
  /** The header says which time the answer is about. */
  timed?: boolean;
  children: ReactNode;
}

export function Panel(props: PanelProps) {
  const { title, note, actions, answer, minHeight, className, flush, unsaid, timed, children } = props;
  const { t } = useText();
  const meta = (answer?.data as { meta?: Meta } | undefined)?.meta;
  return (
    <section className={`panel ${className ?? ""}`} aria-busy={answer?.loading || answer?.old || undefined}>
      <header className="panel-head">
        <h2>{title}</h2>
        {note && <p className="note">{note}</p>}
        {timed && meta && <p className="note">{span(Date.parse(meta.start), Date.parse(meta.end), Date.now())}</p>}
        {actions && <div className="actions">{actions}</div>}
      </header>
      <div className={flush ? "panel-body flush" : "panel-body"}>
        {answer?.error && !answer.loading && <Failure error={answer.error} retry={answer.retry} />}
        {answer?.loading ? (
          <p className="skeleton" style={{ minHeight: minHeight ?? 64 }}>
            <span>{t("state.loading")}</span>
          </p>
        ) : (
          // What was there before a refresh failed is still worth more than nothing.
          (!answer?.error || answer.data !== undefined) && (
            <Contained>
              <div className={answer?.old || answer?.error ? "old" : undefined}>{children}</div>
            </Contained>
          )
        )}
      </div>
      {answer && !unsaid && <MetaNotes meta={meta} />}
    </section>
  );
}

/** What the server says about its own answer: cut short, traces left out. */
function MetaNotes({ meta }: { meta?: Meta }) {
  const { t, lang } = useText();
  if (!meta) return null;
  const notes = [
    ...(meta.partial ? [t("state.partial")] : []),
    ...((lang === "zh" ? meta.notes_zh : undefined) ?? meta.notes ?? []),
    ...(meta.unsettled_traces > 0 ? [t("state.unsettled", { n: count(meta.unsettled_traces) })] : []),
  ];
  if (notes.length === 0) return null;
  return (
    <footer className={meta.partial ? "panel-foot warn" : "panel-foot"}>
      {notes.map((n, i) => (
        <p key={i}>{n}</p>
      ))}
    </footer>
  );
}

/** Keeps an exception of one part from taking the page with it. */
export class Contained extends Component<{ children: ReactNode }, { error: Error | null }> {
  state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  render() {
    if (!this.state.error) return this.props.children;
    return <Failure error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}
