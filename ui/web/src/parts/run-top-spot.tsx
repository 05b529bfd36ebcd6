// The first hot spot of a load level or of a stage, or why there is none.

import type { HotSpotsAnswer } from "../api/types";
import { useText } from "../i18n";

export function TopSpot({ hot, failed }: { hot: HotSpotsAnswer | undefined; failed?: Error | null }) {
  const { t, word } = useText();
  if (failed) return <span className="bad-text">{t("run.failed")}</span>;
  if (!hot) return <span className="dim">…</span>;
  const top = hot.hotspots[0];
  if (!top || (hot.verdict !== "bottleneck" && hot.verdict !== "behaviour_changed"))
    return <span className="dim">{word("verdictname", hot.verdict)}</span>;
  return (
    <span>
      <b>{top.service}</b> {top.operation}
    </span>
  );
}
