// A part of a page that has nothing to show: which, and what to do about it. Before the first span, point or record has
// arrived no range and no filter is to blame.

import { Link } from "wouter";
import { useText } from "../i18n";
import { hasAny, type Signal } from "../lib/stored";
import { useScope } from "../state/use-scope";
import { useStatus } from "./banners";

export function Nothing({ text, of = "spans" }: { text?: string; of?: Signal }) {
  const { t } = useText();
  const { link } = useScope();
  const status = useStatus().data;
  if (!status?.ledger || hasAny(of, status)) return <p className="empty">{text ?? t("state.empty")}</p>;
  return (
    <p className="empty">
      {t(`state.none.${of}`)} <Link href={link("/")}>{t("state.none.send")}</Link>
    </p>
  );
}
