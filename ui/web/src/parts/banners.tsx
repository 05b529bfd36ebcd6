// What must not be missed on any page: data of the shown range that was not kept, and an address open to everyone.

import { useEffect } from "react";
import { Link } from "wouter";
import type { StatusAnswer } from "../api/types";
import { translateServer, useText } from "../i18n";
import { clockOrDate, count } from "../lib/format";
import { type Losses, lossesIn, mainReason } from "../lib/losses";
import { parseTime } from "../lib/time";
import { useAnswer } from "../state/answers";
import { lostRows, readings, remember } from "../state/status-history";
import { useScope } from "../state/use-scope";

export function useStatus() {
  return useAnswer<StatusAnswer>("status", {}, { everyMs: 5_000 });
}

export function Banners() {
  const { t, word, lang } = useText();
  const { scope, link } = useScope();
  const status = useStatus().data;
  const history = readings.use();
  useEffect(() => {
    if (status?.ledger) remember(status, Date.now());
  }, [status]);
  if (!status?.ledger) return null;
  const now = Date.now();
  const range = { from: parseTime(scope.start, now) ?? now, to: parseTime(scope.end, now) ?? now };
  const losses = lossesIn(range, {
    now: { at: now, lost: lostRows(status) },
    startedAt: Date.parse(status.started_at),
    lastAt: lastLoss(status),
    earlier: history.map((r) => ({ at: r.at, lost: lostRows(r.status) })),
  });
  const damaged = (status.damage?.length ?? 0) > 0;
  return (
    <>
      {status.refusing && (
        <div className="banner bad" role="alert">
          <p>{t("banner.refusing", { reason: translateServer(lang, status.refusing) ?? status.refusing })}</p>
          <Link href={link("/health")}>{t("page.health")}</Link>
        </div>
      )}
      {(losses.kind !== "none" || damaged) && (
        <div className="banner bad" role="status">
          <p>
            {losses.kind !== "none" && <Lost losses={losses} status={status} reason={word("reason", worst(status))} />}
            {losses.kind !== "none" && damaged && t("text.between")}
            {damaged && t("banner.damage", { what: status.damage[0] })}
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

function Lost({
  losses,
  status,
  reason,
}: {
  losses: Exclude<Losses, { kind: "none" }>;
  status: StatusAnswer;
  reason: string;
}) {
  const { t } = useText();
  const rows = count(losses.rows);
  const since = clockOrDate(Date.parse(status.started_at));
  const said =
    losses.kind === "range"
      ? t("banner.lost.range", { n: rows, reason })
      : t("banner.lost.start", { n: rows, reason, time: since });
  if (losses.lastAt === null) return said;
  return said + t("text.between") + t("banner.lost.last", { time: clockOrDate(losses.lastAt) });
}

/** When the last row was lost, if the server says it for every reason that has cost rows. */
function lastLoss(status: StatusAnswer): number | null {
  const costly = (status.reasons ?? []).filter((r) => r.count > 0);
  if (costly.length === 0) return null;
  const times = costly.map((r) => (r.last_at ? Date.parse(r.last_at) : Number.NaN));
  return times.some(Number.isNaN) ? null : Math.max(...times);
}

function worst(status: StatusAnswer): string {
  const rows = (of: "rejected" | "refused") => Object.values(status.ledger).reduce((sum, l) => sum + (l?.[of] ?? 0), 0);
  return mainReason(status.reasons ?? [], { rejected: rows("rejected"), refused: rows("refused") }) ?? "?";
}
