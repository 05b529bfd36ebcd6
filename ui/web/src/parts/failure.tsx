// What failed, what to do about it, and a way to try again.

import { ApiError } from "../api/client";
import { useText } from "../i18n";

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useText();
  const api = error instanceof ApiError ? error : null;
  return (
    <div className="failure" role="alert">
      <p className="failure-what">{failureText(error, t("error.unreachable"))}</p>
      {api?.hint && <p>{api.hint}</p>}
      {api?.kind === "unreachable" && <p>{t("error.unreachable.hint")}</p>}
      {api && api.status > 0 && (
        <p className="dim">
          {t("error.status", { status: api.status, kind: api.kind })}
        </p>
      )}
      {retry && (
        <button type="button" onClick={retry}>
          {t("action.retry")}
        </button>
      )}
    </div>
  );
}

export function failureText(error: Error, unreachable: string): string {
  if (error instanceof ApiError && error.kind === "unreachable") return unreachable;
  return error.message.charAt(0).toUpperCase() + error.message.slice(1);
}
