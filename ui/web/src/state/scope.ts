// The scope: everything that decides what a page shows, as one value with one text form in the URL. A link therefore
// reproduces a page, and Back works. Names are the HTTP API's where it has them; defaults are not written.

import type { Selection } from "../lib/heat";
import { isoMicros, parseTime, type Window } from "../lib/time";

export interface AttributeFilter {
  key: string;
  value: string;
}

export interface Scope {
  /** The range that charts show. */
  start: string;
  end: string;
  /** The part of it that is analysed; null means all of it. */
  window: Window | null;
  /** What it is compared with; null lets the server take the previous load level. */
  baseline: Window | null;
  service: string;
  operation: string;
  kind: string;
  instance: string;
  attributes: AttributeFilter[];
  /** A stress-test run, by its id: only its traces count, and no other time than its own. */
  run: string;
  selection: Selection | null;
  /** Which of a page's alternatives is shown; each page has its own words. */
  tab: string;
  /** "column" or "-column". */
  sort: string;
  /** Free text of a page: the SQL statement, a name to look for. */
  query: string;
  /** What a page points at: a span, a metric, a call-tree node. */
  focus: string;
  group: string;
  aggregate: string;
  /** Two runs (or windows of runs) set against each other. */
  left: string;
  right: string;
  /** A load to forecast for, and the p99 (ms) and errors (percent) that must not be passed. */
  target: string;
  p99Limit: string;
  errorLimit: string;
}

export const DEFAULT_SCOPE: Scope = {
  start: "now-15m",
  end: "now",
  window: null,
  baseline: null,
  service: "",
  operation: "",
  kind: "",
  instance: "",
  attributes: [],
  run: "",
  selection: null,
  tab: "",
  sort: "",
  query: "",
  focus: "",
  group: "",
  aggregate: "",
  left: "",
  right: "",
  target: "",
  p99Limit: "",
  errorLimit: "",
};

/** The change that takes all filters away. */
export const NO_FILTER = {
  service: "",
  operation: "",
  kind: "",
  instance: "",
  attributes: [],
  run: "",
} satisfies Partial<Scope>;

const TEXTS = [
  ["start", "start"],
  ["end", "end"],
  ["service", "service"],
  ["operation", "operation"],
  ["kind", "kind"],
  ["instance", "instance"],
  ["run", "run"],
  ["tab", "tab"],
  ["sort", "sort"],
  ["query", "q"],
  ["focus", "focus"],
  ["group", "group_by"],
  ["aggregate", "agg"],
  ["left", "a"],
  ["right", "b"],
  ["target", "target_qps"],
  ["p99Limit", "p99_ms"],
  ["errorLimit", "errors_percent"],
] as const satisfies [keyof Scope, string][];

export function encodeScope(scope: Scope): string {
  const p = new URLSearchParams();
  for (const [field, name] of TEXTS) if (scope[field] !== DEFAULT_SCOPE[field]) p.set(name, scope[field]);
  putWindow(p, "window", scope.window);
  putWindow(p, "baseline", scope.baseline);
  for (const a of scope.attributes) p.append("attr", `${a.key}=${a.value}`);
  const s = scope.selection;
  if (s) {
    if (s.startUs !== null) p.set("sel_start", isoMicros(s.startUs));
    if (s.endUs !== null) p.set("sel_end", isoMicros(s.endUs));
    if (s.minNs !== null) p.set("sel_min_ns", String(s.minNs));
    if (s.maxNs !== null) p.set("sel_max_ns", String(s.maxNs));
    if (s.errors) p.set("sel_errors", "true");
    if (![...p.keys()].some((k) => k.startsWith("sel_"))) p.set("sel_min_ns", "0");
  }
  return p.toString();
}

export function decodeScope(search: string): Scope {
  const p = new URLSearchParams(search);
  const scope: Scope = { ...DEFAULT_SCOPE };
  for (const [field, name] of TEXTS) scope[field] = p.get(name) ?? DEFAULT_SCOPE[field];
  if (parseTime(scope.start, 0) === null) scope.start = DEFAULT_SCOPE.start;
  if (parseTime(scope.end, 0) === null) scope.end = DEFAULT_SCOPE.end;
  scope.window = takeWindow(p, "window");
  scope.baseline = takeWindow(p, "baseline");
  scope.attributes = p.getAll("attr").flatMap(attributeFilter);
  scope.selection = takeSelection(p);
  return scope;
}

function putWindow(p: URLSearchParams, name: string, window: Window | null) {
  if (!window) return;
  p.set(`${name}_start`, window.start);
  p.set(`${name}_end`, window.end);
}

function takeWindow(p: URLSearchParams, name: string): Window | null {
  const start = p.get(`${name}_start`);
  const end = p.get(`${name}_end`);
  if (start === null || end === null) return null;
  return parseTime(start, 0) === null || parseTime(end, 0) === null ? null : { start, end };
}

function attributeFilter(text: string): AttributeFilter[] {
  const i = text.indexOf("=");
  return i > 0 ? [{ key: text.slice(0, i), value: text.slice(i + 1) }] : [];
}

function takeSelection(p: URLSearchParams): Selection | null {
  const micros = (name: string) => {
    const text = p.get(name);
    const ms = text === null ? null : parseTime(text, 0);
    if (text === null || ms === null) return null;
    const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
    return Math.floor(ms) * 1e3 + Number(fraction.padEnd(6, "0").slice(3, 6));
  };
  const nanos = (name: string) => {
    const text = p.get(name);
    return text !== null && /^\d+(\.\d+)?$/.test(text) ? Number(text) : null;
  };
  const found: Selection = {
    startUs: micros("sel_start"),
    endUs: micros("sel_end"),
    minNs: nanos("sel_min_ns"),
    maxNs: nanos("sel_max_ns"),
    errors: p.get("sel_errors") === "true",
  };
  const empty = found.startUs === null && found.endUs === null && found.minNs === null && found.maxNs === null;
  return empty && !found.errors ? null : found;
}

/** What carries over when one page leads to another: the times and the filters, not the page's own state. */
export function sharedScope(scope: Scope): Scope {
  const { start, end, window, baseline, service, operation, kind, instance, attributes, run } = scope;
  return { ...DEFAULT_SCOPE, start, end, window, baseline, service, operation, kind, instance, attributes, run };
}

/** The address of a page in a scope. */
export function pageHref(path: string, scope: Scope): string {
  const text = encodeScope(scope);
  return text ? `${path}?${text}` : path;
}
