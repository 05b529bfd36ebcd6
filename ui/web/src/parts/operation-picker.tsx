// Chooses service and operation of a page from those that have spans in the range.

import type { OperationsAnswer } from "../api/types";
import { useText } from "../i18n";
import { useAnswer } from "../state/answers";
import { useScope } from "../state/use-scope";

export function OperationPicker() {
  const { t } = useText();
  const { scope, change } = useScope();
  const { start, end, run } = scope;
  const all = useAnswer<OperationsAnswer>("operations", { start, end, run }).data?.operations ?? [];
  const services = [...new Set([...all.map((o) => o.service), ...(scope.service ? [scope.service] : [])])].sort();
  const operations = all.filter((o) => o.service === scope.service);
  const keyOf = (operation: string, kind: string) => `${kind}\u0000${operation}`;
  const listed = operations.some((o) => o.operation === scope.operation && (!scope.kind || o.kind === scope.kind));
  return (
    <div className="picker">
      <label>
        {t("col.service")}
        <select
          value={scope.service}
          onChange={(e) => change({ service: e.target.value, operation: "", kind: "", selection: null })}
        >
          <option value="">{t("heat.requests")}</option>
          {services.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
      </label>
      <label>
        {t("col.operation")}
        <select
          disabled={!scope.service}
          value={scope.operation ? keyOf(scope.operation, scope.kind) : ""}
          onChange={(e) => {
            const [kind, operation] = e.target.value.split("\u0000");
            change({ operation: operation ?? "", kind: kind ?? "", selection: null });
          }}
        >
          <option value="">{t("heat.alloperations")}</option>
          {scope.operation && !(listed && scope.kind) && (
            <option value={keyOf(scope.operation, scope.kind)}>{scope.operation}</option>
          )}
          {operations.map((o) => (
            <option key={o.operation + o.kind + o.peer} value={keyOf(o.operation, o.kind)}>
              {o.operation} ({o.kind})
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
