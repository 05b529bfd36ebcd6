// An address that names no page.

import { Link } from "wouter";
import { useText } from "../i18n";
import { useScope } from "../state/use-scope";

export function NotFound() {
  const { t } = useText();
  const { link } = useScope();
  return (
    <div className="page">
      <h1>{t("notfound.title")}</h1>
      <p>
        <Link href={link("/")}>{t("page.overview")}</Link>
      </p>
    </div>
  );
}
