// The left navigation. Links keep the times and filters of the current page.

import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useText } from "../i18n";
import { useScope } from "../state/use-scope";
import { PAGES, pageAt } from "../views/pages";

const GROUPS = ["investigate", "test", "system", "tools"] as const;

export function Navigation() {
  const { t } = useText();
  const [path] = useLocation();
  const { link } = useScope();
  // Only narrow screens hide the list behind a button.
  const [openOn, setOpenOn] = useState<string | null>(null);
  const isOpen = openOn === path;
  const page = pageAt(path);
  const here = page?.under ?? page?.path;
  return (
    <nav className={isOpen ? "nav open" : "nav"} aria-label={t("shell.navigation")}>
      <Link href={link("/")} className="brand">
        <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
          <path d="M1 4h6" className="brand-dim" />
          <path d="M4 8h11" className="brand-hot" />
          <path d="M7 12h5" className="brand-dim" />
        </svg>
        hotspan
      </Link>
      <button
        type="button"
        className="nav-toggle"
        aria-expanded={isOpen}
        onClick={() => setOpenOn(isOpen ? null : path)}
      >
        {t("shell.menu")}
      </button>
      {GROUPS.map((group) => (
        <div key={group} className="nav-group">
          <p>{t(`nav.${group}`)}</p>
          <ul>
            {PAGES.filter((p) => p.group === group).map((p) => (
              <li key={p.path}>
                <Link href={link(p.path)} aria-current={here === p.path ? "page" : undefined}>
                  {t(p.title)}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
