#!/usr/bin/env python3
"""The benchmarks of docs/benchmarks.md: ingest, its variants, questions, bytes by column. Prints Markdown.

    tools/bench.py                                  # ingest and questions over 2,000,000 spans
    tools/bench.py --only matrix --seconds 5        # connections, batches, protocols and encodings, a line each
    tools/bench.py --only questions --spans 10000000
    tools/bench.py --only columns                   # needs pyarrow and deltalake, which it installs

Each part has a server and a folder of its own, but questions and columns look at what ingest has sent. What follows
`--` goes to `hotspan serve`.
"""

import argparse
import os
import statistics
import time

from measured import Server, arguments, folder, packages, result

PARTS = ("ingest", "questions", "columns", "matrix")
SPANS_PER_TRACE = 12


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="so much of it; may be repeated")
    parser.add_argument("--spans", type=int, default=2_000_000, help="spans to send [default: %(default)s]")
    parser.add_argument("--rate", type=float, default=10_000, help="traces per second [default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=5, help="of each line of the matrix [default: %(default)s]")
    return arguments(parser)


def timed(ask, times=5):
    """Milliseconds of the first run and the median of the following ones."""
    runs = []
    for _ in range(times + 1):
        began = time.perf_counter()
        ask()
        runs.append((time.perf_counter() - began) * 1e3)
    return runs[0], statistics.median(runs[1:])


def settle(server):
    """Waits until all rows are in files and compaction has nothing more to do for a while; the files then."""
    server.wait_until_stored()
    files, since = server.table()["files"], time.monotonic()
    while time.monotonic() - since < 35:
        time.sleep(1)
        if server.table()["files"] != files:
            files, since = server.table()["files"], time.monotonic()
    return files


def ingest(given, server):
    lasts = max(1, round(given.spans / SPANS_PER_TRACE / given.rate))
    cpu = server.cpu_seconds()
    report = result(server.load("--rate", given.rate, "--duration", f"{lasts}s", "--retry"))
    sending = server.cpu_seconds() - cpu
    files = settle(server)
    used, table = server.cpu_seconds() - cpu, server.table()
    totals, latency = report["totals"], report["latency_ms"]
    print("| ingest | |\n|---|---|")
    print(f"| spans accepted | {totals['accepted']:,} |")
    print(f"| accepted spans/s (asked: {given.rate * SPANS_PER_TRACE:,.0f}) | {totals['accepted'] / report['seconds']:,.0f} |")
    print(f"| spans per server-CPU-second while sending | {totals['accepted'] / sending:,.0f} |")
    print(f"| spans per server-CPU-second, all flushing and compaction included | {totals['accepted'] / used:,.0f} |")
    print(f"| generator's CPU, µs a span | {report['cpu_seconds'] * 1e6 / totals['sent']:.2f} |")
    print(f"| export latency p50 / p99 / p99.9, ms, from when an export was due | "
          f"{latency['p50']:.1f} / {latency['p99']:.1f} / {latency['p99.9']:.1f} |")
    print(f"| refusals / refused for good / failed | {totals['refusals']} / {totals['refused']} / {totals['failed']} |")
    print(f"| bytes per span on disk, ids and indexes included | {table['bytes'] / max(1, table['rows']):.1f} |")
    print(f"| files | {files} |")
    print(f"| peak resident memory, MiB | {server.peak_rss():,.0f} |\n", flush=True)


def questions(server):
    """Each question cold (the server opened anew, the system's copies of the files dropped) and then warm."""
    count, start, last = server.sql(
        "select count(*), cast(min(start_time) as bigint), cast(max(start_time) as bigint) from spans")[0]
    start, end = int(start), int(last) + 1
    trace = server.sql("select trace_id from spans limit 1")[0][0]
    user = server.sql("select user_id from spans where user_id is not null limit 1")
    user = user[0][0] if user else "nobody"
    service, name = server.sql("select service_name, name from spans group by 1, 2 order by count(*) desc limit 1")[0]
    window = {"start": start, "end": end}
    # Its edges cut the files in which they lie.
    within = {"start": start + (end - start) // 8, "end": end - (end - start) // 8}
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
        "operations: rate, errors, p50 to p99 of each": lambda: server.get("/api/v1/operations", **window),
        "operations, three quarters of the time": lambda: server.get("/api/v1/operations", **within),
        "services": lambda: server.get("/api/v1/services", **window),
        "load steps": lambda: server.get("/api/v1/steps", **window),
        "heat map, all requests": lambda: server.get("/api/v1/heatmap", **window),
        "hot spots": lambda: server.get("/api/v1/hotspots", **window),
    }
    print(f"| question over {count:,} spans | cold, ms | median of 5 warm, ms |\n|---|---|---|")
    for what, ask in asked.items():
        server.restart()
        first, again = timed(ask)
        print(f"| {what} | {first:,.0f} | {again:,.0f} |", flush=True)
    print()


def columns(server):
    """Bytes of each column in the files that the newest version of the Delta table holds."""
    from deltalake import DeltaTable
    from pyarrow import parquet
    files = DeltaTable(str(server.data / "tables" / "spans")).file_uris()
    bytes_of, plain_of, rows, total = {}, {}, 0, 0
    for name in files:
        meta = parquet.ParquetFile(name.removeprefix("file://")).metadata
        rows += meta.num_rows
        total += os.path.getsize(name.removeprefix("file://"))
        for group in range(meta.num_row_groups):
            for number in range(meta.num_columns):
                column = meta.row_group(group).column(number)
                path = column.path_in_schema
                bytes_of[path] = bytes_of.get(path, 0) + column.total_compressed_size
                plain_of[path] = plain_of.get(path, 0) + column.total_uncompressed_size
    rows = max(rows, 1)
    print(f"| column, {rows:,} spans in {len(files)} files | bytes a span | before compression | share |\n|---|---|---|---|")
    for path, size in sorted(bytes_of.items(), key=lambda item: -item[1]):
        if size / rows >= 0.05:
            print(f"| {path} | {size / rows:.2f} | {plain_of[path] / rows:.2f} | {size / total:.1%} |")
    small = sum(size for size in bytes_of.values() if size / rows < 0.05)
    rest = total - sum(bytes_of.values())
    print(f"| the other {sum(size / rows < 0.05 for size in bytes_of.values())} columns | {small / rows:.2f} | | {small / total:.1%} |")
    print(f"| bloom filters, page indexes, footers | {rest / rows:.2f} | | {rest / total:.1%} |")
    print(f"| **all** | **{total / rows:.2f}** | | |\n", flush=True)


def matrix(given):
    """Short runs, one server each; small batches at rates at which a core is not spent on their number alone."""
    print("| protocol | encoding | connections | spans an export | asked, spans/s | accepted, spans/s | p50 ms | p99 ms "
          "| refused | server CPU, µs a span | generator CPU, µs a span |\n|---|---|---|---|---|---|---|---|---|---|---|")
    lines = [("grpc", "none", connections, 490, 10_000) for connections in (1, 16, 256)]
    lines += [("grpc", "none", 16, batch, rate) for batch, rate in ((1, 400), (10, 2_000), (50, 5_000), (5_000, 10_000))]
    lines += [(protocol, encoding, 16, 490, 5_000) for protocol in ("grpc", "http") for encoding in ("none", "gzip", "zstd")]
    lines += [("http", "none", 256, 10, 2_000)]
    for protocol, encoding, connections, batch, rate in lines:
        with folder(given) as path:
            server = Server(given, path)
            exports = int(rate * SPANS_PER_TRACE * given.seconds / batch) + 1 if encoding != "none" else 0
            load = server.load("--encoding", encoding, "--connections", connections, "--spans-per-export", batch,
                               "--rate", rate, "--duration", f"{given.seconds}s", "--prepare", exports, protocol=protocol)
            report = result(load)
            totals, latency = report["totals"], report["latency_ms"]
            used = server.cpu_seconds()
            print(f"| {protocol} | {encoding} | {connections} | {batch:,} | {rate * SPANS_PER_TRACE:,.0f} "
                  f"| {totals['accepted'] / report['seconds']:,.0f} | {latency['p50']:.1f} | {latency['p99']:.1f} "
                  f"| {totals['refused']:,} | {used * 1e6 / max(1, totals['accepted']):.2f} "
                  f"| {report['cpu_seconds'] * 1e6 / max(1, totals['sent']):.2f} |", flush=True)
            server.stop()
    print("\nCompressed requests were made before each run. The server's CPU holds its start and what it flushed until "
          "the end of the sending, not all of it.\n")


def main():
    given = parse()
    parts = given.only or ["ingest", "questions"]
    if "columns" in parts:
        packages("pyarrow", "deltalake")
    if set(parts) - {"matrix"}:
        with folder(given) as path:
            server = Server(given, path)
            try:
                ingest(given, server)
                if "columns" in parts:
                    columns(server)
                if "questions" in parts:
                    questions(server)
            finally:
                server.stop()
    if "matrix" in parts:
        matrix(given)


if __name__ == "__main__":
    main()
