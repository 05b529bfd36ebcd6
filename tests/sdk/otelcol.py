"""A real OpenTelemetry Collector between the SDKs and hotspan: started, asked for its own metrics, its log read."""

import os
import socket
import subprocess
import tempfile

import metrics
from child import Child
from waiting import Wrong, until

RETRIED = "Exporting failed. Will retry the request after interval."
# How it says that a server asked for a pause, by RetryInfo or Retry-After.
ASKED_TO_WAIT = "Throttle ("
# What it says when it gives up spans, or has no place for them.
DROPPED = ("Dropping data", "No more retries left", "not retryable error", "sending queue is full")


class Collector(Child):
    """`hotspan` is HOST:PORT for the protocol; a context manager that stops it."""

    def __init__(self, folder, protocol, hotspan):
        port, metrics_port = free_ports(2)
        self.otlp_grpc = f"127.0.0.1:{port}"
        # As a server that a sender's environment is made for.
        self.otlp_http, self.token = None, None
        self.metrics_at = f"127.0.0.1:{metrics_port}"
        self.folder = tempfile.TemporaryDirectory(prefix="hotspan-collector-")
        self.log_path = os.path.join(self.folder.name, "log")
        variables = os.environ | {
            "COLLECTOR_OTLP": self.otlp_grpc,
            "COLLECTOR_METRICS_PORT": str(metrics_port),
            "HOTSPAN_ENDPOINT": hotspan,
        }
        config = os.path.join(folder, "grpc.yaml" if protocol == "grpc" else "http.yaml")
        command = [os.path.join(folder, "collector"), "--config", config]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)
        try:
            until("the Collector listens", 60, lambda: self._gone() or self._listens(port))
        except Wrong as wrong:
            said = self.log()[-20:]
            self.__exit__()
            raise Wrong([*wrong.lines, *said]) from wrong

    def _gone(self):
        if self.process.poll() is not None:
            raise Wrong([f"the Collector ended with {self.process.returncode}"])

    def _listens(self, port):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return metrics.fetched(self.metrics_at)

    def spans(self, what):
        """One of its counters of spans: `receiver_accepted`, `receiver_refused`, `exporter_sent`, …"""
        return self._count(f"{what}_spans")

    def under_way(self):
        """Exports that it sends now, or waits with to send them again."""
        return self._count("exporter_in_flight_requests")

    def _count(self, name):
        return int(metrics.total(metrics.fetched(self.metrics_at), f"otelcol_{name}"))

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def said(self, *phrases):
        """The lines of its log that hold one of these."""
        return [line for line in self.log() if any(phrase in line for phrase in phrases)]


def free_ports(count):
    """Ports that nobody has at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
