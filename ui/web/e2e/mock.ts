// A stand-in for the server, in tests only: the HTTP API from the fixtures, and the built pages with the real server's
// security policy.

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { capacity, whatIf } from "./capacity.ts";
import { HIDDEN } from "./hidden.ts";
import { runHotSpots, runSteps, runs } from "./runs.ts";

const HERE = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const fixture = (name: string) => readFileSync(join(HERE, "fixtures", `${name}.json`), "utf8");

const PLAIN: Record<string, string> = {
  steps: "steps",
  hotspots: "hotspots",
  compare: "compare",
  flame: "flame",
  "service-map": "service-map",
  services: "services",
  operations: "operations",
  search: "search",
  "metrics/names": "metrics-names",
  "metrics/series": "metrics-series",
  schema: "schema",
  status: "status",
};

/** Answers one request under /api/v1. */
export function answer(req: IncomingMessage, res: ServerResponse) {
  const url = new URL(req.url ?? "/", "http://mock");
  const path = url.pathname.replace(/^\/api\/v1\//, "");
  if (path === "runs" || path.startsWith("runs/")) {
    const request = { method: req.method ?? "GET", path, params: url.searchParams, body: () => bodyOf(req) };
    return void runs(request).then((found) =>
      found
        ? json(res, found.status, JSON.stringify(found.body))
        : failure(res, 404, "not_found", `no such path: ${url.pathname}`, null),
    );
  }
  const made = computed(path, url.searchParams);
  if (made) return json(res, 200, JSON.stringify(made));
  if (path in PLAIN) return json(res, 200, fixture(PLAIN[path]));
  if (path === "heatmap")
    return json(res, 200, fixture(url.searchParams.get("service") ? "heatmap" : "heatmap-requests"));
  if (path.startsWith("traces/")) return trace(res, path.slice("traces/".length));
  if (path === "sql") return sql(req, res);
  return failure(res, 404, "not_found", `no such path: ${url.pathname}`, null);
}

/** Answers that are computed: those over a stress-test run, whose time lies apart from that of the fixtures. */
function computed(path: string, params: URLSearchParams): unknown | null {
  if (path === "steps") return runSteps(params);
  if (path === "capacity") return capacity(params);
  if (path === "what-if") return whatIf(params);
  if (path === "hotspots") return runHotSpots(params, JSON.parse(fixture("hotspots")));
  return HIDDEN[path] ?? null;
}

function trace(res: ServerResponse, id: string) {
  if (id === "0".repeat(32))
    return failure(res, 404, "not_found", `trace ${id} is not stored`, "it may be older than the retention");
  if (id === "f".repeat(32)) return json(res, 200, JSON.stringify(deepTrace(id, 50_000)));
  return json(res, 200, JSON.stringify({ ...JSON.parse(fixture("trace")), trace_id: id }));
}

/** A trace of many spans: a chain of 1,000 levels and a wide fan, for the limits of the waterfall. */
function deepTrace(id: string, n: number) {
  const model = JSON.parse(fixture("trace")).spans[0];
  const hex = (i: number) => (i + 1).toString(16).padStart(16, "0");
  const spans = Array.from({ length: n }, (_, i) => ({
    ...model,
    span_id: hex(i),
    parent_span_id: i === 0 ? "" : i < 1000 ? hex(i - 1) : hex(i % 997),
    ran_within: "",
    name: `step ${i % 50_00}`,
    start_ns: i * 1000,
    duration_ns: (n - i) * 1000,
    critical_segments: i < 1000 ? [[i * 1000, i * 1000 + 1000]] : [],
    critical_path_ns: i < 1000 ? 1000 : 0,
    events: [],
  }));
  return {
    trace_id: id,
    t0: "1763769600000000000",
    duration_ns: n * 1000,
    services: 1,
    depth: 1000,
    spans,
    truncated: false,
    flags: [],
  };
}

async function sql(req: IncomingMessage, res: ServerResponse) {
  const query = String(JSON.parse(await bodyOf(req)).query);
  if (/drop|delete|insert/i.test(query)) {
    return failure(res, 400, "invalid", "statements that write are refused: DROP TABLE", "only SELECT is answered");
  }
  if (req.headers.accept === "text/csv") {
    res.writeHead(200, { "content-type": "text/csv" });
    return res.end("service_name,name\n");
  }
  return json(res, 200, fixture("sql"));
}

function json(res: ServerResponse, status: number, body: string) {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(body);
}

function failure(res: ServerResponse, status: number, kind: string, message: string, hint: string | null) {
  json(res, status, JSON.stringify({ error: { kind, message, hint } }));
}

/** Takes the token s3cret at the login, and afterwards only the cookie made of it: a page must not hold the token. */
function admitted(req: IncomingMessage, res: ServerResponse, path: string): boolean {
  const refuse = (message: string) => failure(res, 401, "unauthenticated", message, null);
  if (path === "/api/v1/logout") {
    res.writeHead(204, { "set-cookie": "hotspan_token=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0" }).end();
    return false;
  }
  if (path === "/api/v1/login") {
    bodyOf(req).then((body) => {
      if (JSON.parse(body).token !== "s3cret") return refuse("unknown bearer token");
      res.writeHead(204, { "set-cookie": "hotspan_token=s3cret; HttpOnly; SameSite=Strict; Path=/" }).end();
    });
    return false;
  }
  const cookie = req.headers.cookie ?? "";
  if (req.headers.authorization === undefined && cookie.includes("hotspan_token=s3cret")) return true;
  refuse("no bearer token");
  return false;
}

function bodyOf(req: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    let body = "";
    req.on("data", (chunk) => {
      body += chunk;
    });
    req.on("end", () => resolve(body));
  });
}

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** Serves dist/ and the API on a free port. */
export function start(): Promise<{ server: Server; url: string }> {
  const server = createServer((req, res) => {
    // Below /prefix/ stands what a proxy with a prefix makes of it, below /guarded/ a server that wants a token.
    const prefix = /^\/(prefix|guarded)(?=\/)/.exec(req.url ?? "")?.[0] ?? "";
    req.url = req.url?.slice(prefix.length);
    const path = new URL(req.url ?? "/", "http://mock").pathname;
    if (path.startsWith("/api/") && prefix === "/guarded" && !admitted(req, res, path)) return;
    if (path.startsWith("/api/")) return void answer(req, res);
    const file = /^\/assets\/[\w.-]+$|^\/[\w.-]+\.svg$/.test(path) ? path : "/index.html";
    try {
      const content = readFileSync(join(HERE, "..", "dist", file));
      const body = file === "/index.html" ? content.toString().replaceAll('="/', `="${prefix}/`) : content;
      res.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-security-policy": POLICY,
      });
      res.end(body);
    } catch {
      res.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      resolve({ server, url: `http://127.0.0.1:${port}/` });
    });
  });
}
