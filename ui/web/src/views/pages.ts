// Every page once: its path, its place in the navigation, and how its code arrives. A new page is a line here.

import { type ComponentType, lazy } from "react";
import type { Key } from "../i18n";
import { Overview } from "./overview";

export interface Page {
  path: string;
  /** Null keeps it out of the navigation. */
  title: Key;
  group: "investigate" | "test" | "system" | "tools" | null;
  view: ComponentType;
  /** The page in the navigation that this one belongs to, when it is not there itself. */
  under?: string;
  /** It has times of its own: the range of the top bar says nothing here. */
  timeless?: boolean;
  /** Nothing on it takes part in live refresh. */
  still?: boolean;
  /** It takes part every few seconds instead of each second: its answer looks at a whole window, and takes longer. */
  slow?: boolean;
}

/** The page of an address; names in braces of a path stand for one part. */
export function pageAt(path: string): Page | null {
  const exact = PAGES.find((p) => p.path === path);
  if (exact) return exact;
  const parts = path.split("/").length;
  return (
    PAGES.find(
      (p) => p.path.includes(":") && p.path.split("/").length === parts && path.startsWith(p.path.split(":")[0]),
    ) ?? null
  );
}

const load = (get: () => Promise<{ default: ComponentType }>) => lazy(get);

export const PAGES: Page[] = [
  { path: "/", title: "page.overview", group: "investigate", view: Overview },
  { path: "/heat", title: "page.heat", group: "investigate", view: load(() => import("./heat")) },
  { path: "/flame", title: "page.flame", group: "investigate", view: load(() => import("./flame")) },
  { path: "/hidden", title: "page.hidden", group: "investigate", still: true, view: load(() => import("./hidden")) },
  { path: "/traces", title: "page.traces", group: "investigate", view: load(() => import("./traces")) },
  {
    path: "/trace/:id",
    title: "page.trace",
    group: null,
    under: "/traces",
    still: true,
    view: load(() => import("./trace")),
  },
  { path: "/runs", title: "page.runs", group: "test", timeless: true, still: true, view: load(() => import("./runs")) },
  {
    path: "/runs/compare",
    title: "page.compare",
    group: null,
    under: "/runs",
    timeless: true,
    still: true,
    view: load(() => import("./run-compare")),
  },
  {
    path: "/runs/:id",
    title: "page.run",
    group: null,
    under: "/runs",
    timeless: true,
    still: true,
    view: load(() => import("./run")),
  },
  { path: "/capacity", title: "page.capacity", group: "test", slow: true, view: load(() => import("./capacity")) },
  { path: "/what-if", title: "page.whatif", group: "test", slow: true, view: load(() => import("./what-if")) },
  { path: "/services", title: "page.services", group: "system", view: load(() => import("./services")) },
  { path: "/operations", title: "page.operations", group: "system", view: load(() => import("./operations")) },
  { path: "/map", title: "page.map", group: "system", view: load(() => import("./map")) },
  // Not /metrics: there the server tells its own, in Prometheus' format.
  { path: "/metrics-explorer", title: "page.metrics", group: "system", view: load(() => import("./metrics")) },
  { path: "/sql", title: "page.sql", group: "tools", still: true, view: load(() => import("./sql")) },
  { path: "/health", title: "page.health", group: "tools", still: true, view: load(() => import("./health")) },
];
