// A table whose header sorts, whose figures line up, and whose rows may open a detail below them.

import { Fragment, type ReactNode } from "react";
import { useText } from "../i18n";
import { type Order, sorted } from "../lib/sort";
import { Nothing } from "./nothing";

export interface Column<T> {
  id: string;
  title: ReactNode;
  cell(row: T): ReactNode;
  /** What the column sorts by; without it the column does not sort. */
  value?(row: T): string | number | null;
  numeric?: boolean;
  /** An explanation shown on the header. */
  doc?: string;
  className?: string;
}

export interface TableProps<T> {
  caption: string;
  columns: Column<T>[];
  rows: readonly T[];
  rowKey(row: T): string;
  order?: Order;
  setOrder?(order: Order): void;
  /** Key of the open row and how to open another; the detail spans the table. */
  open?: string | null;
  setOpen?(key: string | null): void;
  detail?(row: T): ReactNode;
  /** What is said without rows: a sentence, or a part of its own. */
  empty?: ReactNode;
  rowClass?(row: T): string | undefined;
}

export function Table<T>(props: TableProps<T>) {
  const { columns, order, setOrder, detail } = props;
  const { t } = useText();
  const by = order && columns.find((c) => c.id === order.column && c.value);
  const rows = by?.value && order ? sorted(props.rows, by.value, order.descending) : props.rows;
  if (rows.length === 0)
    return typeof props.empty === "string" ? <p className="empty">{props.empty}</p> : (props.empty ?? <Nothing />);
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={props.caption}>
      <table className="grid">
        <caption className="sr-only">{props.caption}</caption>
        <thead>
          <tr>
            {detail && (
              <th className="opener">
                <span className="sr-only">{t("table.details")}</span>
              </th>
            )}
            {columns.map((c) => (
              <HeaderCell key={c.id} column={c} order={order} setOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = props.rowKey(row);
            const isOpen = props.open === key;
            return (
              <Fragment key={key}>
                <tr className={[props.rowClass?.(row), isOpen ? "open" : ""].filter(Boolean).join(" ") || undefined}>
                  {detail && (
                    <td className="opener">
                      <button
                        type="button"
                        className="plain"
                        aria-expanded={isOpen}
                        aria-label={t("table.details")}
                        onClick={() => props.setOpen?.(isOpen ? null : key)}
                      >
                        <span className={isOpen ? "chevron down" : "chevron"} aria-hidden="true" />
                      </button>
                    </td>
                  )}
                  {columns.map((c) => (
                    <td
                      key={c.id}
                      className={[c.numeric ? "num" : "", c.className ?? ""].join(" ").trim() || undefined}
                    >
                      {c.cell(row)}
                    </td>
                  ))}
                </tr>
                {detail && isOpen && (
                  <tr className="detail">
                    <td colSpan={columns.length + 1}>{detail(row)}</td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function HeaderCell<T>({ column, order, setOrder }: { column: Column<T>; order?: Order; setOrder?(o: Order): void }) {
  const isBy = order?.column === column.id;
  const direction = isBy ? (order.descending ? "descending" : "ascending") : undefined;
  const name = column.numeric ? "num" : undefined;
  if (!column.value || !setOrder) {
    return (
      <th scope="col" className={name} title={column.doc}>
        {column.title}
      </th>
    );
  }
  return (
    <th scope="col" className={name} aria-sort={direction} title={column.doc}>
      <button
        type="button"
        className="sorter"
        onClick={() => setOrder({ column: column.id, descending: isBy ? !order.descending : Boolean(column.numeric) })}
      >
        {column.title}
        <span className="sort-mark" aria-hidden="true">
          {isBy ? (order.descending ? "▾" : "▴") : ""}
        </span>
      </button>
    </th>
  );
}

/** A share as a figure over a thin bar. */
export function ShareBar({ share, label }: { share: number; label: string }) {
  return (
    <span className="sharebar">
      <span className="sharebar-figure">{label}</span>
      <span className="sharebar-track" aria-hidden="true">
        <span style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
      </span>
    </span>
  );
}
