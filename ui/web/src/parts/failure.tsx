// What failed, what to do about it, and a way to try again.

import { useState } from "react";
import { ApiError, login } from "../api/client";
import { useText } from "../i18n";
import { queryClient } from "../state/answers";
import { signedIn } from "../state/settings";

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useText();
  const api = error instanceof ApiError ? error : null;
  return (
    <div className="failure" role="alert">
      <p className="failure-what">{failureText(error, t("error.unreachable"))}</p>
      {api?.hint && <p>{api.hint}</p>}
      {api?.kind === "unreachable" && <p>{t("error.unreachable.hint")}</p>}
      {api && api.status > 0 && <p className="dim">{t("error.status", { status: api.status, kind: api.kind })}</p>}
      {api && (api.status === 401 || api.status === 403) && <TokenForm />}
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

/** Asks for the token of a server with authentication, then asks all questions again. */
function TokenForm() {
  const { t } = useText();
  const [token, setText] = useState("");
  const [refused, setRefused] = useState<Error | null>(null);
  const [waiting, setWaiting] = useState(false);
  const handIn = async () => {
    setWaiting(true);
    try {
      await login(token.trim());
      signedIn.set("yes");
      await queryClient.resetQueries();
    } catch (error) {
      setRefused(error as Error);
    } finally {
      setWaiting(false);
    }
  };
  return (
    <form
      className="fields"
      onSubmit={(e) => {
        e.preventDefault();
        void handIn();
      }}
    >
      <label>
        {t("error.token")}
        <input
          type="password"
          autoComplete="current-password"
          value={token}
          aria-invalid={refused !== null}
          onChange={(e) => setText(e.target.value)}
          size={36}
        />
      </label>
      <button type="submit" disabled={token.trim() === "" || waiting}>
        {t("action.signin")}
      </button>
      {refused && <p className="failure-what">{failureText(refused, t("error.unreachable"))}</p>}
    </form>
  );
}
