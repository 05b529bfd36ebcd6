// A value that components can watch, and that may be kept in the browser's local storage.

import { useSyncExternalStore } from "react";

export interface Store<T> {
  get(): T;
  set(value: T): void;
  use(): T;
}

export function createStore<T>(initial: T, changed: (value: T) => void = () => {}): Store<T> {
  let current = initial;
  const watchers = new Set<() => void>();
  const subscribe = (watcher: () => void) => {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  };
  const get = () => current;
  return {
    get,
    set(value) {
      if (Object.is(value, current)) return;
      current = value;
      changed(value);
      for (const w of watchers) w();
    },
    use: () => useSyncExternalStore(subscribe, get),
  };
}

/** A store of one of a few words, kept under `hotspan.<name>`; storage may be forbidden, then it lasts for the page. */
export function keptStore<T extends string>(
  name: string,
  words: readonly T[],
  initial: T,
  changed?: (v: T) => void,
): Store<T> {
  const key = `hotspan.${name}`;
  let start = initial;
  try {
    const kept = localStorage.getItem(key) as T | null;
    if (kept !== null && words.includes(kept)) start = kept;
  } catch {
    // Storage is off in this browser.
  }
  changed?.(start);
  return createStore<T>(start, (value) => {
    changed?.(value);
    try {
      localStorage.setItem(key, value);
    } catch {
      // Storage is off in this browser.
    }
  });
}
