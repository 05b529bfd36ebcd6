#!/usr/bin/env python3
"""Kills hotspan at points around a commit and compares what it acknowledged with what PyPI's `deltalake` reads.

    tests/sdk/crash.py --hotspan target/debug/hotspan

At each point: spans are sent as OTLP/JSON until the server dies at the point (`HOTSPAN_CRASH_AT`), a second server takes
what got no answer once more, as a client would, and is stopped. Then the Delta table has to hold every span once. Needs a
build with debug assertions; only the standard library, and for the reader the environment of the Python sender.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import time

from run import Tally, delta
from server import Started, StartError

POINTS = ["wal.synced:9", "flush.file_put:3", "commit.named:3", "commit.put:3", "checkpoint.put", "merge.put", "trim.renamed"]
SETTINGS = "[storage]\nhold_seconds = 0.1\nflush_seconds = 0.05\n"
REACHED_S = 120
NEW_YEAR = 1_767_225_600_000_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hotspan", required=True, metavar="BINARY")
    parser.add_argument("--deadline", type=float, default=60, metavar="S", help="to wait for a start (default 60)")
    arguments = parser.parse_args()
    tally = Tally()
    for point in POINTS:
        with tempfile.TemporaryDirectory(prefix="hotspan-crash-") as folder:
            try:
                crash(point, folder, arguments, tally)
            except StartError as error:
                tally.failed(f"crash at {point}", [str(error)])
    sys.exit(tally.close())


def crash(point, folder, arguments, tally):
    name = f"delta table after a crash at {point}"
    data, config = os.path.join(folder, "data"), os.path.join(folder, "hotspan.toml")
    with open(config, "w", encoding="ascii") as file:
        file.write(SETTINGS)
    start = {"binary": arguments.hotspan, "deadline": arguments.deadline, "data": data, "config": config}
    with Started(**start, environment={"HOTSPAN_CRASH_AT": point}) as server:
        acknowledged, unanswered = send_until_gone(server)
        if not server.died(deadline=10):
            return tally.failed(name, [f"the point was not passed in {REACHED_S} s", server.log()])
    with Started(**start) as server:
        for number in unanswered:
            if not export(server, number):
                return tally.failed(name, ["the second server is gone too", server.log()])
            acknowledged.append(number)
        if server.stop() != 0:
            return tally.failed(name, ["it did not stop cleanly", server.log()])
    server.data = data
    return delta(server, {span for number in acknowledged for span in ids(number)}, tally, deadline=0.0, name=name)


def send_until_gone(server):
    """The numbers of the exports that were acknowledged, and of the last one, which was not."""
    until = time.monotonic() + REACHED_S
    acknowledged, number = [], 1
    while time.monotonic() < until:
        if not export(server, number):
            return acknowledged, [number]
        acknowledged.append(number)
        number += 1
    return acknowledged, []


def ids(number):
    return [f"{number:032x} {number << 8 | at:016x}" for at in range(3)]


def export(server, number):
    """Sends until it is acknowledged; False when the server is gone before."""
    def span(at):
        trace, own = ids(number)[at].split()
        parent = {} if at == 0 else {"parentSpanId": ids(number)[0].split()[1]}
        times = {"startTimeUnixNano": str(NEW_YEAR), "endTimeUnixNano": str(NEW_YEAR + 1_000_000)}
        return {"traceId": trace, "spanId": own, "name": "work", "kind": 2, **times, **parent}

    spans = [{"resource": {}, "scopeSpans": [{"spans": [span(at) for at in range(3)]}]}]
    body = json.dumps({"resourceSpans": spans})
    while True:
        try:
            connection = http.client.HTTPConnection(server.otlp_http, timeout=30)
            connection.request("POST", "/v1/traces", body, {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if response.status == 200:
            return True
        if response.status != 503:
            raise StartError(f"an answer that fits neither: {response.status}")


if __name__ == "__main__":
    main()
