// What an open row of a finding says: its sentence, and where to look next.

import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Sentence } from "../api/hidden";
import { useText } from "../i18n";
import type { Scope } from "../state/scope";
import { useScope } from "../state/use-scope";

export interface RowDetailProps {
  explanation: Sentence;
  /** The spans meant. */
  at: Partial<Scope>;
  children?: ReactNode;
}

export function RowDetail({ explanation, at, children }: RowDetailProps) {
  const { t, lang } = useText();
  const { link } = useScope();
  return (
    <div className="spot-detail">
      <p className="spot-why">{explanation[lang]}</p>
      {children}
      <p className="fields">
        <Link className="button primary" href={link("/heat", at)}>
          {t("action.heat")}
        </Link>
        <Link className="button" href={link("/traces", at)}>
          {t("page.traces")}
        </Link>
      </p>
    </div>
  );
}
