"""Reads a Delta table with PyPI's `deltalake`, which shares no code with hotspan, and compares the spans' ids.

`python delta_reader.py TABLE IDS DEADLINE_S`: IDS is a file of `<trace id> <span id>` lines in hex. Polls until the
table holds each id exactly once, since rows reach it up to 10 s after their trace is quiet. Every column is read
into pyarrow. Runs in the environment of the Python sender. Exit code 1, with the reason, when the ids differ.
"""

import collections
import os
import sys
import time

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError


def ids_in(path):
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return collections.Counter(), "no table yet"
    rows = table.to_pyarrow_table()
    rows.validate(full=True)
    pairs = zip(rows.column("trace_id").to_pylist(), rows.column("span_id").to_pylist())
    found = collections.Counter(f"{trace.hex()} {span.hex()}" for trace, span in pairs)
    return found, f"version {table.version()}, {rows.num_rows} rows, {rows.num_columns} columns"


def main():
    path, ids_file, deadline = sys.argv[1], sys.argv[2], float(sys.argv[3])
    with open(ids_file, encoding="ascii") as file:
        expected = set(file.read().splitlines())
    until = time.monotonic() + deadline
    while True:
        found, state = ids_in(path)
        missing = [one for one in expected if found[one] == 0]
        if not missing or time.monotonic() > until:
            break
        time.sleep(0.5)
    twice = [one for one in expected if found[one] > 1]
    print(f"{state}; {len(expected)} spans expected, {len(missing)} missing, {len(twice)} doubled")
    for one in missing[:5]:
        print(f"missing: {one}")
    for one in twice[:5]:
        print(f"doubled: {one}")
    # Not sys.exit: the library's threads may outlive the interpreter and end it by SIGABRT, which says nothing of the table.
    sys.stdout.flush()
    os._exit(1 if missing or twice else 0)


if __name__ == "__main__":
    main()
