#!/usr/bin/env python3
"""The step: load that rises in a moment, with or without analysts, and what it does to export latency and memory.

    tools/step.py --step 2000x30s,10000x60s
    tools/step.py --step 8000x30s,40000x60s,60000x10s --picture docs/pictures/step.png -- --memory 1GiB
    tools/step.py --step 2000x40s,10000x80s --analysts 8 --alternate 20s
    tools/step.py --step 8000x10s,40000x40s --analysts 1 --polite --alternate 10s
    tools/step.py --step 10000x132s --occupy --alternate 12s

Starts a server, sends the steps with `hotspan load`, samples the server once a second, waits until everything is in
files, and compares by SQL what was acknowledged with what is there. What follows `--` goes to `hotspan serve`. With
--alternate each step is cut into phases in which the analysts ask or rest in turn, so that both p99 come from the
same run. --occupy has processes of the idle class occupy the cores instead: what of the ratio is the machine's, since
no query that takes the cores costs less than one that touches nothing. Prints Markdown for docs/benchmarks.md. Exit
code 1 when spans are missing or there twice.
"""

import argparse
import statistics
import time

from measured import (Analysts, Occupants, Samples, Server, arguments, draw, latencies, measure, print_answers, result,
                      seconds_of, verify)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", default="2000x20s,10000x40s", help="as of hotspan load [default: %(default)s]")
    parser.add_argument("--connections", default="16")
    parser.add_argument("--load", default="", help="further options of hotspan load, in one text")
    parser.add_argument("--no-retry", action="store_true", help="let what is refused stay refused")
    parser.add_argument("--analysts", type=int, default=0, help="people who ask meanwhile")
    parser.add_argument("--occupy", action="store_true", help="instead of analysts, occupy each core at the lowest class")
    parser.add_argument("--polite", action="store_true",
                        help="they ask what the pages ask, and look at each answer for half a second")
    parser.add_argument("--alternate", help="let the analysts rest and ask in turn, this long each, e.g. 20s")
    parser.add_argument("--drain", type=float, default=900, help="longest wait for everything to be in files, seconds")
    parser.add_argument("--picture", help="draw rate, p99, memory and backlog into this PNG (needs matplotlib)")
    return arguments(parser)


def seconds(text):
    units = {"s": 1, "m": 60, "h": 3600}
    return float(text[:-1]) * units[text[-1]]


def phases(given):
    """(rate, seconds, number of the step, whether analysts ask), in order."""
    found = []
    for number, step in enumerate(given.step.split(",")):
        rate, lasts = step.split("x")
        lasts, asking = seconds(lasts), given.occupy or given.analysts > 0
        if not given.alternate:
            found.append((rate, lasts, number, asking))
            continue
        each, asking = seconds(given.alternate), False
        while lasts > 0:
            found.append((rate, min(each, lasts), number, asking))
            lasts, asking = lasts - each, not asking
    return found


def company(given, server):
    if given.occupy:
        return Occupants()
    return Analysts(server, given.analysts, not given.polite, 0.5 if given.polite else 0) if given.analysts else None


def run(given, path):
    server = Server(given, path)
    try:
        plan, csv = phases(given), path / "seconds.csv"
        retry = [] if given.no_retry else ["--retry"]
        steps = ",".join(f"{rate}x{lasts:g}s" for rate, lasts, _, _ in plan)
        analysts = company(given, server)
        samples, cpu = Samples(server), server.cpu_seconds()
        load = server.load("--step", steps, "--connections", given.connections, "--csv", csv, *retry, *given.load.split())
        began = time.monotonic()
        for _, lasts, _, asking in plan:
            if analysts and asking:
                analysts.ask()
            elif analysts:
                analysts.rest()
            began += lasts
            while time.monotonic() < began and load.poll() is None:
                time.sleep(min(0.2, max(0.0, began - time.monotonic())))
        if analysts:
            analysts.rest()
        report = result(load)
        answers = analysts.stop() if analysts else []
        drained = server.wait_until_stored(given.drain)
        used = server.cpu_seconds() - cpu
        rows = samples.stop()
        print_report(plan, report, rows, drained, used, server)
        if answers:
            print_answers(answers)
        if given.alternate:
            print_ratios(plan, report)
        else:
            print_recovery(plan, seconds_of(csv))
        good = verify(server, report)
        if given.picture:
            picture(given, rows, seconds_of(csv))
        return good
    finally:
        server.stop()


def print_report(plan, report, rows, drained, used, server):
    print("| requests/s | seconds | analysts | asked, spans/s | accepted, spans/s | refused | p50 ms | p99 ms | p99.9 ms | max ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (rate, lasts, _, asking), row in zip(plan, report["steps"]):
        latency = row["latency_ms"]
        print(f"| {rate} | {lasts:g} | {'asking' if asking else '-'} | {row['asked'] / lasts:,.0f} | {row['accepted'] / row['seconds']:,.0f} "
              f"| {row['refused']:,} | {latency['p50']:.1f} | {latency['p99']:.1f} | {latency['p99.9']:.1f} | {latency['max']:.0f} |")
    totals = report["totals"]
    took = f"{drained:.0f} s" if drained is not None else "not done in time"
    print(f"\nsent {totals['sent']:,} · accepted {totals['accepted']:,} ({totals['accepted_later']:,} after a refusal) "
          f"· rejected {totals['rejected']:,} · refused {totals['refused']:,} · failed {totals['failed']:,} "
          f"· due but not sent {report['unsent']:,}\n"
          f"all in files {took} after the end · peak resident memory {server.peak_rss():,.0f} MiB "
          f"(of which rows that only questions and merges still had: {max(row['pinned'] for row in rows) / 2**20:,.0f} MiB at most) "
          f"· largest log {max(row['wal'] for row in rows) / 2**20:,.0f} MiB\n"
          f"{totals['accepted'] / max(used, 0.01):,.0f} spans per server-CPU-second, flush and queries included · generator "
          f"{report['cpu_seconds'] * 1e6 / max(1, totals['sent']):.2f} µs a span · ledger "
          f"{'held at every sample' if all(row['balanced'] for row in rows) else 'DID NOT HOLD at every sample'}")
    for reason, count in report["reasons"].items():
        print(f"{count} × {reason}")


def print_ratios(plan, report):
    """Export p99 with analysts over p99 without, by step."""
    print("\n| requests/s | p99 without, ms | p99 with, ms | ratio |\n|---|---|---|---|")
    for number in sorted({phase[2] for phase in plan}):
        of_step = [(phase, row["latency_ms"]["p99"]) for phase, row in zip(plan, report["steps"]) if phase[2] == number]
        rest = [p99 for phase, p99 in of_step if not phase[3]]
        asking = [p99 for phase, p99 in of_step if phase[3]]
        if rest and asking:
            without, with_them = statistics.median(rest), statistics.median(asking)
            print(f"| {of_step[0][0][0]} | {without:.1f} | {with_them:.1f} | {with_them / without:.2f} |")


# Seconds in a row, and times the plateau's level, that count as being back at it.
BACK = (3, 1.5)


def recovery(seconds):
    """Of a step, by the p99 of each second: the plateau (median of its second half), the worst second, and how many seconds
    pass until p99 stays near the plateau's for a while; None when it does not come back."""
    in_a_row, times = BACK
    plateau = statistics.median(seconds[len(seconds) // 2:])
    near = [p99 <= times * plateau for p99 in seconds]
    back = (at for at in range(len(near)) if len(near[at:at + in_a_row]) == in_a_row and all(near[at:at + in_a_row]))
    return plateau, max(seconds), next(back, None)


def print_recovery(plan, lines):
    print("\n| requests/s | p99 of a second on the plateau, ms | in the worst second, ms | back at the plateau's level after, s |\n|---|---|---|---|")
    began = 0
    for rate, lasts, _, _ in plan:
        seconds = [line["p99_ms"] for line in lines if began <= line["second"] < began + lasts and line["accepted"]]
        began += lasts
        if seconds:
            plateau, worst, back = recovery(seconds)
            print(f"| {rate} | {plateau:.1f} | {worst:.0f} | {'not' if back is None else back} |")


def picture(given, rows, lines):
    at, second = [row["at"] for row in rows], [line["second"] for line in lines]
    stored = [(b["stored"] - a["stored"]) / max(0.1, b["at"] - a["at"]) / 1e3 for a, b in zip(rows, rows[1:])]
    rate = {"due": (second, [line["asked"] / 1e3 for line in lines]), "stored": (at[1:], stored)}
    if any(line["refusals"] for line in lines):
        rate["answers that refuse (number)"] = (second, [line["refusals"] for line in lines])
    draw(given.picture, f"step {given.step}, {given.analysts} analysts", [
        ("thousand spans/s", rate, False),
        ("export latency, ms,\nby when it was due", latencies(lines), True),
        ("resident, MiB", {"resident": (at, [row["rss"] / 2**20 for row in rows])}, False),
        ("backlog, MiB", {"log": (at, [row["wal"] / 2**20 for row in rows]),
                          "rows in memory": (at, [row["memory_bytes"] / 2**20 for row in rows])}, False),
        ("files", {"files": (at, [row["files"] for row in rows])}, False),
    ])


if __name__ == "__main__":
    measure(parse(), run)
