// What must not be missed on any page: data that was not kept, and an address open to everyone.

import { Link } from "wouter";
import type { StatusAnswer } from "../api/types";
import { useText } from "../i18n";
import { count } from "../lib/format";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";

export function useStatus() {
  return useAnswer<StatusAnswer>("status", {}, { everyMs: 5_000 });
}

export function Banners() {
  const { t } = useText();
  const { link } = useScope();
  const status = useStatus().data;
  if (!status?.ledger) return null;
  const lost = lossesOf(status);
  return (
    <>
      {(lost.rows > 0 || status.damage?.length > 0) && (
        <div className="banner bad" role="status">
          <p>
            {lost.rows > 0 && t("banner.lost", { n: count(lost.rows), reason: lost.reason })}{" "}
            {status.damage?.length > 0 && t("banner.damage", { what: status.damage[0] })}
          </p>
          <Link href={link("/health")}>{t("page.health")}</Link>
        </div>
      )}
      {status.insecure && (
        <div className="banner warn" role="status">
          <p>{t("banner.insecure")}</p>
        </div>
      )}
    </>
  );
}

/** Rows not kept since the server started, and the reason of most of them. */
function lossesOf(status: StatusAnswer): { rows: number; reason: string } {
  const rows = Object.values(status.ledger).reduce((sum, l) => sum + l.rejected + l.refused, 0);
  const worst = [...(status.reasons ?? [])].sort((a, b) => b.count - a.count)[0];
  return { rows, reason: worst?.reason ?? "?" };
}
