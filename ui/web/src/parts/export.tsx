// A page to take along: one HTML file, Markdown, or JSON, made in the browser from what the page shows.

import { useText } from "../i18n";
import { fileName, type Paper, paperHtml, paperJson, paperMarkdown } from "../lib/paper";
import { Popover } from "./popover";

/** `paper` is made when it is asked for. */
export function Export({ name, paper }: { name: string; paper(): Paper }) {
  const { t } = useText();
  const forms = [
    { label: t("run.export.html"), extension: "html", media: "text/html", write: paperHtml },
    { label: "Markdown", extension: "md", media: "text/markdown", write: paperMarkdown },
    { label: "JSON", extension: "json", media: "application/json", write: paperJson },
  ];
  return (
    <Popover label={t("run.export")} name={t("run.export")} align="end">
      {(close) => (
        <div className="settings">
          {forms.map(({ label, extension, media, write }) => (
            <button
              type="button"
              key={extension}
              onClick={() => {
                save(fileName(name, extension), media, write(paper()));
                close();
              }}
            >
              {label}
            </button>
          ))}
        </div>
      )}
    </Popover>
  );
}

function save(file: string, media: string, text: string) {
  const address = URL.createObjectURL(new Blob([text], { type: media }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = file;
  anchor.click();
  URL.revokeObjectURL(address);
}
