// A figure with that of the baseline below it, where there is one.

import { useText } from "../i18n";

export function Before({ now, before, tone }: { now: string; before: string | null; tone?: string | undefined }) {
  const { t } = useText();
  return (
    <span className="two-lines">
      <span className={tone}>{now}</span>
      {before && <span className="dim">{t("hotspot.was", { value: before })}</span>}
    </span>
  );
}
