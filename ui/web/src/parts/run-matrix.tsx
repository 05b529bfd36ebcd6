// Which operation's time on the critical path grew from level to level.

import type { LoadStep } from "../api/types";
import { useText } from "../i18n";
import { change, confidence, duration, number } from "../lib/format";
import type { MatrixCell, MatrixRow } from "../lib/step-matrix";
import type { ScopeHandle } from "../state/use-scope";
import { OperationName, peerOf } from "./operation-name";

export interface RunMatrixProps {
  levels: readonly LoadStep[];
  baseline: LoadStep | null;
  rows: readonly MatrixRow[];
  link: ScopeHandle["link"];
}

export function RunMatrix({ levels, baseline, rows, link }: RunMatrixProps) {
  const { t, word } = useText();
  if (rows.length === 0) return <p className="empty">{t("run.matrix.none")}</p>;
  const top = Math.max(1, ...rows.flatMap((r) => r.cells.map((c) => c.ns ?? 0)));
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={t("run.matrix")}>
      <table className="grid matrix">
        <caption className="sr-only">{t("run.matrix")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("col.operation")}</th>
            <th scope="col">{t("col.category")}</th>
            {levels.map((l) => (
              <th scope="col" className="num" key={l.index}>
                {number(l.qps)}/s{l === baseline && <span className="tag blue">{t("chips.baseline")}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row" className="wide">
                <OperationName
                  service={row.spot.service}
                  operation={row.spot.operation}
                  below={peerOf(row.spot)}
                  href={link("/heat", {
                    service: row.spot.service,
                    operation: row.spot.operation,
                    kind: row.spot.span_kind,
                    tab: "above-baseline",
                  })}
                />
              </th>
              <td>
                <span className="tag">{word("category", row.spot.category)}</span>
              </td>
              {row.cells.map((cell, i) => (
                <td key={levels[i].index} className="num" style={shade(cell, top)}>
                  <Figure cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Figure({ cell }: { cell: MatrixCell }) {
  const { t } = useText();
  if (cell.ns === null) return <span className="dim">–</span>;
  const sure = (cell.confidence ?? 0) >= 0.9 && (cell.change ?? 0) > 0;
  return (
    <span className="two-lines">
      <span>{duration(cell.ns)}</span>
      {cell.change !== null && (
        <span
          className={sure ? "rose" : "dim"}
          title={sure ? t("verdict.sure", { p: confidence(cell.confidence) }) : undefined}
        >
          {change(cell.change)}
        </span>
      )}
    </span>
  );
}

/** Darker with the share of the largest figure; the figure itself says the same. */
function shade(cell: MatrixCell, top: number) {
  const share = Math.sqrt((cell.ns ?? 0) / top);
  return share < 0.05
    ? undefined
    : { background: `color-mix(in srgb, var(--orange-fill) ${Math.round(share * 26)}%, transparent)` };
}
