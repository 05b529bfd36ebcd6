"""Measures a running hotspan: ingest per CPU second, bytes on disk, memory, and the latency of the usual questions.

Prints Markdown tables for docs/benchmarks.md. Standard library only. `--spans` sets the volume (default 2,000,000).
"""

import argparse
import json
import os
import statistics
import subprocess
import time
import urllib.parse
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_rss(pid):
    """Highest resident memory of a process so far, in MiB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


class Server:
    def __init__(self, address):
        self.base = f"http://{address}"

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.base}{path}?{query}", timeout=300) as response:
            return json.load(response)

    def sql(self, query):
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.base}/api/v1/sql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)["rows"]


def timed(ask, times=5):
    """Milliseconds of the first run and the median of the following ones."""
    runs = []
    for _ in range(times + 1):
        began = time.perf_counter()
        ask()
        runs.append((time.perf_counter() - began) * 1e3)
    return runs[0], statistics.median(runs[1:])


def ingest(arguments, addresses, server):
    traces = arguments.spans / 12
    began, cpu = time.time(), cpu_seconds(arguments.pid)
    command = [arguments.hotspan, "load", "--endpoint", f"http://{addresses['otlp_grpc']}", "--rate", str(arguments.rate),
               "--duration", f"{max(1, round(traces / arguments.rate))}s", "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    sent = time.time() - began
    # Flush and compaction belong to the cost: wait until everything is in files.
    while server.get("/api/v1/status")["memory"]["rows"] > 0:
        time.sleep(1)
    time.sleep(40)
    used = cpu_seconds(arguments.pid) - cpu
    status = server.get("/api/v1/status")
    table = next(t for t in status["tables"] if t["name"] == "spans" and t["tenant"] == "default")
    accepted = report["totals"]["accepted"]
    print("| ingest | |\n|---|---|")
    print(f"| spans accepted | {accepted:,} |")
    print(f"| accepted spans/s while sending | {accepted / sent:,.0f} |")
    print(f"| spans per server-CPU-second, flush and compaction included | {accepted / used:,.0f} |")
    print(f"| export latency p50 / p99, ms | {report['latency_ms']['p50']:.1f} / {report['latency_ms']['p99']:.1f} |")
    print(f"| refused for a while / lost | {report['totals']['refusals']} / {report['totals']['lost']} |")
    print(f"| bytes per span on disk | {table['bytes'] / max(1, table['rows']):.1f} |")
    print(f"| files | {table['files']} |")
    print(f"| peak resident memory, MiB | {peak_rss(arguments.pid):,.0f} |\n")


def questions(server):
    rows = server.sql("select count(*), min(start_time), max(start_time) from spans")
    count, start, end = rows[0]
    trace = server.sql("select trace_id from spans limit 1")[0][0]
    user = server.sql("select user_id from spans where user_id is not null limit 1")
    user = user[0][0] if user else "nobody"
    service, name = server.sql("select service_name, name from spans group by 1, 2 order by count(*) desc limit 1")[0]
    window = {"start": start, "end": end}
    asked = {
        "trace by id": lambda: server.get(f"/api/v1/traces/{trace}"),
        "p50, p99, count by service and operation": lambda: server.sql(
            "select service_name, name, count(*), quantile(duration_ns, 0.5), quantile(duration_ns, 0.99) "
            "from spans group by 1, 2"),
        "one attribute value (user.id)": lambda: server.sql(
            f"select trace_id, name, duration_ns from spans where attributes->>'user.id' = '{user}'"),
        "service + operation + minimum duration, 20 newest": lambda: server.sql(
            f"select trace_id from spans where service_name = '{service}' and name = '{name}' "
            "and duration_ns > 1000000 order by start_time desc limit 20"),
        "heat map, one service": lambda: server.get("/api/v1/heatmap", service=service, **window),
        "heat map, all requests": lambda: server.get("/api/v1/heatmap", **window),
        "hot spots": lambda: server.get("/api/v1/hotspots", **window),
    }
    print(f"| question over {count:,} spans | first, ms | median of 5 more, ms |\n|---|---|---|")
    for what, ask in asked.items():
        first, again = timed(ask)
        print(f"| {what} | {first:,.0f} | {again:,.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hotspan", required=True)
    parser.add_argument("--ready-file", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--data")
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--rate", type=float, default=10_000, help="traces per second")
    arguments = parser.parse_args()
    with open(arguments.ready_file) as file:
        addresses = json.load(file)
    server = Server(addresses["listen"])
    ingest(arguments, addresses, server)
    questions(server)


if __name__ == "__main__":
    main()
