// What is looked at, and against what: time range, window, baseline, filters; then live, language, theme and help.

import { Link } from "wouter";
import { logout } from "../api/client";
import type { Run } from "../api/runs";
import { type Key, useText } from "../i18n";
import { span } from "../lib/format";
import { parseTime, type Window } from "../lib/time";
import { queryClient, SLOW_MS, useAnswer } from "../state/answers";
import { DEFAULT_SCOPE, pageHref, type Scope } from "../state/scope";
import { LANGUAGES, type Language, language, live, signedIn, THEMES, type Theme, theme } from "../state/settings";
import { useScope } from "../state/use-scope";
import type { Page } from "../views/pages";
import { Popover } from "./popover";
import { Segmented } from "./segmented";
import { TimeRange } from "./time-range";

interface TopBarProps {
  openHelp(): void;
  page: Page | null;
}

export function TopBar({ openHelp, page }: TopBarProps) {
  const { t } = useText();
  const { timeless = false, still = false, slow = false } = page ?? {};
  const isLive = live.use() && !still;
  return (
    <header className="top-bar">
      {timeless ? <span /> : <TimeRange />}
      {timeless ? <span /> : <ScopeChips />}
      <div className="top-bar-end">
        <button
          type="button"
          role="switch"
          aria-checked={isLive}
          className={isLive ? "live on" : "live"}
          disabled={still}
          title={t(still ? "live.still" : slow ? "live.slow" : "live.doc", { n: SLOW_MS / 1e3 })}
          onClick={() => live.set(!isLive)}
        >
          <span className="live-dot" aria-hidden="true" />
          {t("live.name")}
        </button>
        <Appearance />
        <button
          type="button"
          className="plain-button"
          aria-label={t("help.title")}
          title={t("help.title")}
          onClick={openHelp}
        >
          ?
        </button>
      </div>
    </header>
  );
}

/** A short name of a window; absolute ones in local time. */
export function windowText(window: Window, nowMs = Date.now()): string {
  const start = parseTime(window.start, nowMs);
  const end = parseTime(window.end, nowMs);
  return start === null || end === null ? `${window.start} – ${window.end}` : span(start, end, nowMs);
}

function ScopeChips() {
  const { t } = useText();
  const { scope, change } = useScope();
  const chips = useChips();
  return (
    <ul className="chips" aria-label={t("chips.name")}>
      {scope.window && (
        <Chip
          name={t("chips.window")}
          value={windowText(scope.window)}
          tone="window"
          remove={() => change({ window: null })}
        />
      )}
      {scope.baseline && (
        <Chip
          name={t("chips.baseline")}
          value={windowText(scope.baseline)}
          tone="baseline"
          remove={() => change({ baseline: null })}
        />
      )}
      {chips.map((c) => (
        <Chip key={c.name + c.value} {...c} remove={() => change(c.without)} />
      ))}
    </ul>
  );
}

const FIELD_NAMES = {
  service: "col.service",
  operation: "col.operation",
  kind: "col.kind",
  instance: "col.instance",
} as const satisfies Record<string, Key>;

interface FilterChip {
  name: string;
  value: string;
  /** The change that takes it away. */
  without: Partial<Scope>;
  /** Where its value leads. */
  href?: string;
}

/** The filters with their names; a run by the one it was given. */
export function useChips(): FilterChip[] {
  const { t } = useText();
  const { scope } = useScope();
  const path = `runs/${encodeURIComponent(scope.run)}`;
  const name = useAnswer<Run>(path, {}, { off: scope.run === "" }).data?.name;
  // The level that is looked at is chosen there as well.
  const href = pageHref(`/${path}`, { ...DEFAULT_SCOPE, window: scope.window, baseline: scope.baseline });
  const run = { name: t("page.run"), value: name ?? scope.run, without: { run: "" }, href };
  const fields = (["service", "operation", "kind", "instance"] as const)
    .filter((f) => scope[f])
    .map((f) => ({ name: t(FIELD_NAMES[f]), value: scope[f], without: { [f]: "" } as Partial<Scope> }));
  const attributes = scope.attributes.map((a, i) => ({
    name: a.key,
    value: a.value,
    without: { attributes: scope.attributes.filter((_, j) => j !== i) },
  }));
  return [...(scope.run ? [run] : []), ...fields, ...attributes];
}

function Chip(props: { name: string; value: string; tone?: string; href?: string; remove(): void }) {
  const { t } = useText();
  const { name, value, tone, href, remove } = props;
  return (
    <li className={`chip ${tone ?? ""}`}>
      <span className="chip-name">{name}</span>
      <span className="chip-value" title={value}>
        {href ? <Link href={href}>{value}</Link> : value}
      </span>
      <button type="button" aria-label={t("chips.remove", { name, value })} onClick={remove}>
        ×
      </button>
    </li>
  );
}

/** Forgets the token; every panel then asks for one again. */
async function signOut() {
  await logout().catch(() => {});
  signedIn.set("no");
  await queryClient.resetQueries();
}

const LANGUAGE_NAMES: Record<Language, string> = { en: "English", zh: "中文" };

function Appearance() {
  const { t } = useText();
  const lang = language.use();
  const tone = theme.use();
  const isSignedIn = signedIn.use() === "yes";
  return (
    <Popover label={lang === "zh" ? "中文" : "EN"} name={t("settings.title")} className="plain-button" align="end">
      {() => (
        <div className="settings">
          <p>{t("settings.language")}</p>
          <Segmented
            name={t("settings.language")}
            value={lang}
            options={LANGUAGES.map((l) => ({ value: l, label: LANGUAGE_NAMES[l] }))}
            onChange={(l) => language.set(l)}
          />
          <p>{t("settings.theme")}</p>
          <Segmented
            name={t("settings.theme")}
            value={tone}
            options={THEMES.map((v: Theme) => ({ value: v, label: t(`theme.${v}`) }))}
            onChange={(v) => theme.set(v)}
          />
          {isSignedIn && (
            <button type="button" className="start" onClick={() => void signOut()}>
              {t("action.signout")}
            </button>
          )}
        </div>
      )}
    </Popover>
  );
}
