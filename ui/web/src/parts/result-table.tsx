// Rows of a SQL answer. Only those in sight are in the page.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import type { SqlAnswer } from "../api/types";
import { useText } from "../i18n";

const ROW_HEIGHT = 26;

export function ResultTable({ answer }: { answer: SqlAnswer }) {
  const { t } = useText();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: answer.rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 20,
  });
  const items = virtual.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const numeric = answer.columns.map((c) => /int|float|double|decimal|duration/i.test(c.type));
  return (
    <div className="table-scroll result" ref={scroller} tabIndex={0} role="region" aria-label={t("sql.result")}>
      <table className="grid" aria-rowcount={answer.rows.length + 1}>
        <thead>
          <tr>
            {answer.columns.map((c, i) => (
              <th key={i} scope="col" className={numeric[i] ? "num" : undefined} title={c.type}>
                {c.name}
                <span className="type">{c.type}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && (
            <tr aria-hidden="true" style={{ height: above }}>
              <td colSpan={answer.columns.length} />
            </tr>
          )}
          {items.map((item) => (
            <tr key={item.index} aria-rowindex={item.index + 2} style={{ height: ROW_HEIGHT }}>
              {answer.rows[item.index].map((cell, i) => (
                <td key={i} className={numeric[i] ? "num" : "mono-cell"} title={text(cell)}>
                  {cell === null ? <span className="dim">null</span> : text(cell)}
                </td>
              ))}
            </tr>
          ))}
          {below > 0 && (
            <tr aria-hidden="true" style={{ height: below }}>
              <td colSpan={answer.columns.length} />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function text(cell: unknown): string {
  return typeof cell === "string" ? cell : JSON.stringify(cell);
}
