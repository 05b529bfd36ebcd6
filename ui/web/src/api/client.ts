// One way to the server: addresses relative to where this script came from (it may stand behind a proxy prefix), an
// AbortSignal on every question, and errors that keep the server's kind, message and hint.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
    readonly hint: string | null,
  ) {
    super(message);
  }
}

/** The path under which the pages are served, ending in a slash: scripts lie in `assets/` below it. */
export const basePath = import.meta.env.DEV ? "/" : new URL(/* @vite-ignore */ "..", import.meta.url).pathname;

export type Params = Record<string, string | number | boolean | null | undefined | string[]>;

/** `/api/v1/<path>` with parameters; empty ones are left out, lists repeat. */
export function apiUrl(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (Array.isArray(value)) for (const v of value) query.append(name, v);
    else if (value !== null && value !== undefined && value !== "" && value !== false) query.set(name, String(value));
  }
  const text = query.toString();
  return `${basePath}api/v1/${path}${text ? `?${text}` : ""}`;
}

export async function get<T>(path: string, params: Params, signal: AbortSignal): Promise<T> {
  const response = await send(apiUrl(path, params), { signal, headers: { accept: "application/json" } });
  try {
    return (await response.json()) as T;
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw notOurs(response, "");
  }
}

/** POST /sql; the answer's media type decides what the body is. */
export async function postSql(query: string, accept: string, signal: AbortSignal): Promise<Response> {
  return send(apiUrl("sql"), {
    method: "POST",
    signal,
    headers: { accept, "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
}

/** A JSON body by a method that may change something; an empty answer is null. */
export async function change<T>(method: "POST" | "PATCH" | "DELETE", path: string, body: unknown): Promise<T | null> {
  const response = await send(apiUrl(path), {
    method,
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return text ? (JSON.parse(text) as T) : null;
}

/** Hands a token in; from then on the browser sends it as a cookie that no script can read. */
export async function login(token: string): Promise<void> {
  await change("POST", "login", { token });
}

export async function logout(): Promise<void> {
  await change("POST", "logout", {});
}

async function send(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError(0, "unreachable", "the server does not answer", null);
  }
  if (response.ok) return response;
  throw await errorOf(response);
}

async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text);
    return new ApiError(response.status, error.kind, error.message, error.hint ?? null);
  } catch {
    return notOurs(response, text);
  }
}

/** What something between here and hotspan answers; a page of it is not for reading. */
function notOurs(response: Response, text: string): ApiError {
  const said = text.trim();
  return new ApiError(response.status, "http", said.startsWith("<") ? "" : said.slice(0, 300), null);
}
