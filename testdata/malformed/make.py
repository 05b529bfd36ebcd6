#!/usr/bin/env python3
"""Writes the collection of malformed exports: bodies in files, and beside them what has to come of each.

    testdata/malformed/make.py            write all files
    testdata/malformed/make.py --check    say which files differ from what would be written

Only the standard library, nothing random, no clock: the same files every time. What is expected follows from the
OTLP specification, the specifications of protobuf, JSON and the compressions, and docs/format/; nothing here reads
what hotspan answers. README.md beside this file describes the format.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from generator import compression, framing, json_text, signals, values  # noqa: E402
from generator.case import FOLDERS  # noqa: E402
from generator.otlp import SPAN, TIME, TRACE  # noqa: E402

HERE = Path(__file__).resolve().parent

# Bytes of a body after decompression that the server under test is set to take.
LIMIT = 1 << 20

ANSWERS = {
    "taken": {"http": 200, "grpc": 0},
    "invalid": {"http": 400, "grpc": 3},
    "too_large": {"http": 413, "grpc": 8},
    "unknown_encoding": {"http": 415, "grpc": 12},
}

ORIGIN = {
    "service_name": "shop",
    "resource_attributes": '{"service.name":"shop"}',
    "resource_dropped_attributes_count": 0,
    "scope_name": "probe",
    "scope_dropped_attributes_count": 0,
}


def span_row(name, span_id):
    times = {"start_time_unix_nano": TIME, "end_time_unix_nano": TIME + 1000, "duration_ns": 1000}
    zero = ["dropped_attributes_count", "dropped_events_count", "dropped_links_count", "flags"]
    row = {"trace_id": TRACE.hex(), "span_id": span_id, "name": name, "kind": "UNSPECIFIED", "status_code": "UNSET"}
    return {**row, **times, **{column: 0 for column in zero}, **ORIGIN}


def record_row(body):
    row = {"time_unix_nano": TIME, "observed_time_unix_nano": 0, "severity_number": 0, "flags": 0}
    return {**row, "body": body, "body_type": "text", "dropped_attributes_count": 0, **ORIGIN}


def point_row(name, kind, **columns):
    row = {"name": name, "type": kind, "start_time_unix_nano": 0, "time_unix_nano": TIME, "flags": 0}
    return {**row, **columns, **ORIGIN}


def gauge_row(name, value):
    return point_row(name, "GAUGE", value=float(value), value_int=value)


ROWS = {
    "traces": {
        "before": span_row("before", "01" * 8),
        "odd": span_row("odd", SPAN.hex()),
        "after": span_row("after", "03" * 8),
    },
    "logs": {name: record_row(name) for name in ("before", "odd", "after")},
    "metrics": {
        "before": gauge_row("before", 1),
        "odd": gauge_row("odd", 2),
        "after": gauge_row("after", 3),
        "histogram": point_row(
            "odd", "HISTOGRAM", temporality="CUMULATIVE", count=3, bucket_counts=[1, 2], explicit_bounds=[5.0]
        ),
        "exponential": point_row(
            "odd", "EXPONENTIAL_HISTOGRAM", temporality="CUMULATIVE", count=3, scale=1, zero_count=0, zero_threshold=0.0
        ),
        "summary": point_row("odd", "SUMMARY", count=0, sum=0.0),
    },
}


def files():
    """Every file by its path, as bytes."""
    for part in (framing, values, signals, json_text, compression):
        part.add_all()
    shared = {"limit": LIMIT, "answers": ANSWERS, "rows": ROWS}
    made = {"answers.json": text(shared, indent=1)}
    for folder in FOLDERS.values():
        lines = ",\n  ".join(text(case.entry()) for case in folder.cases)
        expected = f'{{\n "about": {text(folder.about)},\n "cases": [\n  {lines}\n ]\n}}\n'
        made[f"{folder.name}/expect.json"] = expected
        for case in folder.cases:
            path = f"{folder.name}/{case.name}"
            assert path not in made, f"{path} is there twice"
            made[path] = case.body
    return {path: body.encode() if isinstance(body, str) else body for path, body in made.items()}


def text(value, **layout):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, **layout) + ("\n" if layout else "")


def written():
    skipped = {"make.py", "README.md", ".gitattributes"}
    found = (path for path in HERE.rglob("*") if path.is_file())
    paths = {path.relative_to(HERE).as_posix(): path for path in found}
    return {name: path for name, path in paths.items() if name not in skipped and not name.startswith("generator/")}


def main():
    made, there = files(), written()
    cases = sum(len(folder.cases) for folder in FOLDERS.values())
    if sys.argv[1:] == ["--check"]:
        wrong = [f"missing: {name}" for name in made if name not in there]
        wrong += [f"not written by make.py: {name}" for name in there if name not in made]
        wrong += [f"differs: {name}" for name in made if name in there and there[name].read_bytes() != made[name]]
        if wrong:
            sys.exit("\n".join(sorted(wrong)[:20]) + "\nrun testdata/malformed/make.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        for name, path in there.items():
            if name not in made:
                path.unlink()
        for name, body in made.items():
            path = HERE / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(body)
    print(f"{cases} malformed exports of {len(FOLDERS)} classes")


if __name__ == "__main__":
    main()
