#!/usr/bin/env python3
"""The same spans, the same questions, in the same minutes: hotspan beside DuckDB and ClickHouse (chdb).

    tools/peers.py --spans 2000000
    tools/peers.py --data FOLDER                    # a folder that `hotspan serve` has filled; nothing is sent

Sends shop traffic to a server, waits until it is in files and merged, and reads those Parquet files into the others:
as they are, and copied into each one's own table. ClickHouse's is sorted by service, operation and time, with bloom
filters on trace and user, as its OpenTelemetry exporter makes it, but with hotspan's columns. Each question goes to
all of them in turn, round by round; medians. Before a cold round hotspan is opened anew, DuckDB too, ClickHouse drops
what it caches, and the system what it keeps of files. The others may take 8 GiB of memory each. hotspan is asked over
HTTP and answers JSON; the others run in this process. Needs the PyPI packages duckdb, chdb, deltalake and pyarrow and
installs them; one that cannot be installed is left out. Prints Markdown.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

from bench import settle
from measured import Server, arguments, folder, forget, packages, result

START, WIDTH = "start_time_unix_nano", 1_000_000_000
# Of memory, for each of the others. hotspan has what `--memory` says, 1 GiB.
PEERS_BYTES = 8 << 30


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=2_000_000, help="spans to send [default: %(default)s]")
    parser.add_argument("--rate", type=float, default=10_000, help="traces per second [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=7, help="times each question is asked [default: %(default)s]")
    parser.add_argument("--cold", type=int, default=1, help="cold rounds before them [default: %(default)s]")
    parser.add_argument("--data", help="the data folder of a stopped server, instead of sending")
    return arguments(parser)


class Hotspan:
    name = "hotspan"

    def __init__(self, server):
        self.server = server

    def size(self):
        return self.server.table()["bytes"]

    def ask(self, question):
        return self.server.sql(question["hotspan"])

    def cool(self):
        self.server.restart()


class DuckDB:
    def __init__(self, files, path, own):
        import duckdb
        self.name = f"DuckDB {duckdb.__version__}, {'own table' if own else 'the files'}"
        self.files, self.path = files, path / "duck.db" if own else None
        self.open()
        if own:
            self.connection.execute(f"CREATE TABLE spans AS SELECT * FROM {self.source()}")
            self.connection.execute("CHECKPOINT")

    def open(self):
        import duckdb
        self.connection = duckdb.connect(str(self.path or ":memory:"))
        self.connection.execute(f"SET memory_limit = '{PEERS_BYTES >> 20}MiB'")
        if not self.path:
            self.connection.execute(f"CREATE VIEW spans AS SELECT * FROM {self.source()}")

    def source(self):
        return f"read_parquet({[str(file) for file in self.files]})"

    def cool(self):
        self.connection.close()
        forget([self.path] if self.path else self.files)
        self.open()

    def size(self):
        return os.path.getsize(self.path) if self.path else None

    def ask(self, question):
        return self.connection.execute(question["duckdb"]).fetchall()


class ClickHouse:
    def __init__(self, files, path, own):
        from chdb import session
        if not hasattr(ClickHouse, "session"):
            # chdb allows one at a time.
            ClickHouse.session = session.Session(str(path / "clickhouse"))
            ClickHouse.session.query(f"SET max_memory_usage = {PEERS_BYTES}")
            ClickHouse.session.query("CREATE DATABASE IF NOT EXISTS peers")
        self.own, self.table, self.path, self.files = own, "peers.own" if own else "peers.files", path, files
        version = str(ClickHouse.session.query("SELECT version()")).strip().strip('"')
        self.name = f"ClickHouse {version}, {'own table' if own else 'the files'}"
        # It wants one pattern: links to the files in a folder of their own.
        links = path / "links"
        if not links.exists():
            links.mkdir()
            for number, file in enumerate(files):
                (links / f"{number}.parquet").symlink_to(file)
        source = f"file('{links}/*.parquet', 'Parquet')"
        if not own:
            ClickHouse.session.query(f"CREATE VIEW peers.files AS SELECT * FROM {source}")
            return
        ClickHouse.session.query(
            "CREATE TABLE peers.own ENGINE = MergeTree ORDER BY (service_name, name, start_time_unix_nano) "
            f"SETTINGS allow_nullable_key = 1, index_granularity = 8192 AS SELECT * FROM {source}")
        for column, rate in (("trace_id", 0.001), ("user_id", 0.01)):
            ClickHouse.session.query(f"ALTER TABLE peers.own ADD INDEX {column}_bloom {column} TYPE bloom_filter({rate})")
            ClickHouse.session.query(f"ALTER TABLE peers.own MATERIALIZE INDEX {column}_bloom SETTINGS mutations_sync = 2")
        ClickHouse.session.query("OPTIMIZE TABLE peers.own FINAL")

    def size(self):
        if not self.own:
            return None
        query = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'peers' AND table = 'own'"
        return int(str(ClickHouse.session.query(query)).strip())

    def ask(self, question):
        answer = ClickHouse.session.query(question["clickhouse"].replace("FROM spans", f"FROM {self.table}"), "CSV")
        return str(answer).splitlines()

    def cool(self):
        for cache in ("MARK", "UNCOMPRESSED", "MMAP", "PRIMARY INDEX", "INDEX MARK", "INDEX UNCOMPRESSED", "PAGE"):
            try:
                ClickHouse.session.query(f"SYSTEM DROP {cache} CACHE")
            except Exception as error:  # noqa: BLE001  a version that has no such cache
                print(f"ClickHouse keeps its {cache} cache: {str(error)[:100]}", file=sys.stderr)
        forget((self.path / "clickhouse").rglob("*") if self.own else self.files)


def questions(server):
    """The questions in each one's words; the constants are taken from the data."""
    trace = server.sql("select trace_id from spans limit 1")[0][0]
    user = server.sql("select user_id from spans where user_id is not null limit 1")[0][0]
    service, name = server.sql("select service_name, name from spans group by 1, 2 order by count(*) desc limit 1")[0]
    where = f"service_name = '{service}' and name = '{name}' and duration_ns > 1000000"
    heat = "cast(floor(log2(greatest(duration_ns, 1)) * 4) as bigint)"
    seconds = "cast(extract(epoch from start_time) as bigint)"
    bucket = {"duckdb": f"{START} // {WIDTH}", "clickhouse": f"intDiv({START}, {WIDTH})"}

    def heat_map(condition):
        return {
            "hotspan": f"select {seconds}, {heat}, count(*) from spans where {condition} group by 1, 2",
            **{peer: f"SELECT {at}, {heat}, count(*) FROM spans WHERE {condition} GROUP BY 1, 2" for peer, at in bucket.items()},
        }

    return {
        "p50, p99, count by service and operation": {
            "hotspan": "select service_name, name, count(*), quantile(duration_ns, 0.5), quantile(duration_ns, 0.99) "
                       "from spans group by 1, 2",
            "duckdb": "SELECT service_name, name, count(*), approx_quantile(duration_ns, [0.5, 0.99]) FROM spans GROUP BY 1, 2",
            "clickhouse": "SELECT service_name, name, count(*), quantiles(0.5, 0.99)(duration_ns) FROM spans GROUP BY 1, 2",
        },
        "trace by id": {
            "hotspan": f"select span_id, name, service_name, start_time, duration_ns, attributes from spans where trace_id = '{trace}'",
            "duckdb": f"SELECT span_id, name, service_name, {START}, duration_ns, attributes FROM spans WHERE trace_id = from_hex('{trace}')",
            "clickhouse": f"SELECT hex(span_id), name, service_name, {START}, duration_ns, attributes FROM spans WHERE trace_id = unhex('{trace}')",
        },
        "one attribute value (user.id)": {
            "hotspan": f"select trace_id, name, duration_ns from spans where user_id = '{user}'",
            "duckdb": f"SELECT trace_id, name, duration_ns FROM spans WHERE user_id = '{user}'",
            "clickhouse": f"SELECT hex(trace_id), name, duration_ns FROM spans WHERE user_id = '{user}'",
        },
        "service + operation + minimum duration, 20 newest": {
            "hotspan": f"select trace_id from spans where {where} order by start_time desc limit 20",
            "duckdb": f"SELECT trace_id FROM spans WHERE {where} ORDER BY {START} DESC LIMIT 20",
            "clickhouse": f"SELECT hex(trace_id) FROM spans WHERE {where} ORDER BY {START} DESC LIMIT 20",
        },
        "latency heat map, one service": heat_map(f"service_name = '{service}'"),
        "latency heat map, all": heat_map("duration_ns >= 0"),
    }


def compare(given, server, path):
    from deltalake import DeltaTable
    uris = DeltaTable(str(server.data / "tables" / "spans")).file_uris()
    files = [pathlib.Path(uri.removeprefix("file://")) for uri in uris]
    contestants = [Hotspan(server)]
    for peer in (DuckDB, ClickHouse):
        for own in (False, True):
            try:
                contestants.append(peer(files, path, own))
            except Exception as error:  # noqa: BLE001  whatever keeps one out, the others go on
                print(f"{peer.__name__} is left out: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
    rows = server.sql("select count(*) from spans")[0][0]
    print(f"{rows:,} spans in {len(files)} files; {os.cpu_count()} cores; medians of {given.cold} cold and {given.rounds} "
          "warm rounds, ms; in brackets the peer's time over hotspan's\n")
    print(f"| | {' | '.join(peer.name for peer in contestants)} |\n|---|{'---|' * len(contestants)}")
    sizes = [peer.size() for peer in contestants]
    print(f"| bytes a span | {' | '.join(f'{size / rows:.1f}' if size else '-' for size in sizes)} |")
    for what, question in questions(server).items():
        if given.cold:
            cold = [timed(peer, question, peer.cool) for _ in range(given.cold) for peer in contestants]
            print_times(f"{what}, cold", contestants, cold)
        # The first of the others warms up.
        warm = [timed(peer, question) for _ in range(given.rounds + 1) for peer in contestants]
        print_times(what, contestants, warm[len(contestants):])
        if len({length for _, length in warm}) > 1:
            print(f"rows differ for {what!r}: {[length for _, length in warm[:len(contestants)]]}", file=sys.stderr)


def timed(peer, question, before=lambda: None):
    """Milliseconds until the answer is here, and its rows."""
    before()
    began = time.perf_counter()
    answer = peer.ask(question)
    return (time.perf_counter() - began) * 1e3, len(answer)


def print_times(what, contestants, asked):
    """Medians of what was asked of all in turn."""
    medians = [statistics.median(time for time, _ in asked[at::len(contestants)]) for at in range(len(contestants))]
    cells = [f"{medians[0]:.1f}"] + [f"{median:.1f} ({median / medians[0]:.1f})" for median in medians[1:]]
    print(f"| {what} | {' | '.join(cells)} |", flush=True)


def main():
    given = parse()
    packages("duckdb", "chdb", "deltalake", "pyarrow")
    with folder(given) as path:
        if given.data:
            (path / "data").symlink_to(pathlib.Path(given.data).resolve())
        server = Server(given, path)
        try:
            if not given.data:
                lasts = max(1, round(given.spans / 12 / given.rate))
                result(server.load("--rate", given.rate, "--duration", f"{lasts}s", "--retry"))
                settle(server)
            compare(given, server, path)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
