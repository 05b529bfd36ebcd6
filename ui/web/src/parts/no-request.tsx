// No request lies in what is looked at: which filter or range leaves none, and the ways out of it.

import { useText } from "../i18n";
import { hasAny } from "../lib/stored";
import { isRelative, type Window, widerThan } from "../lib/time";
import { NO_FILTER } from "../state/scope";
import { useScope } from "../state/use-scope";
import { useStatus } from "./banners";
import { Nothing } from "./nothing";
import { useChips, windowText } from "./top-bar";

const WIDER = { "now-1h": "time.1h", "now-1d": "time.1d", "now-7d": "time.7d" } as const;

export function NoRequest({ window }: { window: Window }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const status = useStatus().data;
  const chips = useChips();
  if (status && !hasAny("spans", status)) return <Nothing />;
  const time = windowText(window);
  const filter = chips.map((chip) => `${chip.name} ${chip.value}`).join(t("text.comma"));
  return (
    <div className="verdict">
      <p className="verdict-main" aria-live="polite">
        {filter ? t("verdict.norequest.filter", { time, filter }) : t("verdict.norequest", { time })}
      </p>
      <p className="verdict-links">
        {filter && (
          <button type="button" className="primary" onClick={() => change(NO_FILTER)}>
            {t("action.clear.filter")}
          </button>
        )}
        {scope.window && (
          <button type="button" onClick={() => change({ window: null })}>
            {t("action.clear.window")}
          </button>
        )}
        <Wider />
        {!isRelative(scope.end) && <Recent />}
      </p>
    </div>
  );
}

/** The way to the next longer range, where there is one. */
export function Wider() {
  const { t } = useText();
  const { scope, change } = useScope();
  const wider = widerThan(scope, Date.now());
  if (!wider) return null;
  return (
    <button type="button" onClick={() => change({ start: wider, end: "now", window: null, run: "" })}>
      {t(WIDER[wider])}
    </button>
  );
}

/** Back from a range that lies where it is. */
function Recent() {
  const { t } = useText();
  const { change } = useScope();
  return (
    <button type="button" onClick={() => change({ start: "now-15m", end: "now", window: null, run: "" })}>
      {t("time.15m")}
    </button>
  );
}
