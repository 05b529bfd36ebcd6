"""The senders: what each language needs, how it is installed, and the command that runs it.

Packages go to `$HOME/.cache/hotspan/sdk-<language>` with the sender beside them, and are kept while the sender's
folder is unchanged. What cannot be installed raises `Skip` with the reason, so that a machine without a language
or without a registry still tests the others.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("HOTSPAN_CACHE", pathlib.Path.home() / ".cache" / "hotspan"))
INSTALL_DEADLINE_S = 900


class Skip(Exception):
    """This language cannot be tested here; the message says why."""


class Language:
    """`passes` are (protocol, compression, temporality) as the OTEL_EXPORTER_OTLP_… variables name them."""

    def __init__(self, name, tools, protocols, install, command):
        self.name = name
        self.tools = tools
        self.install_steps = install
        self.run_command = command
        variants = [(None, "cumulative"), ("gzip", "delta"), ("gzip", "cumulative")]
        self.passes = [(protocol, *variants[at]) for at, protocol in enumerate(protocols)]

    def install(self):
        """The folder in which the sender can run."""
        missing = [tool for tool in self.tools if shutil.which(tool) is None]
        if missing:
            raise Skip(f"{', '.join(missing)} not found on PATH")
        folder = CACHE / f"sdk-{self.name}"
        stamp = folder / "installed"
        digest = self._digest()
        if stamp.exists() and stamp.read_text() == digest:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        shutil.copytree(HERE / self.name, folder, dirs_exist_ok=True)
        for step in self.install_steps:
            _run(step, folder)
        stamp.write_text(digest)
        return folder

    def command(self, folder, out):
        return [part.format(folder=folder) for part in self.run_command] + [str(out)]

    def _digest(self):
        state = hashlib.sha256(repr(self.install_steps).encode())
        for path in sorted((HERE / self.name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                state.update(path.relative_to(HERE).as_posix().encode())
                state.update(path.read_bytes())
        return state.hexdigest()


def _run(step, folder):
    try:
        done = subprocess.run(
            step, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=INSTALL_DEADLINE_S, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Skip(f"'{' '.join(step)}' took longer than {INSTALL_DEADLINE_S} s") from error
    if done.returncode != 0:
        last = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise Skip(f"'{' '.join(step)}' failed with {done.returncode}:\n{last}")


LANGUAGES = [
    Language(
        "python",
        ["python3"],
        ["grpc", "http/protobuf"],
        [
            ["python3", "-m", "venv", "venv"],
            ["venv/bin/python", "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"],
        ],
        ["{folder}/venv/bin/python", "{folder}/sender.py"],
    ),
    Language(
        "node",
        ["node", "npm"],
        ["grpc", "http/protobuf", "http/json"],
        [["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]],
        ["node", "{folder}/sender.mjs"],
    ),
    Language(
        "go",
        ["go"],
        ["grpc", "http/protobuf"],
        [["go", "build", "-trimpath", "-o", "sender", "."]],
        ["{folder}/sender"],
    ),
    Language(
        "java",
        ["java", "mvn"],
        ["grpc", "http/protobuf"],
        [["mvn", "-q", "-B", "-ntp", "compile", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"]],
        ["java", "-cp", "{folder}/target/classes:{folder}/target/lib/*", "Sender"],
    ),
]

# Not an SDK but what many of them send through (refusal.py).
COLLECTOR = Language(
    "collector",
    ["go"],
    [],
    [["go", "build", "-trimpath", "-o", "collector", "."]],
    ["{folder}/collector", "--config"],
)
