#!/usr/bin/env python3
"""Sends with the official OpenTelemetry SDKs and checks that hotspan has exactly what the SDKs say they sent.

    tests/sdk/run.py --hotspan target/debug/hotspan                 # starts a server of its own
    tests/sdk/run.py --ready-file FILE [--data DIR]                 # the one that wrote FILE
    tests/sdk/run.py --listen 127.0.0.1:4320 [--data DIR]           # one on these addresses

Each language sends once per OTLP protocol it speaks, with and without gzip, with delta and cumulative temporality.
Spans, data points and log records are compared field by field and with types through `POST /api/v1/sql`; the ids
also through the Delta table on disk, read by another implementation. Only the standard library is needed here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid

import compare
from languages import CACHE, LANGUAGES, Skip
from server import Server, SqlError, Started, StartError

SIGNALS = [
    ("span", "spans", compare.spans),
    ("metric", "metrics", compare.metrics),
    ("log", "logs", compare.logs),
]
SENDER_DEADLINE_S = 120
SHOWN = 20


def main():
    arguments = parse()
    tally = Tally()
    try:
        if arguments.hotspan:
            with Started(arguments.hotspan, arguments.deadline) as server:
                everything(server, arguments, tally)
                stopped(server, tally)
        else:
            everything(running(arguments), arguments, tally)
    except StartError as error:
        tally.failed("hotspan", [str(error)])
    sys.exit(tally.close())


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hotspan", metavar="BINARY", help="start this program on free ports")
    parser.add_argument("--ready-file", metavar="FILE", help="take the addresses from a server's ready file")
    parser.add_argument("--otlp-grpc", default="127.0.0.1:4317", metavar="HOST:PORT")
    parser.add_argument("--otlp-http", default="127.0.0.1:4318", metavar="HOST:PORT")
    parser.add_argument("--listen", default="127.0.0.1:4320", metavar="HOST:PORT")
    parser.add_argument("--data", metavar="DIR", help="the server's data folder, to read its Delta tables too")
    parser.add_argument("--token", help="bearer token with the scopes ingest and read")
    parser.add_argument("--language", action="append", choices=[one.name for one in LANGUAGES])
    parser.add_argument("--deadline", type=float, default=60, metavar="S", help="to wait for rows (default 60)")
    return parser.parse_args()


def running(arguments):
    """The server that somebody else started."""
    addresses = {name: getattr(arguments, name) for name in ("otlp_grpc", "otlp_http", "listen")}
    if arguments.ready_file:
        with open(arguments.ready_file, encoding="utf-8") as file:
            ready = json.load(file)
        addresses = {name: ready[name] for name in addresses}
    return Server(**addresses, data=arguments.data, token=arguments.token)


class Tally:
    """Counts and prints the outcomes."""

    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def passed(self, name, detail):
        self.counts["passed"] += 1
        print(f"ok       {name}: {detail}", flush=True)

    def failed(self, name, differences):
        self.counts["failed"] += 1
        print(f"FAILED   {name}:")
        for line in differences[:SHOWN]:
            print(f"         {line}")
        if len(differences) > SHOWN:
            print(f"         … and {len(differences) - SHOWN} more")
        sys.stdout.flush()

    def skipped(self, name, why):
        self.counts["skipped"] += 1
        print(f"skipped  {name}: {why}", flush=True)

    def close(self):
        print("{passed} passed, {failed} failed, {skipped} skipped".format(**self.counts))
        return 1 if self.counts["failed"] else 0


def everything(server, arguments, tally):
    ids = set()
    for language in LANGUAGES:
        if arguments.language and language.name not in arguments.language:
            continue
        try:
            folder = language.install()
        except Skip as skip:
            tally.skipped(language.name, skip)
            continue
        for one in language.passes:
            ids |= one_pass(server, language, folder, one, arguments.deadline, tally)
    delta(server, ids, tally)


def one_pass(server, language, folder, one, deadline, tally):
    """Sends and compares; the ids of the spans that were sent, as `<trace id> <span id>`."""
    protocol, compression, temporality = one
    name = f"{language.name} {protocol} {compression or 'uncompressed'} {temporality}"
    service = f"sdk-{language.name}-{uuid.uuid4().hex[:12]}"
    started = time.monotonic()
    with tempfile.NamedTemporaryFile(prefix="hotspan-sent-", suffix=".jsonl") as out:
        command = language.command(folder, out.name)
        trouble = send(command, environment(server, service, *one))
        if trouble:
            tally.failed(name, trouble)
            return set()
        records = [json.loads(line) for line in out.read().decode().splitlines()]
    comparison = compare.Comparison()
    for signal, table, compare_rows in SIGNALS:
        sent = [record for record in records if record["signal"] == signal]
        rows = wait_for_rows(server, table, service, len(sent), deadline)
        if isinstance(rows, str):
            comparison.differs(table, "rows", rows)
            continue
        compare_rows(comparison, sent, rows)
    if comparison.differences:
        tally.failed(name, comparison.lines())
    else:
        detail = f"{len(records)} records, {comparison.checked} fields alike"
        tally.passed(name, f"{detail}, {time.monotonic() - started:.1f} s")
    return {f"{r['trace_id']} {r['span_id']}" for r in records if r["signal"] == "span"}


def environment(server, service, protocol, compression, temporality):
    endpoint = server.otlp_grpc if protocol == "grpc" else server.otlp_http
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    variables |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace=shop,service.version=1.0,service.instance.id={uuid.uuid4()}",
    }
    if compression:
        variables["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
    if server.token:
        variables["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization=Bearer%20{server.token}"
    return variables


def send(command, variables):
    """Runs a sender; what went wrong, as lines, or nothing. SDKs swallow export errors, but print them."""
    try:
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=SENDER_DEADLINE_S, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"the sender took longer than {SENDER_DEADLINE_S} s"]
    output = done.stdout.strip().splitlines()
    if done.returncode != 0:
        return [f"the sender ended with {done.returncode}", *output[-20:]]
    return [f"the SDK reported: {line}" for line in output[-20:]]


def wait_for_rows(server, table, service, expected, deadline):
    """The service's rows once there are as many as expected; an explanation when that did not happen in time."""
    condition = f"from {table} where service_name = '{service}'"
    until = time.monotonic() + deadline
    seen = "no answer"
    while time.monotonic() < until:
        try:
            seen = server.sql(f"select count(*) as n {condition}")
            if next(iter(seen[0].values())) >= expected:
                return server.sql(f"select * {condition}")
        except SqlError as error:
            return str(error)
        except OSError as error:
            seen = error
        time.sleep(0.1)
    return f"expected {expected} rows within {deadline:.0f} s, last saw {seen}"


def delta(server, ids, tally, deadline=30.0, name="delta table beside the running server"):
    """Compares the ids with what another implementation reads from disk."""
    python = CACHE / "sdk-python" / "venv" / "bin" / "python"
    if server.data is None:
        return tally.skipped(name, "--data was not given")
    if not python.exists():
        return tally.skipped(name, "PyPI's deltalake is not installed: the Python sender was skipped")
    if not ids:
        return tally.skipped(name, "nothing was sent")
    with tempfile.NamedTemporaryFile("w", prefix="hotspan-ids-", suffix=".txt") as file:
        file.write("\n".join(sorted(ids)))
        file.flush()
        reader = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delta_reader.py")
        table = os.path.join(server.data, "tables", "spans")
        done = subprocess.run(
            [str(python), reader, table, file.name, str(deadline)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    output = done.stdout.strip().splitlines()
    if done.returncode == 0:
        tally.passed(name, output[-1] if output else "")
    else:
        tally.failed(name, output[-20:])


def stopped(server, tally):
    code = server.stop()
    if code == 0:
        tally.passed("SIGTERM", "exit code 0")
    else:
        tally.failed("SIGTERM", [f"exit code {code}", server.log()])


if __name__ == "__main__":
    main()
