// The heat map as a table: how many spans, errors and selected spans lie in each band of durations.

import { useText } from "../i18n";
import { count, duration } from "../lib/format";
import { cellsOf, type HeatGrid, type Selection } from "../lib/heat";

export function HeatTable({
  grid,
  errors,
  selection,
}: {
  grid: HeatGrid;
  errors: ArrayLike<number>;
  selection: Selection | null;
}) {
  const { t } = useText();
  const box = selection ? cellsOf(grid, selection) : null;
  const rows = Array.from({ length: grid.rows }, (_, i) => grid.rows - 1 - i)
    .map((r) => {
      const row = { r, n: 0, errors: 0, selected: 0 };
      for (let c = 0; c < grid.columns; c++) {
        const n = grid.counts[c * grid.rows + r];
        row.n += n;
        row.errors += errors[c * grid.rows + r] ?? 0;
        if (box && c >= box.c0 && c < box.c1 && r >= box.r0 && r < box.r1) row.selected += n;
      }
      return row;
    })
    .filter((row) => row.n > 0);
  return (
    <details className="twin">
      <summary>{t("table.twin")}</summary>
      <div className="table-scroll" tabIndex={0} role="region" aria-label={t("page.heat")}>
        <table className="grid">
          <thead>
            <tr>
              <th scope="col">{t("col.duration")}</th>
              <th scope="col" className="num">
                {t("col.spans")}
              </th>
              <th scope="col" className="num">
                {t("col.errorcount")}
              </th>
              <th scope="col" className="num">
                {t("col.selected")}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.r}>
                <td>
                  {duration(grid.edges[row.r])} – {row.r === grid.rows - 1 ? "∞" : duration(grid.edges[row.r + 1])}
                </td>
                <td className="num">{count(row.n)}</td>
                <td className="num">{count(row.errors)}</td>
                <td className="num">{count(row.selected)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
