// The load of a window by time: rate and latency of its requests, or that there were none.

import type { ReactNode } from "react";
import type { StepsAnswer } from "../api/types";
import { useText } from "../i18n";
import { hasRequests } from "../lib/series";
import type { useAnswer } from "../state/answers";
import { Nothing } from "./nothing";
import { Panel } from "./panel";

export function LoadPanel(props: {
  answer: ReturnType<typeof useAnswer<StepsAnswer>>;
  note: string;
  children: (steps: StepsAnswer) => ReactNode;
}) {
  const { t } = useText();
  const { answer, note, children } = props;
  const shown = answer.data && hasRequests(answer.data) ? answer.data : null;
  return (
    <Panel title={t("overview.load")} note={shown && note} answer={answer} minHeight={320}>
      {answer.data && !shown && <Nothing text={t("steps.norequest")} />}
      {shown && children(shown)}
    </Panel>
  );
}
