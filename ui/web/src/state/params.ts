// A scope as parameters of the HTTP API. Charts ask for the whole range; analyses ask for the window in it.

import type { Params } from "../api/client";
import { isoMicros } from "../lib/time";
import type { Scope } from "./scope";

function filters(scope: Scope): Params {
  return {
    service: scope.service,
    operation: scope.operation,
    kind: scope.kind,
    instance: scope.instance,
    attr: scope.attributes.map((a) => `${a.key}=${a.value}`),
    run: scope.run,
  };
}

function baseline(scope: Scope): Params {
  return { baseline_start: scope.baseline?.start, baseline_end: scope.baseline?.end };
}

/** Of charts over the whole range: steps, heat map, metrics. */
export function rangeParams(scope: Scope): Params {
  return { start: scope.start, end: scope.end, ...filters(scope) };
}

/** Of analyses of the window, against the baseline when one is set. */
export function windowParams(scope: Scope): Params {
  const { start, end } = scope.window ?? scope;
  return { start, end, ...baseline(scope), ...filters(scope) };
}

/** Of the comparison of the heat map's selection. */
export function compareParams(scope: Scope): Params {
  const s = scope.selection;
  return {
    start: scope.start,
    end: scope.end,
    ...baseline(scope),
    ...filters(scope),
    sel_start: s && s.startUs !== null ? isoMicros(s.startUs) : null,
    sel_end: s && s.endUs !== null ? isoMicros(s.endUs) : null,
    sel_min_ns: s?.minNs,
    sel_max_ns: s?.maxNs,
    sel_errors: s?.errors,
  };
}
