// The keys of the product on one sheet.

import { useEffect, useRef } from "react";
import { type Key, useText } from "../i18n";
import { PAGE_KEYS } from "../state/keys";
import { PAGES, type Page } from "../views/pages";

const SHEETS: { title: Key; keys: [string, Key][] }[] = [
  {
    title: "help.everywhere",
    keys: [["?", "help.help"], ["Space", "help.live"], ...PAGES.flatMap(openers)],
  },
  {
    title: "page.overview",
    keys: [
      ["j  k", "help.row"],
      ["Enter", "help.open"],
      ["h", "help.heat"],
      ["b", "help.baseline"],
    ],
  },
  {
    title: "page.heat",
    keys: [
      ["← → ↑ ↓", "help.move"],
      ["Shift + ← → ↑ ↓", "help.resize"],
      ["Esc", "help.clear"],
    ],
  },
  {
    title: "page.trace",
    keys: [
      ["j  k", "help.row"],
      ["← →", "help.fold"],
      ["f  F", "help.critical"],
      ["e", "help.error"],
      ["[  ]", "help.sibling"],
      ["+  −  0", "help.zoom"],
    ],
  },
  { title: "page.sql", keys: [["Ctrl + Enter", "help.run"]] },
];

function openers(page: Page): [string, Key][] {
  const keys = Object.keys(PAGE_KEYS).filter((key) => PAGE_KEYS[key] === page.path);
  return keys.map((key) => [`g ${key}`, page.title]);
}

export function KeyboardHelp({ open, close }: { open: boolean; close(): void }) {
  const { t } = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} className="help" onClose={close} aria-label={t("help.title")}>
      <header>
        <h2>{t("help.title")}</h2>
        <button type="button" onClick={close}>
          {t("action.close")}
        </button>
      </header>
      <div className="help-sheets">
        {SHEETS.map((s) => (
          <section key={s.title}>
            <h3>{t(s.title)}</h3>
            <dl>
              {s.keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{t(what)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  );
}
