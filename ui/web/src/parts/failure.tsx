// What failed, what to do about it, and a way to try again.

import { useState } from "react";
import { ApiError, login } from "../api/client";
import { translateServer, useText } from "../i18n";
import { queryClient } from "../state/answers";
import { signedIn } from "../state/settings";

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const { t } = useText();
  const api = error instanceof ApiError ? error : null;
  return (
    <div className="failure" role="alert">
      <FailureText error={error} />
      {api && (api.status === 401 || api.status === 403) && <TokenForm />}
      {retry && (
        <button type="button" onClick={retry}>
          {t("action.retry")}
        </button>
      )}
    </div>
  );
}

/** What failed and what to do: in the reader's language, else as the server wrote it below the kind of error. */
export function FailureText({ error }: { error: Error }) {
  const { t, lang, word } = useText();
  const api = error instanceof ApiError ? error : null;
  if (api?.kind === "unreachable")
    return (
      <>
        <p className="failure-what">{t("error.unreachable")}</p>
        <p>{t("error.unreachable.hint")}</p>
      </>
    );
  const kind = word("errorkind", api?.kind ?? "internal");
  const what = api?.kind === "http" ? null : translateServer(lang, error.message);
  const advice = api?.hint && translateServer(lang, api.hint);
  return (
    <>
      <p className="failure-what">{begun(what ?? kind)}</p>
      {!what && error.message && <p lang="en">{begun(error.message)}</p>}
      {api?.hint && <p lang={advice ? undefined : "en"}>{advice || api.hint}</p>}
      {api && api.status > 0 && (
        <p className="dim">
          {what ? t("error.status", { status: api.status, kind }) : t("error.status.alone", { status: api.status })}
        </p>
      )}
    </>
  );
}

function begun(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
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
      {refused && <FailureText error={refused} />}
    </form>
  );
}
