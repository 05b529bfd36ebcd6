// Questions to the server as hooks. An answer belongs to the parameters it was asked with: when they change, the old
// request is aborted and a late answer is dropped, while the old picture stays (dimmed) until the new one is there.

import { keepPreviousData, QueryClient, useQueries, useQuery } from "@tanstack/react-query";
import { ApiError, get, type Params } from "../api/client";
import { frozen, live } from "./settings";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The server may be this machine or behind a network that leads nowhere else: only asking tells whether it answers.
      networkMode: "always",
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < 1 && error instanceof ApiError && error.status === 503,
    },
  },
});

/** How often a server that did not answer is asked again. */
const AGAIN_MS = 5_000;

function isUnreachable(error: Error | null): boolean {
  return error instanceof ApiError && error.kind === "unreachable";
}

export interface Answer<T> {
  data: T | undefined;
  error: Error | null;
  /** Nothing to show yet. */
  loading: boolean;
  /** What is shown belongs to the scope before. */
  old: boolean;
  retry(): void;
}

export interface AskOptions {
  /** Do not ask yet. */
  off?: boolean;
  /** Ask again every so often, whatever the live switch says. */
  everyMs?: number;
  /** Take part in live refresh: each second, or each so many milliseconds where the answer takes longer. */
  live?: boolean | number;
}

/** How often what looks at a whole window takes part in live refresh. */
export const SLOW_MS = 10_000;

export function useAnswer<T>(path: string, params: Params, options: AskOptions = {}): Answer<T> {
  const isLive = live.use();
  const isFrozen = frozen.use();
  const liveMs = options.live === true ? 1_000 : options.live;
  const everyMs = options.everyMs ?? (isLive && !isFrozen && liveMs);
  const query = useQuery({
    queryKey: [path, params],
    queryFn: ({ signal }) => get<T>(path, params, signal),
    placeholderData: keepPreviousData,
    enabled: !options.off,
    refetchInterval: ({ state }) => everyMs || (isUnreachable(state.error) && AGAIN_MS),
  });
  return {
    data: options.off ? undefined : query.data,
    error: query.error,
    loading: query.isPending && !options.off,
    old: query.isPlaceholderData,
    retry: () => void query.refetch(),
  };
}

export interface Asked {
  params: Params;
  /** Ask again every so often: what it is about goes on. */
  everyMs?: number | false;
}

/** Several questions of one kind at once; answers come in their order, each when it is there. */
export function useAnswers<T>(path: string, asked: readonly Asked[]): Answer<T>[] {
  return useQueries({
    queries: asked.map(({ params, everyMs }) => ({
      queryKey: [path, params],
      queryFn: ({ signal }: { signal: AbortSignal }) => get<T>(path, params, signal),
      staleTime: 60_000,
      refetchInterval: everyMs,
    })),
  }).map((query) => ({
    data: query.data,
    error: query.error,
    loading: query.isPending,
    old: false,
    retry: () => void query.refetch(),
  }));
}
