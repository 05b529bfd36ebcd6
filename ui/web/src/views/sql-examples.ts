// Statements to begin with. Column names are those that interface.md promises.

export const EXAMPLES = [
  {
    title: "sql.example.slow",
    statement: `SELECT service_name, name, kind, count(*) AS spans,
       approx_percentile_cont(duration_ns, 0.99) / 1e6 AS p99_ms
FROM spans
WHERE start_time >= now() - INTERVAL '15 minutes'
GROUP BY service_name, name, kind
ORDER BY p99_ms DESC
LIMIT 50`,
  },
  {
    title: "sql.example.self",
    statement: `SELECT service_name, name, sum(critical_path_ns) / 1e9 AS critical_s, sum(self_time_ns) / 1e9 AS self_s
FROM spans
WHERE start_time >= now() - INTERVAL '15 minutes'
GROUP BY service_name, name
ORDER BY critical_s DESC NULLS LAST
LIMIT 20`,
  },
  {
    title: "sql.example.errors",
    statement: `SELECT start_time, service_name, name, status_message, trace_id
FROM spans
WHERE status_code = 'ERROR' AND start_time >= now() - INTERVAL '15 minutes'
ORDER BY start_time DESC
LIMIT 100`,
  },
  {
    title: "sql.example.attribute",
    statement: `SELECT attributes->>'http.route' AS route, count(*) AS requests, avg(duration_ns) / 1e6 AS mean_ms
FROM spans
WHERE kind = 'SERVER'
GROUP BY route
ORDER BY requests DESC
LIMIT 20`,
  },
  {
    title: "sql.example.metrics",
    statement: `SELECT name, type, unit, count(*) AS points, min(time) AS first, max(time) AS last
FROM metrics
GROUP BY name, type, unit
ORDER BY points DESC
LIMIT 100`,
  },
];
