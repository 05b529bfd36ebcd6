// What the load generator saw of a run, and beside it what hotspan saw in the same time.

import type { ReactNode } from "react";
import type { Figures, Generator } from "../api/runs";
import { useText } from "../i18n";
import { count, duration, percent, rate } from "../lib/format";
import { Panel } from "./panel";

const TIMES = ["mean_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "max_ns"] as const;

export function RunGenerator({ generator, seen }: { generator: Generator; seen: Figures | undefined }) {
  const { t, word } = useText();
  const tool = [generator.tool, generator.version].filter(Boolean).join(" ");
  const named = generator.named ?? [];
  return (
    <Panel title={t("run.generator")} note={t("run.generator.note")} flush>
      <div className="table-scroll" tabIndex={0} role="region" aria-label={t("run.generator")}>
        <table className="grid">
          <caption className="sr-only">{t("run.generator")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("run.generator.who")}</th>
              <th scope="col" className="num">
                {t("col.requests")}
              </th>
              <th scope="col" className="num">
                {t("col.errors")}
              </th>
              <th scope="col" className="num">
                {t("col.rate")}
              </th>
              {TIMES.map((time) => (
                <th key={time} scope="col" className="num">
                  {time === "mean_ns" ? t("run.generator.mean") : time === "max_ns" ? "max" : time.slice(0, 3)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Row name={<b>{t("run.generator.saw", { name: tool })}</b>} figures={generator.total} />
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
      {generator.notes.length > 0 && <p className="empty dim">{generator.notes.join(" · ")}</p>}
    </Panel>
  );
}

function Row({ name, figures }: { name: ReactNode; figures: Figures }) {
  const { requests, errors } = figures;
  const share = errors !== null && requests ? ` (${percent(errors / requests)})` : "";
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className="num">{requests === null ? "–" : count(requests)}</td>
      <td className="num">{errors === null ? "–" : `${count(errors)}${share}`}</td>
      <td className="num">{rate(figures.rate)}</td>
      {TIMES.map((time) => (
        <td key={time} className="num">
          {duration(figures[time])}
        </td>
      ))}
    </tr>
  );
}
