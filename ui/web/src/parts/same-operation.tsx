// Where a span lies among all spans of its operation: in the window, and at the baseline, with a typical trace of each.

import { useEffect, useState } from "react";
import { Link } from "wouter";
import type { OperationsAnswer, SearchAnswer, TraceSpan } from "../api/types";
import { useText } from "../i18n";
import { count, duration } from "../lib/format";
import { placeAmong } from "../lib/place";
import type { Window } from "../lib/time";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";

/** Walking through a trace by keyboard asks nothing; resting on a span does. */
const REST_MS = 300;

/** Made anew for each span. */
export function SameOperation({ span }: { span: TraceSpan }) {
  const { t } = useText();
  const { scope } = useScope();
  const [rested, setRested] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setRested(true), REST_MS);
    return () => clearTimeout(timer);
  }, []);
  const window = scope.window ?? { start: scope.start, end: scope.end };
  return (
    <dl className="facts same-operation">
      <Among title={scope.window ? t("chips.window") : t("same.range")} span={span} window={window} off={!rested} />
      {scope.baseline && (
        <Among title={t("chips.baseline")} span={span} window={scope.baseline} off={!rested} typical />
      )}
    </dl>
  );
}

interface AmongProps {
  title: string;
  span: TraceSpan;
  window: Window;
  off: boolean;
  typical?: boolean;
}

function Among({ title, span, window, off, typical }: AmongProps) {
  const { t } = useText();
  const { scope, link } = useScope();
  const of = { service: span.service, operation: span.name, kind: span.kind, run: scope.run };
  const answer = useAnswer<OperationsAnswer>("operations", { ...window, ...of }, { off });
  const found = answer.data?.operations.filter((o) => o.operation === span.name && o.kind === span.kind) ?? [];
  const row = found.sort((a, b) => b.count - a.count)[0];
  const place = row && placeAmong(span.duration_ns, row);
  return (
    <div>
      <dt>{title}</dt>
      <dd>
        {answer.error ? (
          <span className="dim">{t("same.unknown")}</span>
        ) : !row ? (
          <span className="dim">{answer.loading || off ? t("state.loading") : t("same.none")}</span>
        ) : (
          <span className="two-lines">
            <span>{place ? t(`same.${place}`) : t("same.few", { n: row.count })}</span>
            <span className="dim">
              p50 {duration(row.p50_ns)} · p99 {duration(row.p99_ns)} · n&nbsp;{count(row.count)}
            </span>
            {typical && <Typical of={of} window={window} link={link} />}
          </span>
        )}
      </dd>
    </div>
  );
}

interface TypicalProps {
  of: { service: string; operation: string; kind: string; run: string };
  window: Window;
  link: ReturnType<typeof useScope>["link"];
}

function Typical({ of, window, link }: TypicalProps) {
  const { t } = useText();
  const answer = useAnswer<SearchAnswer>("search", { ...window, ...of, order: "typical", limit: 1 });
  const id = answer.data?.traces[0]?.trace_id;
  return id ? <Link href={link(`/trace/${id}`, of)}>{t("same.typical")}</Link> : null;
}
