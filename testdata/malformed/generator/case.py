"""A case: one body, what a client has to be told about it, and what has to be stored."""

import base64
import hashlib
import struct
from dataclasses import dataclass, field

# Longer expected texts are kept as their length and SHA-256.
LONGEST_TEXT = 2000

FOLDERS = {}


@dataclass
class Case:
    name: str
    body: bytes
    signal: str = "traces"
    format: str = "protobuf"
    encoding: str = "identity"
    answer: str = "taken"
    rejected: int = 0
    says: list = field(default_factory=list)
    rows: list = field(default_factory=list)

    def entry(self):
        entry = {"file": self.name, "signal": self.signal, "format": self.format}
        if self.encoding != "identity":
            entry["encoding"] = self.encoding
        entry["answer"] = self.answer
        if self.rejected:
            entry["rejected"] = self.rejected
        if self.says:
            entry["says"] = self.says
        entry["rows"] = [shortened(row) for row in self.rows]
        return entry


class Folder:
    """All cases of one class. The odd row stands between two neighbours unless told otherwise."""

    def __init__(self, name, about):
        self.name, self.about, self.cases = name, about, []
        FOLDERS[name] = self

    def add(self, name, body, **expected):
        body = body.encode() if isinstance(body, str) else body
        name += ".json" if expected.get("format") == "json" else ".pb"
        suffix = {"gzip": ".gz", "zstd": ".zst", "deflate": ".zz"}
        name += suffix.get(expected.get("encoding", "identity"), "")
        self.cases.append(Case(name, body, **expected))

    def kept(self, name, body, changes=None, like="odd", says=(), anomalies=None, **expected):
        """The odd row is stored with these changes to the row called `like`; anomalies are told as a warning."""
        odd = {"like": like, **(changes or {})}
        if anomalies:
            odd["anomalies"] = anomalies
        self.add(name, body, says=list(says), rows=["before", odd, "after"], **expected)

    def lost(self, name, body, says, rejected=1, **expected):
        """The odd row is rejected for good, its neighbours are stored."""
        self.add(name, body, says=list(says), rejected=rejected, rows=["before", "after"], **expected)

    def refused(self, name, body, says, answer="invalid", **expected):
        """Nothing is stored."""
        self.add(name, body, says=list(says), answer=answer, **expected)


def shortened(value):
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner) for inner in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        encoded = value.encode()
        return {"bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}
    return value


# Attributes as the text of docs/format/attributes.md.

ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(value):
    def char(c):
        return ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 0x20 else c)

    return '"' + "".join(map(char, value)) + '"'


def attributes(**pairs):
    """A map whose values are given as JSON text."""
    return "{" + ",".join(f"{quoted(key)}:{value}" for key, value in pairs.items()) + "}"


def marked_bytes(value):
    return '{"@bytes":"' + base64.b64encode(value).decode() + '"}'


def marked_double(name):
    return '{"@double":"' + name + '"}'


def cell(value):
    """A double as it stands in the expectations."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return "-0.0" if struct.pack("<d", value) == struct.pack("<d", -0.0) else value


def replaced(raw):
    """Text with U+FFFD for each maximal broken part, as the Unicode Standard recommends (chapter 3, "U+FFFD")."""
    return raw.decode("utf-8", "replace")
