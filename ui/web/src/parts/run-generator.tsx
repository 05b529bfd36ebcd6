// What the load generator saw of a run, and beside it what hotspan saw in the same time.

import type { ReactNode } from "react";
import { translateServer, useText } from "../i18n";
import { type Figures, figureCells, figureHeads, type Generator, toolName } from "../lib/generator";
import { Panel } from "./panel";

export function RunGenerator({ generator, seen }: { generator: Generator; seen: Figures | undefined }) {
  const { t, word, lang } = useText();
  const named = generator.named ?? [];
  const words = { requests: t("col.requests"), errors: t("col.errorcount"), rate: t("col.rate") };
  return (
    <Panel title={t("run.generator")} note={t("run.generator.note")} flush>
      <div className="table-scroll" tabIndex={0} role="region" aria-label={t("run.generator")}>
        <table className="grid">
          <caption className="sr-only">{t("run.generator")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("run.generator.who")}</th>
              {figureHeads({ ...words, mean: t("run.generator.mean") }).map((head) => (
                <th key={head} scope="col" className="num">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Row name={<b>{t("run.generator.saw", { name: toolName(generator) })}</b>} figures={generator.total} />
            {seen && <Row name={<b>{t("run.generator.saw", { name: "hotspan" })}</b>} figures={seen} />}
            {named.map((figures) => (
              <Row
                key={`${figures.what} ${figures.name}`}
                name={
                  <>
                    {figures.name}{" "}
                    {figures.what !== "request" && <span className="dim">{word("generatorwhat", figures.what)}</span>}
                  </>
                }
                figures={figures}
              />
            ))}
          </tbody>
        </table>
      </div>
      {generator.notes.length > 0 && (
        <p className="empty dim">{generator.notes.map((n) => translateServer(lang, n) ?? n).join(" · ")}</p>
      )}
    </Panel>
  );
}

function Row({ name, figures }: { name: ReactNode; figures: Figures }) {
  const { t } = useText();
  return (
    <tr>
      <th scope="row">{name}</th>
      {figureCells(figures, (text, aside) => t("text.aside", { text, aside })).map((cell, i) => (
        <td key={i} className="num">
          {cell}
        </td>
      ))}
    </tr>
  );
}
