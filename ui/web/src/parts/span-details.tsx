// Everything that is known about one span, in words where it is a flag, and the ways on from it.

import { Link } from "wouter";
import type { TraceAnswer, TraceSpan } from "../api/types";
import { useText } from "../i18n";
import { dateTime, duration, value } from "../lib/format";
import { microsOfT0 } from "../lib/time";
import { useScope } from "../state/use-scope";
import { CopyButton } from "./copy";
import { SameOperation } from "./same-operation";
import { ServiceName } from "./service-name";

export function SpanDetails({ trace, span }: { trace: TraceAnswer; span: TraceSpan }) {
  const { t, word } = useText();
  const { scope, link } = useScope();
  const started = microsOfT0(trace.t0) / 1e3 + span.start_ns / 1e6;
  const same = { service: span.service, operation: span.name, kind: span.kind };
  return (
    <aside className="span-details" aria-label={t("trace.details")}>
      <h2>{span.name}</h2>
      <p>
        <ServiceName name={span.service} /> <span className="tag">{span.kind}</span>{" "}
        {span.status_code === "ERROR" && <span className="tag bad">{t("trace.failed")}</span>}
      </p>
      {span.status_message && <p className="status-message">{span.status_message}</p>}
      {span.flags.map((f) => (
        <p className="hint" key={f}>
          {word("flag", f)}
        </p>
      ))}
      <dl className="facts">
        <Fact name={t("col.start")} text={`${dateTime(started)} (+${duration(span.start_ns)})`} />
        <Fact name={t("col.duration")} text={duration(span.duration_ns)} />
        <Fact name={t("col.self")} text={duration(span.self_time_ns)} />
        <Fact name={t("col.oncritical")} text={duration(span.critical_path_ns)} />
        <Fact name={t("col.instance")} text={span.instance_id ?? "–"} />
        <Fact name="span_id" text={span.span_id} mono />
      </dl>
      <h3>{t("same.title")}</h3>
      <SameOperation key={span.span_id} span={span} />
      <p className="span-links">
        <Link className="button small" href={link("/heat", same)}>
          {t("trace.heat")}
        </Link>
        {scope.baseline && (
          <Link className="button small" href={link("/traces", { ...same, window: scope.baseline, tab: "typical" })}>
            {t("trace.baseline")}
          </Link>
        )}
      </p>
      <Attributes title={t("trace.attributes")} of={span.attributes} open />
      {span.events.length > 0 && (
        <details open>
          <summary>
            {t("trace.events")} ({span.events.length})
          </summary>
          {span.events.map((e, i) => (
            <div className="event" key={i}>
              <p>
                <b>{e.name}</b> <span className="dim">+{duration(e.time_ns - span.start_ns)}</span>
              </p>
              <AttributeList of={e.attributes} />
            </div>
          ))}
        </details>
      )}
      {span.links.length > 0 && (
        <details open>
          <summary>
            {t("trace.links")} ({span.links.length})
          </summary>
          <ul>
            {span.links.map((l) => (
              <li key={l.trace_id + l.span_id}>
                <Link
                  className="mono"
                  href={link(`/trace/${l.trace_id}`, { focus: l.span_id, service: "", operation: "", kind: "" })}
                >
                  {l.trace_id.slice(0, 16)}…/{l.span_id}
                </Link>
              </li>
            ))}
          </ul>
        </details>
      )}
      <Attributes title={t("trace.resource")} of={span.resource_attributes} />
      <details>
        <summary>{t("trace.scope")}</summary>
        <dl className="facts">
          <Fact name={t("trace.scope")} text={[span.scope_name, span.scope_version].filter(Boolean).join(" ") || "–"} />
          <Fact name="trace_state" text={span.trace_state || "–"} />
          <Fact name="service_namespace" text={span.service_namespace || "–"} />
        </dl>
      </details>
    </aside>
  );
}

function Fact({ name, text, mono }: { name: string; text: string; mono?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={mono ? "mono" : undefined}>{text}</dd>
    </div>
  );
}

function Attributes({ title, of, open }: { title: string; of: Record<string, unknown>; open?: boolean }) {
  const n = Object.keys(of).length;
  return (
    <details open={open}>
      <summary>
        {title} ({n})
      </summary>
      <AttributeList of={of} />
      {n > 0 && <CopyButton text={JSON.stringify(of, null, 2)} />}
    </details>
  );
}

function AttributeList({ of }: { of: Record<string, unknown> }) {
  return (
    <dl className="attributes">
      {Object.entries(of)
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd>{value(v)}</dd>
          </div>
        ))}
    </dl>
  );
}
