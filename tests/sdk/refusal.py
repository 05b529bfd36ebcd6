#!/usr/bin/env python3
"""Real exporters against a hotspan that refuses, and one that dies: everything is there in the end, and once.

    tests/sdk/refusal.py --hotspan target/debug/hotspan
    tests/sdk/refusal.py --hotspan target/debug/hotspan --long      # also until SDKs give up
    tests/sdk/refusal.py --hotspan target/debug/hotspan --only collector

Each case has a hotspan of its own. It is made to refuse (refusing.py), until it has refused and, through a Collector,
until that one holds all spans; then it takes exports again. Nothing waits for a time, only for what happened.

What is right of a Collector: it drops nothing. What is right of an SDK stands in `RESENDS`: either it sends again, or
it says that it dropped what is missing. Only the standard library is needed here.
"""

import argparse
import concurrent.futures
import contextlib
import os
import sys
import tempfile
import time

import compare
from languages import COLLECTOR, LANGUAGES, Skip
from otelcol import ASKED_TO_WAIT, DROPPED, RETRIED, Collector
from refusing import FullBudget, FullLog, LowDisk
from run import Tally
from sending import Sender
from server import SqlError, Started, StartError
from waiting import Wrong, until

# Whether an SDK sends an export again that was refused with UNAVAILABLE or 503. JavaScript's over gRPC does not: its
# transport calls every error final (grpc-exporter-transport.js of 0.223.0).
RESENDS = {
    ("python", "grpc"): True,
    ("python", "http/protobuf"): True,
    ("node", "grpc"): False,
    ("node", "http/protobuf"): True,
    ("node", "http/json"): True,
    ("go", "grpc"): True,
    ("go", "http/protobuf"): True,
    ("java", "grpc"): True,
    ("java", "http/protobuf"): True,
}

SPANS_A_TRACE = 10
# Of an SDK alone: two exports of up to 512 spans, most of a megabyte each.
TRACES = 100
# Through a Collector: more exports than it sends at the same time, which are ten.
TRACES_COLLECTED = 1_000
WORKERS = 5
DEADLINE_S = 120


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hotspan", required=True, metavar="BINARY")
    parser.add_argument("--long", action="store_true", help="also refuse until the SDKs give up, and kill beside each")
    parser.add_argument("--only", metavar="TEXT", help="only the cases with this text in their names")
    parser.add_argument("--deadline", type=float, default=60, metavar="S", help="to wait for a start (default 60)")
    arguments = parser.parse_args()
    tally, folders = Tally(), installed()
    chosen = [case for case in cases(arguments.long) if (arguments.only or "") in case[0]]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        begun = {pool.submit(outcome, folders, arguments, *case): case[0] for case in chosen}
        for done in concurrent.futures.as_completed(begun):
            name, (method, said) = begun[done], done.result()
            getattr(tally, method)(name, said)
    sys.exit(tally.close())


def installed():
    """The folder of each sender and of the Collector, or why there is none. One after the other: builds are large."""
    folders = {}
    for language in [*LANGUAGES, COLLECTOR]:
        try:
            folders[language.name] = language.install()
        except Skip as skip:
            folders[language.name] = skip
    return folders


def cases(long):
    """Names, and the functions with their arguments. What takes longest comes first."""
    for protocol in ("grpc", "http/protobuf"):
        yield f"collector {protocol}, killed before it answers", collector_and_crash, protocol, "append.visible:3"
        yield f"collector {protocol}, refused for want of memory", collector_and_refusal, protocol, FullBudget
    yield "collector grpc, killed at any time", collector_and_crash, "grpc", None
    yield "collector grpc, refused for want of disk", collector_and_refusal, "grpc", LowDisk
    yield "collector grpc, refused for want of room in the log", collector_and_refusal, "grpc", FullLog
    for language, protocol in RESENDS:
        yield f"{language} {protocol}, refused for want of memory", sdk_and_refusal, language, protocol, FullBudget
    if long:
        for language, protocol in RESENDS:
            yield f"{language} {protocol}, refused for want of disk", sdk_and_refusal, language, protocol, LowDisk
            yield f"{language} {protocol}, refused for want of room in the log", sdk_and_refusal, language, protocol, FullLog
            yield f"{language} {protocol}, refused for good", sdk_and_refusal_for_good, language, protocol
            yield f"{language} {protocol}, killed before it answers", sdk_and_crash, language, protocol


def outcome(folders, arguments, name, case, *rest):
    """`passed`, `failed` or `skipped`, and what there is to say."""
    started = time.monotonic()
    try:
        said = case(folders, arguments, *rest)
        return "passed", f"{said}, {time.monotonic() - started:.1f} s"
    except Skip as skip:
        return "skipped", str(skip)
    except (Wrong, StartError, SqlError, OSError) as wrong:
        return "failed", str(wrong).splitlines()


# Through a Collector


def collector_and_refusal(folders, arguments, protocol, kind):
    """Refused until the Collector holds all spans, and its exports have been refused."""
    with contextlib.closing(kind()) as refusing, Hotspan(arguments, refusing.settings, refusing.data) as hotspan:
        server = hotspan.start()
        refusing.begin(server)
        with collector_to(folders, protocol, server) as collector:
            sent = send_collected(folders, collector)
            until_it_waits(collector, server)
            refusing.end()
            until("the Collector has sent all", DEADLINE_S, lambda: collector.spans("exporter_sent") >= len(sent))
            nothing_dropped(collector, len(sent))
            if not collector.said(ASKED_TO_WAIT):
                raise Wrong(["the Collector was not asked to wait", *collector.said(RETRIED)[:3]])
        everything_once(server, sent)
        for_this_reason(server, refusing.reason)
        count, clean = refused(server), server.stop()
        if clean != 0:
            raise Wrong([f"hotspan ended with {clean}", server.log()])
    return f"{len(sent)} spans, {count} exports refused and sent again, each span there once"


def collector_and_crash(folders, arguments, protocol, point):
    """Ended by SIGKILL, by itself between storing and answering or by us, and started again where it was."""
    refusing = FullBudget()
    with Hotspan(arguments, refusing.settings) as hotspan, contextlib.closing(refusing):
        first = hotspan.start({"HOTSPAN_CRASH_AT": point} if point else {})
        refusing.begin(first)
        with collector_to(folders, protocol, first) as collector:
            sent = send_collected(folders, collector)
            until_it_waits(collector, first)
            refusing.end()
            ended_by_sigkill(first, point, collector, len(sent))
            second = hotspan.start(addresses=first)
            stored = rows_now(second)
            until("the Collector has sent all", DEADLINE_S, lambda: collector.spans("exporter_sent") >= len(sent))
            nothing_dropped(collector, len(sent))
        everything_once(second, sent)
        again = int(second.total("hotspan_ledger_rows", table="spans", account="duplicates"))
        if point and not again:
            raise Wrong(["nothing that was stored was sent again, so that nothing was tested"])
    return f"{len(sent)} spans, {stored} stored at the crash, {again} of them sent again, each there once"


def ended_by_sigkill(server, point, collector, spans):
    """At the crash point; without one as soon as an export was taken. A release build has no crash points."""
    if point:
        until("it dies, or everything went through", DEADLINE_S,
              lambda: server.process.poll() is not None or collector.spans("exporter_sent") >= spans)  # fmt: skip
        if server.process.poll() is None:
            raise Skip("this build has no crash points")
    else:
        taken = {"signal": "traces", "outcome": "accepted"}
        # The export that held the room was one.
        until("an export is taken", DEADLINE_S, lambda: server.total("hotspan_exports_total", **taken) > 1)
        server.process.kill()
    if not server.died(deadline=30):
        raise Wrong(["it did not die by SIGKILL", server.log()])


def collector_to(folders, protocol, server):
    folder = folders[COLLECTOR.name]
    if isinstance(folder, Skip):
        raise folder
    return Collector(folder, protocol, server.otlp_grpc if protocol == "grpc" else server.otlp_http)


def send_collected(folders, collector):
    """The records of what Go's SDK sent to the Collector, which took all of it."""
    with Sender(folders, "go", "grpc", collector, TRACES_COLLECTED) as sender:
        sender.ended()
        if sender.output():
            raise Wrong(["the SDK reported:", *sender.output()[-10:]])
        sent = sender.records()
    until("the Collector has taken all", DEADLINE_S, lambda: collector.spans("receiver_accepted") >= len(sent))
    return sent


def until_it_waits(collector, server):
    """Until every export that it has under way has been refused. None has gone through."""
    until("the Collector's exports are refused", DEADLINE_S, lambda: 0 < collector.under_way() <= refused(server))
    if collector.spans("exporter_sent"):
        raise Wrong(["an export went through while none could"])


def nothing_dropped(collector, spans):
    """By its counters, by its log, and by its having nothing left to say at the end."""
    counted = {what: collector.spans(what) for what in ("receiver_accepted", "exporter_sent")}
    dropped = ("receiver_refused", "receiver_failed", "exporter_send_failed", "exporter_enqueue_failed")
    counted |= {what: collector.spans(what) for what in dropped}
    if counted != {"receiver_accepted": spans, "exporter_sent": spans} | dict.fromkeys(dropped, 0):
        raise Wrong([f"of {spans} spans the Collector counts {counted}", *collector.said(*DROPPED)[:5]])
    if not collector.said(RETRIED):
        raise Wrong(["the Collector did not say that it sent anything again", *collector.log()[-10:]])
    code = collector.stop()
    if code != 0 or collector.said(*DROPPED):
        raise Wrong([f"the Collector ended with {code}", *collector.said(*DROPPED)[:10]])


# From an SDK


def sdk_and_refusal(folders, arguments, language, protocol, kind):
    """Refused once, at least; then there is room."""
    with contextlib.closing(kind()) as refusing, Hotspan(arguments, refusing.settings, refusing.data) as hotspan:
        server = hotspan.start()
        refusing.begin(server)
        with Sender(folders, language, protocol, server, TRACES) as sender:
            until("an export is refused", DEADLINE_S, lambda: refused(server) or sender.gone_early())
            refusing.end()
            sender.ended()
            for_this_reason(server, refusing.reason)
            return judged(server, sender, refused(server), RESENDS[language, protocol])


def sdk_and_refusal_for_good(folders, arguments, language, protocol):
    """Refused until the SDK has given up: then it has to say so."""
    refusing = FullBudget()
    with Hotspan(arguments, refusing.settings) as hotspan, contextlib.closing(refusing):
        server = hotspan.start()
        refusing.begin(server)
        # One export.
        with Sender(folders, language, protocol, server, 500 // SPANS_A_TRACE) as sender:
            sender.ended()
            refusing.end()
            return judged(server, sender, refused(server), resends=False)


def sdk_and_crash(folders, arguments, language, protocol):
    """Killed between storing the first export and answering it. Not every SDK sends again what broke off."""
    with Hotspan(arguments, "") as hotspan:
        first = hotspan.start({"HOTSPAN_CRASH_AT": "append.visible:1"})
        with Sender(folders, language, protocol, first, TRACES) as sender:
            until("it dies, or the sender ends", DEADLINE_S, lambda: first.process.poll() or sender.process.poll() == 0)
            if first.process.poll() is None:
                raise Skip("this build has no crash points")
            second = hotspan.start(addresses=first)
            sender.ended()
            return judged(second, sender, 0, resends=None)


def judged(server, sender, count, resends):
    """Compares what an SDK sent with what is there."""
    sent, gave_up = sender.records(), sender.gave_up()
    rows = server.sql(f"select * from spans where service_name = '{sender.service}'")
    missing, wrong = judgement(sent, rows, len(gave_up), resends)
    if wrong:
        raise Wrong([*wrong, f"{count} exports were refused; the SDK said:", *sender.output()[-10:]])
    given_up = f"{missing} given up by the SDK, which says so" if missing else "each there once"
    return f"{len(sent)} spans, {count} exports refused, {given_up}"


def judgement(sent, rows, gave_up, resends):
    """How many spans are missing, and what is wrong: nothing may be there twice or changed, and what is missing has to
    have been given up by the SDK, which says so, if not for each export (JavaScript's tells the first that fails while
    it shuts down). With `resends` nothing may be missing, without it something has to be; None leaves that open."""
    stored = {row["span_id"] for row in rows}
    there = [record for record in sent if record["span_id"] in stored]
    missing = len(sent) - len(there)
    comparison = compare.Comparison()
    compare.spans(comparison, there, rows)
    wrong = comparison.lines()
    if missing and not gave_up:
        wrong.append(f"{missing} of {len(sent)} spans are missing, and the SDK did not say that it gave anything up")
    if resends and (missing or gave_up):
        wrong.append(f"it sends again what is refused, but {missing} of {len(sent)} spans are missing")
    if resends is False and not missing:
        wrong.append("it gives up what is refused, but everything is there")
    return missing, wrong


# What both need


class Hotspan:
    """A program, its configuration and its data; started once or more often, ended with the context."""

    def __init__(self, arguments, settings, data=None):
        self.arguments = arguments
        self.folder = tempfile.TemporaryDirectory(prefix="hotspan-refusal-")
        self.data = data or os.path.join(self.folder.name, "data")
        self.config = os.path.join(self.folder.name, "hotspan.toml")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(settings)
        self.started = contextlib.ExitStack()

    def start(self, variables=None, addresses=None):
        server = Started(self.arguments.hotspan, self.arguments.deadline, data=self.data, config=self.config,
                         environment=variables, addresses=addresses)  # fmt: skip
        return self.started.enter_context(server)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.started.close()
        self.folder.cleanup()


def refused(server):
    """Exports whose sender was told to come back."""
    return int(server.total("hotspan_exports_total", signal="traces", outcome="refused"))


def for_this_reason(server, reason):
    """That is why they were refused, and nobody was told not to come back."""
    if not server.total("hotspan_exports_failed_total", reason=reason):
        raise Wrong([f"no export was refused with the reason {reason}"])
    if server.total("hotspan_exports_total", outcome="rejected"):
        raise Wrong(["exports were rejected for good"])


def rows_now(server):
    return server.sql("select count(*) as n from spans")[0]["n"]


def everything_once(server, sent):
    """Each span that the SDK wrote down is found exactly once, and no other."""
    until("all rows are found", DEADLINE_S, lambda: rows_now(server) >= len(sent))
    counts = server.sql("select count(*) as n, count(distinct span_id) as ids from spans")[0]
    rows = server.sql("select trace_id, span_id from spans")
    found = {(row["trace_id"], row["span_id"]) for row in rows}
    wanted = {(record["trace_id"], record["span_id"]) for record in sent}
    if counts != {"n": len(sent), "ids": len(sent)} or found != wanted:
        lost, strange = len(wanted - found), len(found - wanted)
        raise Wrong([f"of {len(sent)} spans {counts} are found; {lost} are lost, {strange} were never sent"])


if __name__ == "__main__":
    main()
