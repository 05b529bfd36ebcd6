#!/usr/bin/env python3
"""The soak: a steady load for hours with queries, retention and compaction, and what grows.

    tools/soak.py                                            # two hours at 20,000 spans/s
    tools/soak.py --minutes 5 --retention 60s                # a short one
    tools/soak.py --picture docs/pictures/soak.png

Samples the server every second; the slopes are least squares over the second half of the run, when caches and tables
have their size. What follows `--` goes to `hotspan serve`.
"""

import argparse
import statistics
import sys
import time

from measured import (Analysts, Samples, Server, arguments, draw, latencies, measure, print_answers, result,
                      seconds_of)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--spans", type=float, default=20_000, help="spans per second [default: %(default)s]")
    parser.add_argument("--retention", default="30m", help="of the server, so that rows leave [default: %(default)s]")
    parser.add_argument("--analysts", type=int, default=2)
    parser.add_argument("--pause", type=float, default=10, help="seconds between questions [default: %(default)s]")
    parser.add_argument("--hostile", action="store_true", help="let analysts ask hostile questions too")
    parser.add_argument("--picture", help="draw into this PNG (needs matplotlib)")
    given = arguments(parser)
    given.serve += ["--retention", given.retention]
    return given


def slope(rows, name):
    """Growth per hour by least squares over the second half."""
    half = rows[len(rows) // 2:]
    if len(half) < 3:
        return 0.0
    return statistics.linear_regression([row["at"] for row in half], [row[name] for row in half]).slope * 3600


def run(given, path):
    server, csv = Server(given, path), path / "seconds.csv"
    try:
        analysts = Analysts(server, given.analysts, given.hostile, given.pause)
        samples, cpu = Samples(server), server.cpu_seconds()
        analysts.ask()
        load = server.load("--rate", given.spans / 12, "--duration", f"{given.minutes * 60:g}s", "--retry", "--csv", csv)
        began = time.monotonic()
        while load.poll() is None:
            time.sleep(1)
            if int(time.monotonic() - began) % 600 == 0 and samples.rows:
                last = samples.rows[-1]
                print(f"{last['at'] / 60:.0f} min: {last.get('rss', 0) / 2**20:.0f} MiB", file=sys.stderr)
        report, answers, rows = result(load), analysts.stop(), samples.stop()
        print_report(given, report, rows, seconds_of(csv), server.cpu_seconds() - cpu)
        print_answers(answers)
        if given.picture:
            picture(given, rows, seconds_of(csv))
        return report["totals"]["failed"] == 0 and report["totals"]["refused"] == 0
    finally:
        server.stop()


def print_report(given, report, rows, lines, used):
    totals, latency = report["totals"], report["latency_ms"]
    print(f"{given.minutes:g} minutes at {given.spans:,.0f} spans/s, {given.analysts} analysts, retention {given.retention}: "
          f"sent {totals['sent']:,}, accepted {totals['accepted']:,}, refused {totals['refused']:,}, failed {totals['failed']:,}; "
          f"export p50 / p99 / max {latency['p50']:.1f} / {latency['p99']:.1f} / {latency['max']:.0f} ms; "
          f"{totals['accepted'] / max(used, 0.01):,.0f} spans per server-CPU-second\n")
    print("| | after a tenth | in the middle | at the end | highest | growth per hour, second half |\n|---|---|---|---|---|---|")
    for label, name, unit in (("resident, MiB", "rss", 2**20), ("open files", "fds", 1), ("threads", "threads", 1),
                              ("data files", "files", 1), ("log, MiB", "wal", 2**20), ("rows in memory", "memory_rows", 1)):
        at = [rows[index][name] / unit for index in (len(rows) // 10, len(rows) // 2, -1)]
        print(f"| {label} | {at[0]:,.0f} | {at[1]:,.0f} | {at[2]:,.0f} | {max(row[name] for row in rows) / unit:,.0f} "
              f"| {slope(rows, name) / unit:+,.1f} |")
    p99 = [{"at": line["second"], "p99": line["p99_ms"]} for line in lines]
    medians = [statistics.median(row["p99"] for row in part) if part else 0 for part in thirds(p99)]
    print(f"| export p99 of a second, median of each third, ms | {medians[0]:.1f} | {medians[1]:.1f} | {medians[2]:.1f} "
          f"| {max(row['p99'] for row in p99):.1f} | {slope(p99, 'p99'):+.2f} |")


def thirds(rows):
    third = len(rows) // 3
    return rows[:third], rows[third:2 * third], rows[2 * third:]


def picture(given, rows, lines):
    at = [row["at"] for row in rows]
    draw(given.picture, f"{given.minutes:g} minutes at {given.spans:,.0f} spans/s, {given.analysts} analysts", [
        ("resident, MiB", {"resident": (at, [row["rss"] / 2**20 for row in rows])}, False),
        ("open files, threads", {"files": (at, [row["fds"] for row in rows]), "threads": (at, [row["threads"] for row in rows])}, False),
        ("data files", {"data files": (at, [row["files"] for row in rows])}, False),
        ("log, MiB", {"log": (at, [row["wal"] / 2**20 for row in rows])}, False),
        ("export latency, ms", latencies(lines), True),
    ])


if __name__ == "__main__":
    measure(parse(), run)
