// Where latency hides: calls one by one, retries and waits that no operation owns up to, queues that grow with the load,
// calls that retries multiply from tier to tier, slow statements, exceptions, what logs say differently, instances that
// differ from their siblings or start cold, and requests that were sent late.

import type { ReactNode } from "react";
import type { Params } from "../api/client";
import type {
  AmplificationAnswer,
  ColdStartsAnswer,
  ExceptionsAnswer,
  HiddenAnswer,
  InstanceSkewAnswer,
  LogPatternsAnswer,
  OmissionAnswer,
  QueueingAnswer,
  StatementsAnswer,
} from "../api/hidden";
import { useText } from "../i18n";
import { AmplificationTable } from "../parts/amplification-table";
import { ColdStartTable } from "../parts/cold-start-table";
import { ExceptionTable } from "../parts/exception-table";
import { HiddenTable } from "../parts/hidden-table";
import { InstanceSkewTable } from "../parts/instance-skew-table";
import { LogPatternTable } from "../parts/log-pattern-table";
import { Nothing } from "../parts/nothing";
import { OmissionTable } from "../parts/omission-table";
import { Panel } from "../parts/panel";
import { QueueingTable } from "../parts/queueing-table";
import { Segmented } from "../parts/segmented";
import { StatementTable } from "../parts/statement-table";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";

const TABS = [
  "patterns",
  "queueing",
  "amplification",
  "statements",
  "exceptions",
  "logs",
  "instances",
  "starts",
  "omission",
] as const;
type Tab = (typeof TABS)[number];

const SHOWN: Record<Tab, (props: { params: Params }) => React.JSX.Element> = {
  patterns: Patterns,
  queueing: Queueing,
  amplification: Amplification,
  statements: Statements,
  exceptions: Exceptions,
  logs: Logs,
  instances: Instances,
  starts: Starts,
  omission: Omission,
};

export default function Hidden() {
  const { t } = useText();
  const { scope, change } = useScope();
  const tab: Tab = TABS.find((s) => s === scope.tab) ?? "patterns";
  const Shown = SHOWN[tab];
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t("page.hidden")}</h1>
        <Segmented
          name={t("page.hidden")}
          value={tab}
          options={TABS.map((s) => ({ value: s, label: t(`hidden.${s}`) }))}
          onChange={(s) => change({ tab: s === "patterns" ? "" : s, sort: "", focus: "" }, { replace: true })}
        />
      </div>
      <Shown params={windowParams(scope)} />
    </div>
  );
}

function Patterns({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<HiddenAnswer>("hidden", params);
  return (
    <Panel title={t("hidden.patterns")} note={t("hidden.patterns.note")} answer={answer} minHeight={240} flush timed>
      {answer.data && (answer.data.requests > 0 ? <HiddenTable rows={answer.data.rows} /> : <Nothing />)}
    </Panel>
  );
}

function Queueing({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<QueueingAnswer>("queueing", params);
  return (
    <Panel title={t("hidden.queueing")} note={t("hidden.queueing.note")} answer={answer} minHeight={240} flush timed>
      {answer.data && (answer.data.requests > 0 ? <QueueingTable rows={answer.data.rows} /> : <Nothing />)}
    </Panel>
  );
}

function Amplification({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<AmplificationAnswer>("amplification", params);
  return (
    <Panel
      title={t("hidden.amplification")}
      note={t("hidden.amplification.note")}
      answer={answer}
      minHeight={240}
      flush
      timed
    >
      {answer.data && (answer.data.requests > 0 ? <AmplificationTable rows={answer.data.rows} /> : <Nothing />)}
    </Panel>
  );
}

function Statements({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<StatementsAnswer>("statements", params);
  return (
    <Panel
      title={t("hidden.statements")}
      note={t("hidden.statements.note")}
      answer={answer}
      minHeight={240}
      flush
      timed
    >
      {answer.data && <StatementTable rows={answer.data.statements} />}
    </Panel>
  );
}

function Exceptions({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<ExceptionsAnswer>("exceptions", params);
  return (
    <Panel
      title={t("hidden.exceptions")}
      note={t("hidden.exceptions.note")}
      answer={answer}
      minHeight={240}
      flush
      timed
    >
      {answer.data && <ExceptionTable rows={answer.data.exceptions} />}
    </Panel>
  );
}

function Logs({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<LogPatternsAnswer>("log-patterns", params);
  return (
    <Panel title={t("hidden.logs")} note={t("hidden.logs.note")} answer={answer} minHeight={240} flush timed>
      {answer.data && <LogPatternTable rows={answer.data.patterns} />}
    </Panel>
  );
}

function Instances({ params }: { params: Params }) {
  const { t, lang } = useText();
  const answer = useAnswer<InstanceSkewAnswer>("instance-skew", params);
  return (
    <Panel title={t("hidden.instances")} note={t("hidden.instances.note")} answer={answer} minHeight={240} flush timed>
      {answer.data && (
        <Summed summary={answer.data.summary[lang]} some={answer.data.rows.length > 0}>
          <InstanceSkewTable rows={answer.data.rows} />
        </Summed>
      )}
    </Panel>
  );
}

function Starts({ params }: { params: Params }) {
  const { t, lang } = useText();
  const answer = useAnswer<ColdStartsAnswer>("cold-starts", params);
  return (
    <Panel title={t("hidden.starts")} note={t("hidden.starts.note")} answer={answer} minHeight={240} flush timed>
      {answer.data && (
        <Summed summary={answer.data.summary[lang]} some={answer.data.rows.length > 0}>
          <ColdStartTable rows={answer.data.rows} />
        </Summed>
      )}
    </Panel>
  );
}

/** A sentence over the table that it sums up; without rows it says all there is. */
function Summed({ summary, some, children }: { summary: string; some: boolean; children: ReactNode }) {
  if (!some) return <Nothing text={summary} />;
  return (
    <>
      <p className="pad">{summary}</p>
      {children}
    </>
  );
}

function Omission({ params }: { params: Params }) {
  const { t, lang } = useText();
  const answer = useAnswer<OmissionAnswer>("coordinated-omission", params);
  return (
    <Panel title={t("hidden.omission")} note={t("hidden.omission.note")} answer={answer} minHeight={240} flush timed>
      {answer.data && (
        <>
          {answer.data.hint && answer.data.entries.length > 0 && <p className="hint">{answer.data.hint[lang]}</p>}
          <OmissionTable rows={answer.data.entries} />
        </>
      )}
    </Panel>
  );
}
