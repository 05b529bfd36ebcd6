// Where latency hides: calls one by one, retries and waits that no operation owns up to, slow statements, exceptions.

import type { Params } from "../api/client";
import type { ExceptionsAnswer, HiddenAnswer, StatementsAnswer } from "../api/hidden";
import { useText } from "../i18n";
import { ExceptionTable } from "../parts/exception-table";
import { HiddenTable } from "../parts/hidden-table";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { StatementTable } from "../parts/statement-table";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";

const TABS = ["patterns", "statements", "exceptions"] as const;
type Tab = (typeof TABS)[number];

const SHOWN: Record<Tab, (props: { params: Params }) => React.JSX.Element> = {
  patterns: Patterns,
  statements: Statements,
  exceptions: Exceptions,
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
          onChange={(s) => change({ tab: s === "patterns" ? "" : s, sort: "" }, { replace: true })}
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
    <Panel title={t("hidden.patterns")} note={t("hidden.patterns.note")} answer={answer} minHeight={240} flush>
      {answer.data && <HiddenTable rows={answer.data.rows} />}
    </Panel>
  );
}

function Statements({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<StatementsAnswer>("statements", params);
  return (
    <Panel title={t("hidden.statements")} note={t("hidden.statements.note")} answer={answer} minHeight={240} flush>
      {answer.data && <StatementTable rows={answer.data.statements} />}
    </Panel>
  );
}

function Exceptions({ params }: { params: Params }) {
  const { t } = useText();
  const answer = useAnswer<ExceptionsAnswer>("exceptions", params);
  return (
    <Panel title={t("hidden.exceptions")} note={t("hidden.exceptions.note")} answer={answer} minHeight={240} flush>
      {answer.data && <ExceptionTable rows={answer.data.exceptions} />}
    </Panel>
  );
}
