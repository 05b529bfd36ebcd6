"""What makes a hotspan refuse exports that it would take at another time, for as long as a test wants.

Each is started with `settings`, and refuses from `begin` to `end`:

    FullBudget    one large export holds all the memory that exports may take, its last bytes do not come
    LowDisk       less is free on the data disk than has to be
    FullLog       the write-ahead log is as large as it may be, and cannot be trimmed
"""

import datetime
import json
import os
import shutil
import socket
import tempfile
import threading
import urllib.error
import urllib.request

from languages import Skip
from waiting import Wrong, until

BUDGET = 16 << 20


class FullBudget:
    reason = "no_room"
    data = None

    def __init__(self):
        self.settings = f"[collector]\nmax_request_bytes = {BUDGET}\nmax_in_flight_bytes = {BUDGET}\n"
        self.connection = None

    def begin(self, server):
        """Sends somewhat more than half: room for all of it is taken then. hotspan waits a minute for the rest."""
        # What is left is less than the least export is charged with.
        body = unknown_field(BUDGET - (4 << 10))
        sent = len(body) // 2 + (64 << 10)
        host, port = server.otlp_http.rsplit(":", 1)
        self.connection = socket.create_connection((host, int(port)), timeout=30)
        head = f"POST /v1/traces HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-protobuf\r\n"
        self.connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:sent])
        self.rest = body[sent:]
        until("the budget is full", 20, lambda: server.total("hotspan_in_flight_bytes") >= len(body))

    def end(self):
        """Sends the rest; the large export has to be taken like any other."""
        self.connection.sendall(self.rest)
        answer = self.connection.recv(4096).split(b"\r\n")[0]
        self.close()
        if b" 200" not in answer:
            raise Wrong([f"the export that held the room got {answer.decode(errors='replace')!r}"])

    def close(self):
        if self.connection:
            self.connection.close()


def unknown_field(length):
    """A protobuf message of that many bytes that holds nothing an export has: field 100, zeros."""
    content = length - 6
    varint = bytes([(content >> shift & 0x7F) | 0x80 for shift in (0, 7, 14)] + [content >> 21])
    return b"\xa2\x06" + varint + bytes(content)


class LowDisk:
    """On the memory disk, where nobody else takes space meanwhile: one at a time."""

    reason = "unavailable"
    SLACK = 64 << 20
    DISK = "/dev/shm"
    ONE = threading.Lock()

    def __init__(self):
        if not os.path.isdir(self.DISK) or shutil.disk_usage(self.DISK).free < 8 * self.SLACK:
            raise Skip(f"{self.DISK} is not there, or has not enough space")
        self.ONE.acquire()
        self.folder = tempfile.mkdtemp(prefix="hotspan-refusal-", dir=self.DISK)
        self.data = os.path.join(self.folder, "data")
        self.ballast = os.path.join(self.folder, "ballast")
        least = shutil.disk_usage(self.DISK).free - 4 * self.SLACK
        self.settings = f"[storage]\nmin_free_bytes = {least}\n"

    def begin(self, server):
        with open(self.ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 5 * self.SLACK)
        until("it says that it refuses", 20, lambda: server.status()["refusing"])

    def end(self):
        os.remove(self.ballast)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.ONE.release()


# What a log may take to be full of log records.
FILLED_S = 60


class FullLog:
    """Log records fill it: their table cannot be written, since a file stands where a folder has to be."""

    reason = "overloaded"
    data = None
    LEAST = 64 << 20

    def __init__(self):
        self.settings = f"[storage]\nwal_bytes = {self.LEAST}\nhold_seconds = 0.0\nflush_seconds = 0.1\n"
        self.obstacles = []
        self.sent = 0

    def begin(self, server):
        today = datetime.datetime.now(datetime.timezone.utc).date()
        table = os.path.join(server.data, "tables", "logs")
        os.makedirs(table, exist_ok=True)
        for day in (today, today + datetime.timedelta(days=1)):
            self.obstacles.append(os.path.join(table, f"received_date={day}"))
            with open(self.obstacles[-1], "x", encoding="ascii"):
                pass
        # Ever smaller ones, until nothing fits.
        for length in (1 << 20, 32 << 10, 1 << 10, 1):
            until(f"no room for {length} bytes", FILLED_S, lambda length=length: not self.takes(server, length))

    def takes(self, server, length):
        # Each is another one: the same one again would be taken for a re-send, and not be written.
        self.sent += 1
        record = {"timeUnixNano": str(1_790_000_000_000_000_000 + self.sent), "body": {"stringValue": "x" * length}}
        body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"http://{server.otlp_http}/v1/logs", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status == 200
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise Wrong([f"a log record got {error.code}: {error.read().decode(errors='replace')}"]) from error
            return False

    def end(self):
        while self.obstacles:
            os.remove(self.obstacles.pop())

    def close(self):
        """What is left goes with the data."""
