"""The hotspan under test: started on free ports, or one that runs already; asked by SQL over HTTP."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import metrics
from child import Child


class Server:
    """Addresses as `host:port`; `data` is None when the store's folder is not known here."""

    def __init__(self, otlp_grpc, otlp_http, listen, data=None, token=None):
        self.otlp_grpc = otlp_grpc
        self.otlp_http = otlp_http
        self.listen = listen
        self.data = data
        self.token = token

    def sql(self, query):
        """The rows as dictionaries. Raises `OSError` when the server does not answer, `SqlError` when it refuses."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"http://{self.listen}/api/v1/sql", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise SqlError(f"{error.code}: {error.read().decode(errors='replace')}") from error
        if answer["truncated"]:
            raise SqlError(f"the answer to {query!r} was cut short")
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row)) for row in answer["rows"]]

    def total(self, name, **labels):
        """Of its own metrics, the sum over those labels. Raises `OSError` when it does not answer."""
        return metrics.total(metrics.fetched(self.listen), name, **labels)

    def status(self):
        """What it says of itself. Raises `OSError` when it does not answer."""
        with urllib.request.urlopen(f"http://{self.listen}/api/v1/status", timeout=30) as response:
            return json.load(response)


class SqlError(Exception):
    """The server refused a statement."""


class StartError(Exception):
    """The program under test did not come up."""


class Started(Child, Server):
    """`hotspan serve` with a store of its own or in `data`; a context manager that stops it. It takes free ports, or
    those of `addresses`, a server that was there before."""

    def __init__(self, binary, deadline, data=None, config=None, environment=None, addresses=None):
        self.folder = tempfile.TemporaryDirectory(prefix="hotspan-sdk-")
        self.log_path = os.path.join(self.folder.name, "log")
        ready = os.path.join(self.folder.name, "ready.json")
        data = data or os.path.join(self.folder.name, "data")
        command = [binary, "serve", "--data", data, "--ready-file", ready]
        for name in ("otlp_grpc", "otlp_http", "listen"):
            command += ["--" + name.replace("_", "-"), getattr(addresses, name, "127.0.0.1:0")]
        command += ["--config", config] if config else []
        variables = os.environ | (environment or {})
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)
        addresses = self._wait_for(ready, time.monotonic() + deadline)
        super().__init__(addresses["otlp_grpc"], addresses["otlp_http"], addresses["listen"], data)

    def _wait_for(self, ready, until):
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                with open(ready, encoding="utf-8") as file:
                    return json.load(file)
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.05)
        self.process.kill()
        raise StartError(f"the server did not come up: {self.log()}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def died(self, deadline):
        """Whether it has been ended by SIGKILL."""
        try:
            return self.process.wait(timeout=deadline) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            return False
