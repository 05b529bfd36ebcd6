// The scope of the current address, and the ways to change it.

import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { decodeScope, encodeScope, pageHref, type Scope, sharedScope } from "./scope";

export interface ScopeHandle {
  scope: Scope;
  /** Changes the scope on this page. `replace` keeps the history short while something is dragged or typed. */
  change(patch: Partial<Scope>, options?: { replace?: boolean }): void;
  /** The address of another page with the same times and filters. */
  link(path: string, patch?: Partial<Scope>): string;
}

export function useScope(): ScopeHandle {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const scope = useMemo(() => decodeScope(search), [search]);
  const change = useCallback<ScopeHandle["change"]>(
    (patch, options) => {
      const next = { ...decodeScope(search), ...patch };
      if (encodeScope(next) !== encodeScope(decodeScope(search))) navigate(pageHref(path, next), options);
    },
    [search, path, navigate],
  );
  const link = useCallback<ScopeHandle["link"]>(
    (to, patch) => pageHref(to, { ...sharedScope(scope), ...patch }),
    [scope],
  );
  return { scope, change, link };
}
