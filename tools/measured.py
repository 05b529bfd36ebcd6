"""A hotspan server under measurement, and what is measured around it: load, samples, analysts, pictures.

Used by bench.py, step.py, peers.py and soak.py. Standard library only; packages() makes an environment of its own for
those who draw or read Parquet.
"""

import atexit
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
CACHE = pathlib.Path(os.environ.get("HOTSPAN_CACHE", pathlib.Path.home() / ".cache" / "hotspan"))
ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "build")) / "debug" / "hotspan"


def packages(*names):
    """Goes on in an environment that has these PyPI packages; it is made once, under ~/.cache/hotspan/measure."""
    python = CACHE / "measure" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", CACHE / "measure"], check=True)
    if pathlib.Path(sys.executable) != python:
        missing = [n for n in names if subprocess.run([python, "-c", f"import {n}"], capture_output=True).returncode]
        for name in missing:
            print(f"installing {name} for {sys.argv[0]}", file=sys.stderr)
            subprocess.run([python, "-m", "pip", "install", "--quiet", name], check=False)
        os.execv(python, [python, *sys.argv])


def arguments(parser):
    """The arguments that all measurements share; what follows `--` goes to `hotspan serve`."""
    parser.add_argument("--hotspan", default=str(BINARY), help="the program to measure [default: %(default)s]")
    parser.add_argument("--folder", help="where to make the folder for the data, which is deleted [default: ~/.cache/hotspan]")
    # Whoever is told to end ends its server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    own, flags = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, flags = own[:at], own[at + 1:]
    given = parser.parse_args(own)
    given.serve = flags
    return given


@contextlib.contextmanager
def folder(given):
    """A folder for the data of one measurement."""
    parent = pathlib.Path(given.folder or CACHE)
    parent.mkdir(parents=True, exist_ok=True)
    # Not below /tmp, which may be in memory, where syncing costs nothing.
    path = pathlib.Path(tempfile.mkdtemp(prefix="measured-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def measure(given, run):
    """Runs one measurement in a folder of its own and ends with its exit code: 0 when `run` says that all was well."""
    if given.picture:
        packages("matplotlib")
    with folder(given) as path:
        sys.exit(0 if run(given, path) else 1)


def forget(paths):
    """Has the system drop what it keeps in memory of those that are files."""
    for path in paths:
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


class Server:
    """A running `hotspan serve` on free ports."""

    def __init__(self, given, path):
        self.given, self.path, self.data = given, path, path / "data"
        self.start()

    def start(self):
        ready = self.path / "ready.json"
        ready.unlink(missing_ok=True)
        command = [self.given.hotspan, "serve", "--data", self.data, "--ready-file", ready, "--log", "warn"]
        for address in ("--otlp-grpc", "--otlp-http", "--listen"):
            command += [address, "127.0.0.1:0"]
        with open(self.path / "server.log", "a") as log:
            self.process = subprocess.Popen([*command, *self.given.serve], stdout=log, stderr=log)
        while not ready.exists() or not ready.read_text():
            if self.process.poll() is not None:
                sys.exit(f"the server ended:\n{(self.path / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)
        self.addresses = json.loads(ready.read_text())
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def restart(self):
        """Stops and starts again without what the system keeps of the files."""
        self.stop()
        forget(self.data.rglob("*"))
        self.start()

    def get(self, path, timeout=300, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self.addresses['listen']}{path}?{query}", timeout=timeout) as response:
            return json.load(response)

    def sql(self, query, timeout=300):
        body = json.dumps({"query": query}).encode()
        address = f"http://{self.addresses['listen']}/api/v1/sql"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return json.load(response)["rows"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{query}: {error.read().decode(errors='replace')}") from error

    def status(self):
        return self.get("/api/v1/status", timeout=30)

    def table(self):
        """The figures of the table of spans."""
        tables = self.status()["tables"]
        return next((t for t in tables if t["name"] == "spans" and t["tenant"] == "default"),
                    {"rows": 0, "bytes": 0, "files": 0})

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_rss(self):
        """Highest resident memory so far, in MiB."""
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

    def load(self, *options, protocol="grpc"):
        """A started `hotspan load`; result() waits for its report, which has a line a second: more than a pipe holds."""
        endpoint = f"http://{self.addresses['otlp_http' if protocol == 'http' else 'otlp_grpc']}"
        command = [self.given.hotspan, "load", "--endpoint", endpoint, "--protocol", protocol, "--json"]
        command += [str(option) for option in options]
        out, errors = tempfile.TemporaryFile("w+", dir=self.path), tempfile.TemporaryFile("w+", dir=self.path)
        load = subprocess.Popen(command, stdout=out, stderr=errors)
        load.out, load.errors = out, errors
        return load

    def wait_until_stored(self, seconds=600):
        """Waits until every row is in a file; the seconds that took, or None when it was not done in time."""
        began = time.monotonic()
        while self.status()["memory"]["rows"] > 0:
            if time.monotonic() - began > seconds:
                return None
            time.sleep(0.5)
        return time.monotonic() - began


def result(load):
    """The report of a finished load; exit code 1 only says that not everything was taken."""
    load.wait()
    out, errors = (file.seek(0) or file.read() for file in (load.out, load.errors))
    if load.returncode not in (0, 1) or not out:
        sys.exit(f"hotspan load failed:\n{errors}")
    return json.loads(out)


class Samples(threading.Thread):
    """The server's figures, once a second, until stopped."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.rows, self.over = server, [], threading.Event()
        self.began = time.monotonic()
        self.start()

    def run(self):
        while not self.over.wait(max(0.0, self.began + len(self.rows) - time.monotonic())):
            at = time.monotonic() - self.began
            try:
                status = self.server.status()
            except OSError:
                status = None
            self.rows.append({"at": at, **(flat(status) if status else {})})

    def stop(self):
        self.over.set()
        self.join()
        return [row for row in self.rows if "rss" in row]


def flat(status):
    """What of the status is drawn."""
    process, spans = status["process"], status["ledger"].get("spans", {})
    return {
        "rss": process["rss_bytes"], "cpu": process["cpu_seconds"], "fds": process["open_fds"],
        "threads": process["threads"], "wal": status["wal"]["bytes"], "memory_rows": status["memory"]["rows"],
        "memory_bytes": status["memory"]["bytes"], "pinned": status["memory"].get("pinned_bytes", 0), "files": sum(t["files"] for t in status["tables"]),
        "stored": spans.get("stored", 0), "refused": spans.get("refused", 0),
        "balanced": spans.get("received", 0) == sum(spans.get(part, 0) for part in (
            "stored", "rejected", "refused", "duplicates", "in_flight")),
    }


DASHBOARD = {
    "hot spots": ("/api/v1/hotspots", {"start": "now-2m", "end": "now"}),
    "heat map": ("/api/v1/heatmap", {"start": "now-2m", "end": "now"}),
    "services": ("/api/v1/services", {"start": "now-2m", "end": "now"}),
    "operations": ("/api/v1/operations", {"start": "now-2m", "end": "now"}),
    "search": "select trace_id, name, duration_ns from spans where service_name = 'catalog' and duration_ns > 50000000 "
              "and start_time >= now() - interval '1 minute' order by start_time desc limit 20",
    "rates": "select service_name, name, count(*), quantile(duration_ns, 0.99) from spans "
             "where start_time >= now() - interval '1 minute' group by 1, 2",
}
HOSTILE = {
    "cross join": "select count(*) from spans a cross join spans b where a.duration_ns < b.duration_ns",
    "unbounded sort": "select * from spans order by attributes, resource_attributes, span_id",
    "regex over everything": "select count(*) from spans where attributes ~ '(a|b|c)*d.*(e|f)+[0-9]{3,}x'",
    "2,000 terms": "select count(*) from spans where " + " or ".join(f"duration_ns = {n}" for n in range(2000)),
    "distinct of everything": "select count(distinct trace_id || span_id || attributes) from spans",
}


class Analysts:
    """So many people who ask one question after the other, with a pause in between if they are to be patient: three
    from the dashboard, then a hostile one.

    rest() also takes back what they are waiting for, so that a phase without them is one: the server ends a query
    when its client goes away.
    """

    def __init__(self, server, count, hostile=True, pause=0):
        self.server, self.hostile, self.pause = server, hostile, pause
        self.asking, self.over = threading.Event(), threading.Event()
        self.answers, self.lock, self.connections = [], threading.Lock(), {}
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        self.asking.set()

    def work(self, number):
        chance = random.Random(number)
        while not self.over.is_set():
            if not self.asking.wait(0.2):
                continue
            hostile = self.hostile and chance.random() < 0.25
            name, question = chance.choice(list((HOSTILE if hostile else DASHBOARD).items()))
            began = time.monotonic()
            outcome = self.answer(number, question)
            if self.asking.is_set():
                with self.lock:
                    self.answers.append((name, hostile, time.monotonic() - began, outcome))
            self.over.wait(self.pause)

    def answer(self, number, question):
        connection = http.client.HTTPConnection(self.server.addresses["listen"], timeout=120)
        try:
            connection.connect()
            self.connections[number] = connection.sock
            if isinstance(question, str):
                body = json.dumps({"query": question})
                connection.request("POST", "/api/v1/sql", body, {"Content-Type": "application/json"})
            else:
                connection.request("GET", f"{question[0]}?{urllib.parse.urlencode(question[1])}")
            response = connection.getresponse()
            body = response.read()
            return "answered" if response.status == 200 else f"HTTP {response.status} ({reason(body)})"
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            self.connections.pop(number, None)
            connection.close()

    def rest(self):
        self.asking.clear()
        for sock in list(self.connections.values()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.rest()
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self.answers


class Occupants:
    """A process for each core that only counts, in the class that runs when nothing else does; in place of Analysts."""

    def __init__(self):
        def idle():
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        count = [sys.executable, "-c", "while True: pass"]
        self.processes = [subprocess.Popen(count, preexec_fn=idle) for _ in range(os.cpu_count())]
        # Also when the run ends otherwise: they would go on for ever.
        atexit.register(self.stop)
        self.rest()

    def ask(self):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def rest(self):
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        return []


def reason(body):
    """The first words of an error's message, without the numbers in it."""
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return "no reason"
    return " ".join(word for word in message.split()[:9] if not any(c.isdigit() for c in word))


def print_answers(answers):
    """A table of what analysts asked."""
    print("\n| question | asked | answered | refused or limited | median, ms | slowest, ms |\n|---|---|---|---|---|---|")
    for name in sorted({answer[0] for answer in answers}, key=lambda n: (n in HOSTILE, n)):
        of_name = [answer for answer in answers if answer[0] == name]
        times = [answer[2] * 1e3 for answer in of_name]
        answered = sum(answer[3] == "answered" for answer in of_name)
        others = {}
        for answer in of_name:
            if answer[3] != "answered":
                others[answer[3]] = others.get(answer[3], 0) + 1
        others = ", ".join(f"{count} × {what}" for what, count in others.items()) or "0"
        print(f"| {name} | {len(of_name)} | {answered} | {others} | {statistics.median(times):,.0f} | {max(times):,.0f} |")


def nanos(text):
    """Unix nanoseconds of an RFC 3339 time with nanoseconds."""
    seconds, fraction = text.rstrip("Z").split(".")
    moment = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


def verify(server, report):
    """Compares what was acknowledged with what SQL finds; prints the balance and says whether it holds."""
    accepted = report["totals"]["accepted"]
    count = server.sql("select count(*) from spans")[0][0]
    # In parts by start, which a span that is there twice has twice, so that the distinct ids of one part fit into a
    # query's memory and only a part of the files is read.
    first, last = map(nanos, server.sql("select min(start_time), max(start_time) from spans")[0])
    parts = max(1, round(count / 500_000))
    edges = [first + (last + 1 - first) * n // parts for n in range(parts + 1)]
    distinct = 0
    for start, end in zip(edges, edges[1:]):
        distinct += server.sql("select count(distinct span_id) from spans where start_time >= to_timestamp_nanos"
                               f"({start}) and start_time < to_timestamp_nanos({end})")[0][0]
    # Without an answer nobody knows: the server may have taken those.
    uncertain = report["totals"]["failed"] + report["totals"]["possible_duplicates"]
    good = count == distinct and accepted <= count <= accepted + uncertain
    print(f"\naccepted {accepted:,} · count(*) {count:,} · count(distinct span_id) {distinct:,}: "
          f"{'equal' if accepted == count == distinct else 'nothing lost, nothing twice' if good else 'NOT EQUAL'}")
    return good


def seconds_of(csv):
    """The lines that `hotspan load --csv` wrote, as numbers by name."""
    lines = pathlib.Path(csv).read_text().splitlines()
    names = lines[0].split(",")
    return [dict(zip(names, map(float, line.split(",")))) for line in lines[1:]]


def latencies(lines):
    """The lines of p50 and p99 for draw(), without the seconds in which nothing was accepted."""
    some = [line for line in lines if line["accepted"]]
    return {name: ([line["second"] for line in some], [line[f"{name}_ms"] for line in some]) for name in ("p50", "p99")}


def draw(path, title, panels):
    """Draws panels below each other over one time axis: (label, {line: (x, y)}, logarithmic)."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(len(panels), 1, sharex=True, figsize=(9, 1.9 * len(panels)), squeeze=False)
    for axis, (label, lines, logarithmic) in zip(axes[:, 0], panels):
        for name, (x, y) in lines.items():
            axis.plot(x, y, label=name, linewidth=1.2)
        axis.set_ylabel(label, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
        axis.margins(x=0)
        if logarithmic:
            axis.set_yscale("log")
        else:
            axis.set_ylim(0, 1.05 * max([0.1, *(max(y, default=0) for _, y in lines.values())]))
        if len(lines) > 1:
            axis.legend(fontsize=7, loc="upper right")
    axes[0, 0].set_title(title, fontsize=9)
    axes[-1, 0].set_xlabel("seconds", fontsize=8)
    figure.tight_layout()
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"drew {path}", file=sys.stderr)
