"""An SDK's program that sends traces only, under way: what it sent, what it said, and whether it gave anything up."""

import json
import os
import re
import subprocess
import tempfile
import uuid

from child import Child
from languages import LANGUAGES, Skip
from run import SENDER_DEADLINE_S, environment
from waiting import Wrong

# How each says that it gave up an export.
GAVE_UP = {
    "python": re.compile(r"^Failed to export|aborting retry"),
    # What is exported while it shuts down fails as the promise of that, which the sender does not catch.
    "node": re.compile(r"OTLPExporterError|14 UNAVAILABLE"),
    "go": re.compile(r"traces export: "),
    "java": re.compile(r"Failed to export (?:\d+ )?spans"),
}


class Sender(Child):
    """An SDK's program, under way; a context manager that ends it."""

    def __init__(self, folders, language, protocol, server, traces):
        folder = folders[language]
        if isinstance(folder, Skip):
            raise folder
        self.language = language
        self.service = f"refused-{language}-{uuid.uuid4().hex[:12]}"
        self.folder = tempfile.TemporaryDirectory(prefix="hotspan-sender-")
        self.sent, self.said = (os.path.join(self.folder.name, name) for name in ("sent.jsonl", "output"))
        # Else an SDK drops what it makes faster than it is taken, before it has sent it once.
        variables = environment(server, self.service, protocol, None, "cumulative")
        variables |= {"OTEL_BSP_MAX_QUEUE_SIZE": "100000"}
        variables |= {f"OTEL_{signal}_EXPORTER": "none" for signal in ("METRICS", "LOGS")}
        [how] = [one for one in LANGUAGES if one.name == language]
        command = [*how.command(folder, self.sent), str(traces)]
        with open(self.said, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            env=variables)  # fmt: skip

    def gone_early(self):
        if self.process.poll() is not None:
            raise Wrong(["the sender ended before an export was refused", *self.output()[-10:]])

    def ended(self):
        """Waits for its end. A sender whose SDK gave something up may end as it likes."""
        try:
            code = self.process.wait(timeout=SENDER_DEADLINE_S)
        except subprocess.TimeoutExpired as late:
            raise Wrong([f"the sender takes longer than {SENDER_DEADLINE_S} s", *self.output()[-10:]]) from late
        if code != 0 and not self.gave_up():
            raise Wrong([f"the sender ended with {code}", *self.output()[-10:]])

    def records(self):
        with open(self.sent, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def output(self):
        with open(self.said, encoding="utf-8", errors="replace") as file:
            return file.read().strip().splitlines()

    def gave_up(self):
        return [line for line in self.output() if GAVE_UP[self.language].search(line)]
