// The shell around every page: navigation, top bar, banners, keyboard help.

import { Suspense, useEffect, useRef, useState } from "react";
import { Route, Switch, useLocation } from "wouter";
import { useText } from "./i18n";
import { Banners } from "./parts/banners";
import { KeyboardHelp } from "./parts/keyboard-help";
import { Navigation } from "./parts/navigation";
import { Contained } from "./parts/panel";
import { TopBar } from "./parts/top-bar";
import { isTyping, PAGE_KEYS } from "./state/keys";
import { live } from "./state/settings";
import { useScope } from "./state/use-scope";
import { NotFound } from "./views/not-found";
import { PAGES, pageAt } from "./views/pages";

export function App() {
  const { t } = useText();
  const [helpOpen, setHelpOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const [path, navigate] = useLocation();
  const { link } = useScope();
  const page = pageAt(path);

  useEffect(() => {
    document.title = page ? `${t(page.title)} · hotspan` : "hotspan";
  }, [page, t]);

  useEffect(() => {
    const onKey = globalKeys({
      help: () => setHelpOpen(true),
      go: (to) => navigate(link(to)),
      live: page?.still ? null : () => live.set(!live.get()),
    });
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, link, page]);

  return (
    <div className="shell">
      <a
        href="#main"
        className="skip"
        onClick={(e) => {
          e.preventDefault();
          main.current?.focus();
        }}
      >
        {t("shell.skip")}
      </a>
      <Navigation />
      <div className="column">
        <TopBar openHelp={() => setHelpOpen(true)} page={page} />
        <Banners />
        <main id="main" ref={main} tabIndex={-1}>
          <Contained key={path}>
            <Suspense
              fallback={
                <p className="skeleton page-wait">
                  <span>{t("state.loading")}</span>
                </p>
              }
            >
              <Switch>
                {PAGES.map((p) => (
                  <Route key={p.path} path={p.path} component={p.view} />
                ))}
                <Route component={NotFound} />
              </Switch>
            </Suspense>
          </Contained>
        </main>
      </div>
      <KeyboardHelp open={helpOpen} close={() => setHelpOpen(false)} />
    </div>
  );
}

/** `?` helps, Space pauses live, `g` then a letter opens a page. */
function globalKeys(act: { help(): void; go(path: string): void; live: (() => void) | null }) {
  let prefix = 0;
  return (e: KeyboardEvent) => {
    if (isTyping(e) || e.ctrlKey || e.metaKey || e.altKey) return;
    if (performance.now() - prefix < 1500 && PAGE_KEYS[e.key]) {
      prefix = 0;
      e.preventDefault();
      e.stopImmediatePropagation();
      act.go(PAGE_KEYS[e.key]);
    } else if (e.key === "g") {
      prefix = performance.now();
    } else if (e.key === "?") {
      act.help();
    } else if (
      e.key === " " &&
      act.live &&
      !(e.target as HTMLElement).closest("button, a, summary, [role=button], .table-scroll, pre")
    ) {
      e.preventDefault();
      act.live();
    }
  };
}
