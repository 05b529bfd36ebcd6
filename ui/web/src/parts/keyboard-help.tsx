// The keys of the product on one sheet.

import { useEffect, useRef } from "react";
import { type Key, useText } from "../i18n";

const SHEETS: { title: Key; keys: [string, Key][] }[] = [
  {
    title: "help.everywhere",
    keys: [
      ["?", "help.help"],
      ["Space", "help.live"],
      ["g o", "page.overview"],
      ["g h", "page.heat"],
      ["g f", "page.flame"],
      ["g l", "page.hidden"],
      ["g t", "page.traces"],
      ["g r", "page.runs"],
      ["g c", "page.capacity"],
      ["g w", "page.whatif"],
      ["g s", "page.services"],
      ["g m", "page.map"],
      ["g e", "page.metrics"],
      ["g q", "page.sql"],
      ["g i", "page.health"],
    ],
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
      ["f", "help.critical"],
      ["e", "help.error"],
      ["[  ]", "help.sibling"],
      ["+  −  0", "help.zoom"],
    ],
  },
  { title: "page.sql", keys: [["Ctrl + Enter", "help.run"]] },
];

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
