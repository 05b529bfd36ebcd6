"""Trouble with what protobuf carries: text, ids, times, numbers, and attributes that are huge, many or deep."""

from .case import Folder, attributes, cell, marked_bytes, marked_double, quoted, replaced
from .otlp import *
from .squeeze import zstd
from .wire import *

INF, NAN = float("inf"), float("nan")
LAST = (1 << 63) - 1


def broken_text():
    folder = Folder("broken-text", "Text that is not UTF-8 becomes U+FFFD, with an anomaly on the row.")
    says = ["1 span kept", "UTF-8"]

    def kept(name, field, changes, **more):
        expected = {"says": says, "anomalies": "invalid_utf8", **more}
        folder.kept(name, among_spans(span(field)), changes, **expected)

    broken = {
        "ff": b"a\xffb",
        "lone-continuation": b"a\x80b",
        "overlong-slash": b"a\xc0\xafb",
        "overlong-three-bytes": b"a\xe0\x80\xafb",
        "surrogate": b"a\xed\xa0\x80b",
        "beyond-unicode": b"a\xf4\x90\x80\x80b",
        "cut-two-of-three": b"a\xe2\x82",
        "cut-three-of-four": b"a\xf0\x9f\xa6",
        "cut-then-ascii": b"\xe2\x82b",
        "latin-1": "naïve café".encode("latin-1"),
        "utf-16": "odd".encode("utf-16-le") + b"\xff\xd8",
        "nothing-but-ff": b"\xff" * 40,
    }
    for name, raw in broken.items():
        kept(f"name-{name}", blob(5, raw), {"name": replaced(raw)})
    raw, fixed = b"x\xff\xe2\x28", replaced(b"x\xff\xe2\x28")
    kept("trace-state", blob(3, raw), {"trace_state": fixed})
    kept("status-message", blob(15, blob(2, raw)), {"status_message": fixed})
    kept("attribute-key", blob(9, blob(1, raw), blob(2, integer(1))), {"attributes": attributes(**{fixed: "1"})})
    kept("attribute-value", attribute("k", text(raw)), {"attributes": attributes(k=quoted(fixed))})
    kept("attribute-in-column", attribute("url.path", text(raw)), {"url_path": fixed})
    nested = attribute("k", array(text(raw), kvlist(pair("x", text(raw)))))
    kept("nested-attribute", nested, {"attributes": attributes(k=f"[{quoted(fixed)},{attributes(x=quoted(fixed))}]")})
    quotes = b'"\xff\\\n'
    kept("beside-escapes", attribute("k", text(quotes)), {"attributes": attributes(k=quoted(replaced(quotes)))})
    event = {"time_unix_nano": TIME, "name": fixed, "dropped_attributes_count": 0}
    kept("event-name", blob(11, fixed64(1, TIME), blob(2, raw)), {"events": [event]})
    event = {**event, "name": "e", "attributes": attributes(k=quoted(fixed))}
    kept("event-attribute", blob(11, fixed64(1, TIME), blob(2, "e"), blob(3, pair("k", text(raw)))), {"events": [event]})
    link = {"trace_id": TRACE.hex(), "span_id": SPAN.hex(), "dropped_attributes_count": 0, "flags": 0}
    kept("link-trace-state", blob(13, blob(1, TRACE), blob(2, SPAN), blob(3, raw)), {"links": [{**link, "trace_state": fixed}]})
    # What is wrong with a resource or scope is told, but marks no row.
    told, both = ["resource or scope", "UTF-8"], ["before", "after"]
    rows = [{"like": row, "resource_attributes": attributes(**{"service.name": quoted(fixed)})} for row in both]
    rows = [{**row, "service_name": fixed} for row in rows]
    folder.add("service-name", among_spans(resource=blob(1, pair("service.name", text(raw)))), says=told, rows=rows)
    rows = [{"like": row, "scope_name": fixed} for row in both]
    folder.add("scope-name", among_spans(scope=blob(1, raw)), says=told, rows=rows)
    rows = [{"like": row, "resource_schema_url": fixed} for row in both]
    folder.add("schema-url", among_spans(more=blob(3, raw)), says=told, rows=rows)
    says = ["1 log record kept", "UTF-8"]
    for name, field, column in (("severity-text", 3, "severity_text"), ("event-name", 12, "event_name")):
        odd = among_records(record(blob(field, raw), body=text("odd")))
        folder.kept(f"record-{name}", odd, {column: fixed}, says=says, anomalies="invalid_utf8", signal="logs")
    odd = among_records(record(body=text(raw)))
    folder.kept("record-body", odd, {"body": fixed}, says=says, anomalies="invalid_utf8", signal="logs")
    odd = among_records(record(body=array(text(raw))))
    changes = {"body": f"[{quoted(fixed)}]", "body_type": "json"}
    folder.kept("record-body-array", odd, changes, says=says, anomalies="invalid_utf8", signal="logs")
    says = ["1 data point kept", "UTF-8"]
    for name, fields, changes in (
        ("metric-name", blob(1, raw) + gauge(point()), {"name": fixed}),
        ("metric-unit", metric("odd", blob(3, raw), gauge(point())), {"unit": fixed}),
        ("metric-description", metric("odd", blob(2, raw), gauge(point())), {"description": fixed}),
        ("point-attribute", metric("odd", gauge(point(blob(7, pair("k", text(raw)))))), {"attributes": attributes(k=quoted(fixed))}),
    ):
        odd = among_metrics(fields)
        folder.kept(name, odd, changes, says=says, anomalies="invalid_utf8", signal="metrics")


def odd_text():
    folder = Folder("odd-text", "Text that is valid and yet surprises: it is kept to the letter.")
    for name, value in {
        "nul": "a\0b",
        "controls": "".join(map(chr, range(0x20))),
        "quotes-and-backslashes": '"\\" \\\\"',
        "line-separators": "a\u2028b\u2029c",
        "noncharacters": "\ufffe\uffff",
        "replacement-character": "\ufffd",
        "bom": "\ufeffodd",
        "right-to-left": "\u202eddo",
        "emoji": "🦀👩‍👩‍👧",
        "combining": "e\u0301" * 20,
        "markup": "<script>alert(1)</script>",
        "sql": "'; DROP TABLE spans; --",
        "path": "../../etc/passwd",
    }.items():
        body = among_spans(span(attribute("k", text(value)), name=value))
        folder.kept(name, body, {"name": value, "attributes": attributes(k=quoted(value))})
    folder.kept("empty-name", among_spans(span(name="")), {"name": ""})
    folder.kept("no-name", among_spans(span(name=None)), {"name": ""})
    folder.kept("empty-key", among_spans(span(attribute("", integer(1)))), {"attributes": '{"":1}'})
    marker = {"attributes": '{"@bytes":"x","m":{"@@bytes":"x"},"n":{"@@double":"NaN"},"o":{"@bytes":1,"p":2}}'}
    fields = attribute("@bytes", text("x")) + attribute("m", kvlist(pair("@bytes", text("x"))))
    fields += attribute("n", kvlist(pair("@double", text("NaN"))))
    fields += attribute("o", kvlist(pair("@bytes", integer(1)), pair("p", integer(2))))
    folder.kept("keys-like-our-markers", among_spans(span(fields)), marker)


def ids():
    folder = Folder("ids", "Ids of the wrong length or all zero: a span needs its own two, everything else may lack one.")
    wrong = {
        "trace-id-absent": ({"trace_id": None}, "trace_id"),
        "trace-id-empty": ({"trace_id": b""}, "trace_id"),
        "trace-id-zero": ({"trace_id": b"\0" * 16}, "trace_id"),
        "trace-id-of-8": ({"trace_id": TRACE[:8]}, "trace_id"),
        "trace-id-of-15": ({"trace_id": TRACE[:15]}, "trace_id"),
        "trace-id-of-17": ({"trace_id": TRACE + b"\1"}, "trace_id"),
        "trace-id-as-hex-text": ({"trace_id": TRACE.hex()}, "trace_id"),
        "span-id-absent": ({"span_id": None}, "span_id"),
        "span-id-empty": ({"span_id": b""}, "span_id"),
        "span-id-zero": ({"span_id": b"\0" * 8}, "span_id"),
        "span-id-of-7": ({"span_id": SPAN[:7]}, "span_id"),
        "span-id-of-9": ({"span_id": SPAN + b"\1"}, "span_id"),
        "span-id-of-16": ({"span_id": TRACE}, "span_id"),
        "both-absent": ({"trace_id": None, "span_id": None}, "trace_id"),
    }
    for name, (fields, word) in wrong.items():
        folder.lost(name, among_spans(span(**fields)), ["1 span rejected", word])
    three = [span(trace_id=b"\1"), span(span_id=b"\1"), span(trace_id=None)]
    folder.lost("three-bad-spans", among_spans(*three), ["2 spans rejected", "trace_id", "1 span rejected", "span_id"], rejected=3)
    says = ["1 span rejected", "trace_id"]
    folder.add("nothing-but-a-bad-span", request(span(trace_id=None)), rejected=1, says=says)
    folder.kept("one-bit-set", among_spans(span(trace_id=b"\0" * 15 + b"\1", span_id=b"\x80" + b"\0" * 7)), {"trace_id": "00" * 15 + "01", "span_id": "80" + "00" * 7})
    folder.kept("parent-empty", among_spans(span(blob(4, b""))))
    folder.kept("parent-zero", among_spans(span(blob(4, b"\0" * 8))))
    folder.kept("parent-is-itself", among_spans(span(blob(4, SPAN))), {"parent_span_id": SPAN.hex()})
    for length in (1, 7, 9, 16):
        says = ["1 span kept", "parent_span_id"]
        odd = among_spans(span(blob(4, b"\5" * length)))
        folder.kept(f"parent-of-{length}", odd, says=says, anomalies="bad_parent_id")
    same = span(name="other")
    folder.add("the-same-ids-twice", request(span(), same), rows=["odd", {"like": "odd", "name": "other"}])
    folder.add("the-same-span-twice", request(span(), span()), rows=["odd", "odd"])
    base = {"dropped_attributes_count": 0, "flags": 0}
    for name, fields, kept in (
        ("link-without-ids", b"", {}),
        ("link-zero-trace-id", blob(1, b"\0" * 16) + blob(2, SPAN), {"span_id": SPAN.hex()}),
        ("link-zero-span-id", blob(1, TRACE) + blob(2, b"\0" * 8), {"trace_id": TRACE.hex()}),
        ("link-short-ids", blob(1, TRACE[:4]) + blob(2, SPAN[:4]), {}),
    ):
        odd = among_spans(span(blob(13, fields)))
        folder.kept(name, odd, {"links": [{**base, **kept}]}, says=["1 span kept", "link"], anomalies="bad_link_id")
    for name, fields, kept, anomalies in (
        ("record-zero-ids", blob(9, b"\0" * 16) + blob(10, b"\0" * 8), {}, None),
        ("record-trace-id-only", blob(9, TRACE), {"trace_id": TRACE.hex()}, None),
        ("record-short-trace-id", blob(9, TRACE[:15]) + blob(10, SPAN), {"span_id": SPAN.hex()}, "bad_trace_id"),
        ("record-long-span-id", blob(9, TRACE) + blob(10, TRACE), {"trace_id": TRACE.hex()}, "bad_span_id"),
        ("record-both-wrong", blob(9, b"x") + blob(10, b"y"), {}, "bad_trace_id,bad_span_id"),
    ):
        odd = among_records(record(fields, body=text("odd")))
        says = ["1 log record kept"] if anomalies else []
        folder.kept(name, odd, kept, says=says, anomalies=anomalies, signal="logs")
    exemplar = {"time_unix_nano": TIME, "value": 2.5}
    fields = fixed64(2, TIME) + double(3, 2.5)
    for name, wrong_ids, kept, anomalies in (
        ("exemplar-zero-ids", blob(4, b"\0" * 8) + blob(5, b"\0" * 16), {}, None),
        ("exemplar-short-ids", blob(4, b"\1" * 5) + blob(5, b"\1" * 5), {}, "bad_trace_id,bad_span_id"),
        ("exemplar-swapped-ids", blob(4, TRACE) + blob(5, SPAN), {}, "bad_trace_id,bad_span_id"),
    ):
        odd = among_metrics(metric("odd", gauge(point(blob(5, fields, wrong_ids)))))
        says = ["1 data point kept"] if anomalies else []
        folder.kept(name, odd, {"exemplars": [{**exemplar, **kept}]}, says=says, anomalies=anomalies, signal="metrics")


def times():
    folder = Folder("times", "Times at 0, far off, beyond the columns, and ends before their starts.")

    def kept(name, start, end, **expected):
        changes = {"start_time_unix_nano": start, "end_time_unix_nano": end, "duration_ns": max(end - start, 0)}
        folder.kept(name, among_spans(span(start=start, end=end)), changes, **expected)

    inverted = {"says": ["1 span kept", "end is before the start"], "anomalies": "time_inverted"}
    kept("both-zero", 0, 0)
    kept("start-zero", 0, TIME)
    kept("end-equals-start", TIME, TIME)
    kept("one-nanosecond", 1, 2)
    kept("the-year-2262", LAST - 1, LAST)
    kept("from-zero-to-the-last", 0, LAST)
    kept("end-zero", TIME, 0, **inverted)
    kept("end-one-before", TIME, TIME - 1, **inverted)
    kept("end-far-before", LAST, 1, **inverted)
    too_late = ["1 span rejected", "time"]
    for name, start, end in (
        ("start-one-beyond", LAST + 1, TIME),
        ("end-one-beyond", TIME, LAST + 1),
        ("start-most", (1 << 64) - 1, TIME),
        ("end-most", TIME, (1 << 64) - 1),
        ("both-most", (1 << 64) - 1, (1 << 64) - 1),
    ):
        folder.lost(name, among_spans(span(start=start, end=end)), too_late)
    none = {"start_time_unix_nano": 0, "end_time_unix_nano": 0, "duration_ns": 0}
    folder.kept("absent", among_spans(blob(1, TRACE) + blob(2, SPAN) + blob(5, "odd")), none)
    event = {"time_unix_nano": LAST, "name": "", "dropped_attributes_count": 0}
    odd = among_spans(span(blob(11, fixed64(1, LAST + 1))))
    folder.kept("event-one-beyond", odd, {"events": [event]}, says=["1 span kept", "int64"], anomalies="saturated")
    odd = among_spans(span(blob(11, fixed64(1, 0)), blob(11, fixed64(1, 1))))
    events = [{**event, "time_unix_nano": 0}, {**event, "time_unix_nano": 1}]
    folder.kept("events-before-the-span", odd, {"events": events})
    record_late = ["1 log record rejected", "time"]
    folder.kept("record-zero", among_records(record(time=0, body=text("odd"))), {"time_unix_nano": 0}, signal="logs")
    odd = record(fixed64(11, TIME), time=0, body=text("odd"))
    changes = {"time_unix_nano": 0, "observed_time_unix_nano": TIME}
    folder.kept("record-only-observed", among_records(odd), changes, signal="logs")
    folder.kept("record-last", among_records(record(time=LAST, body=text("odd"))), {"time_unix_nano": LAST}, signal="logs")
    folder.lost("record-beyond", among_records(record(time=LAST + 1)), record_late, signal="logs")
    folder.lost("record-observed-beyond", among_records(record(fixed64(11, LAST + 1))), record_late, signal="logs")
    point_late = ["1 data point rejected", "time"]
    for name, fields, changes in (
        ("point-zero", point(time=0), {"time_unix_nano": 0}),
        ("point-start-equals-time", point(fixed64(2, TIME)), {"start_time_unix_nano": TIME}),
        ("point-start-after-time", point(fixed64(2, TIME + 5)), {"start_time_unix_nano": TIME + 5}),
        ("point-last", point(time=LAST), {"time_unix_nano": LAST}),
    ):
        folder.kept(name, among_metrics(metric("odd", gauge(fields))), changes, signal="metrics")
    folder.lost("point-beyond", among_metrics(metric("odd", gauge(point(time=LAST + 1)))), point_late, signal="metrics")
    odd = among_metrics(metric("odd", sum_(point(fixed64(2, 1 << 63)))))
    folder.lost("point-start-beyond", odd, point_late, signal="metrics")
    mixed = metric("odd", gauge(point(), point(time=LAST + 1), point()))
    folder.add("one-of-three-points-beyond", among_metrics(mixed), rejected=1, says=point_late, rows=["before", "odd", "odd", "after"], signal="metrics")


def numbers():
    folder = Folder("numbers", "NaN, the infinities, and doubles at their edges.")
    for name, value, stored in (
        ("nan", NAN, marked_double("NaN")),
        ("infinity", INF, marked_double("Infinity")),
        ("minus-infinity", -INF, marked_double("-Infinity")),
        ("minus-zero", -0.0, "-0.0"),
        ("whole", 200.0, "200.0"),
        ("half", 0.5, "0.5"),
    ):
        folder.kept(f"attribute-{name}", among_spans(span(attribute("k", number(value)))), {"attributes": attributes(k=stored)})
        odd = metric("odd", gauge(point(double(4, value), value=None)))
        folder.kept(f"gauge-{name}", among_metrics(odd), {"value": cell(value), "value_int": None}, signal="metrics")
    raw = blob(9, blob(1, "k"), blob(2, fixed64(4, 0xFFF8_0000_DEAD_BEEF)))
    folder.kept("nan-with-a-payload", among_spans(span(raw)), {"attributes": attributes(k=marked_double("NaN"))})
    for name, value in (("least", 5e-324), ("most", 1.7976931348623157e308)):
        odd = metric("odd", gauge(point(double(4, value), value=None)))
        folder.kept(f"gauge-{name}", among_metrics(odd), {"value": value, "value_int": None}, signal="metrics")
    for name, value in (("most", LAST), ("least", -LAST - 1), ("zero", 0)):
        odd = metric("odd", gauge(point(value=value)))
        folder.kept(f"int-{name}", among_metrics(odd), {"value": float(value), "value_int": value}, signal="metrics")
    kinds = attribute("a", boolean(0)) + attribute("b", octets(b"\0\xff")) + attribute("c", b"")
    expected = '{"a":false,"b":' + marked_bytes(b"\0\xff") + ',"c":null}'
    folder.kept("bool-bytes-and-nothing", among_spans(span(kinds)), {"attributes": expected})
    odd = among_spans(span(uint(6, 99), blob(15, uint(3, -1))))
    folder.kept("unknown-enums", odd, says=["1 span kept", "enum"], anomalies="unknown_enum")
    odd = among_records(record(uint(2, 25), body=text("odd")))
    expected = {"says": ["1 log record kept", "enum"], "anomalies": "unknown_enum", "signal": "logs"}
    folder.kept("severity-25", odd, {"severity_number": 25}, **expected)
    odd = among_records(record(uint(2, -7), body=text("odd")))
    folder.kept("severity-minus-7", odd, {"severity_number": -7}, **expected)
    odd = among_spans(span(fixed32(16, 0xFFFF_FFFF)))
    folder.kept("flags-all-ones", odd, {"flags": 4294967295})


CUT = ["1 span kept", "cut"]
MOST = 65_536


def huge_attributes():
    folder = Folder("huge-attributes", "Values beyond 64 KiB are cut between two characters; the rest of the row stays.")

    def kept(name, before, run, after, changes, **expected):
        """The odd span's message is `before`, a run of one byte, `after`; the body is a zstd frame of few bytes."""
        odd = before + run[0] * run[1] + after
        whole = request(SPAN_BEFORE, odd, SPAN_AFTER)
        at = whole.index(run[0] * run[1])
        body = zstd(whole[:at], run, whole[at + run[1] :])
        folder.kept(name, body, changes, encoding="zstd", **expected)

    def long_text(key, size, more=b""):
        """A span up to where the value's text begins."""
        value = tag(1, DELIMITED) + varint(size + len(more))
        any_value = tag(2, DELIMITED) + varint(len(value) + size + len(more)) + value
        key_field = blob(1, key)
        return span() + tag(9, DELIMITED) + varint(len(key_field) + len(any_value) + size + len(more)) + key_field + any_value

    told = {"says": CUT, "anomalies": "truncated"}
    kept("exactly-64-kib", long_text("k", MOST), (b"a", MOST), b"", {"attributes": attributes(k=quoted("a" * MOST))})
    kept("one-byte-more", long_text("k", MOST + 1), (b"a", MOST + 1), b"", {"attributes": attributes(k=quoted("a" * MOST))}, **told)
    kept("half-a-mebibyte", long_text("k", 1 << 19), (b"a", 1 << 19), b"", {"attributes": attributes(k=quoted("a" * MOST))}, **told)
    euro = "€".encode()
    kept("cut-before-a-character", long_text("k", MOST - 1, euro), (b"a", MOST - 1), euro, {"attributes": attributes(k=quoted("a" * (MOST - 1)))}, **told)
    kept("in-a-column", long_text("db.query.text", 70_000), (b"q", 70_000), b"", {"db_query_text": "q" * MOST}, **told)
    neighbour = attribute("short", integer(1))
    kept("others-stay", long_text("k", 70_000), (b"a", 70_000), neighbour, {"attributes": attributes(k=quoted("a" * MOST), short="1")}, **told)
    name = blob(1, TRACE) + blob(2, SPAN) + fixed64(7, TIME) + fixed64(8, TIME + 1000)
    kept("name-of-100-kb", name + tag(5, DELIMITED) + varint(100_000), (b"n", 100_000), b"", {"name": "n" * 100_000})
    inner = tag(7, DELIMITED) + varint(70_000)
    head = blob(1, "k") + tag(2, DELIMITED) + varint(len(inner) + 70_000) + inner
    octets_field = span() + tag(9, DELIMITED) + varint(len(head) + 70_000) + head
    kept("bytes", octets_field, (b"\0", 70_000), b"", {"attributes": attributes(k=marked_bytes(b"\0" * MOST))}, **told)
    ok = pair("ok", integer(1))
    whole = request(RECORD_BEFORE, record(body=text("b" * 100_000)), RECORD_AFTER)
    at = whole.index(b"b" * 100_000)
    body = zstd(whole[:at], (b"b", 100_000), whole[at + 100_000 :])
    folder.kept("record-body-of-100-kb", body, {"body": "b" * 100_000}, encoding="zstd", signal="logs")
    whole = among_spans(resource=RESOURCE + blob(1, pair("k", text("r" * 70_000))) + blob(1, ok))
    at = whole.index(b"r" * 70_000)
    body = zstd(whole[:at], (b"r", 70_000), whole[at + 70_000 :])
    stored = attributes(**{"service.name": '"shop"', "k": quoted("r" * MOST), "ok": "1"})
    rows = [{"like": row, "resource_attributes": stored} for row in ("before", "after")]
    folder.add("in-the-resource", body, encoding="zstd", says=["resource or scope", "cut"], rows=rows)
    # An array ends after the element that takes its text beyond 64 KiB: after 16,384 times `null,`, 1 + 5 * 13,108.
    nulls = blob(9, blob(1, "k"), blob(2, blob(5, b"\x0a\x00" * 20_000)))
    element = 1 + (MOST - 1) // 5
    folder.kept("array-of-20000-nulls", among_spans(span(nulls)), {"attributes": attributes(k="[" + "null," * (element - 1) + "null]")}, **told)


def many_attributes():
    folder = Folder("many-attributes", "Beyond 1,024 attributes the rest is dropped and counted.")

    def named(count):
        return [pair(f"k{at}", integer(at)) for at in range(count)]

    def stored(count):
        return attributes(**{f"k{at}": str(at) for at in range(count)})

    told = {"says": CUT, "anomalies": "truncated"}
    for count in (1024, 1025, 10_000):
        odd = among_spans(span(b"".join(blob(9, inner) for inner in named(count))))
        lost = {"dropped_attributes_count": count - 1024} if count > 1024 else {}
        folder.kept(f"span-{count}", odd, {"attributes": stored(1024), **lost}, **(told if lost else {}))
    odd = among_spans(span(b"".join(blob(9, inner) for inner in named(1026)), uint(10, 40)))
    folder.kept("added-to-the-sender-s-count", odd, {"attributes": stored(1024), "dropped_attributes_count": 42}, **told)
    event = blob(11, fixed64(1, TIME), *(blob(3, inner) for inner in named(1030)))
    expected = {"time_unix_nano": TIME, "name": "", "attributes": stored(1024), "dropped_attributes_count": 6}
    folder.kept("event-1030", among_spans(span(event)), {"events": [expected]}, **told)
    link = blob(13, blob(1, TRACE), blob(2, SPAN), *(blob(4, inner) for inner in named(1030)))
    expected = {"trace_id": TRACE.hex(), "span_id": SPAN.hex(), "attributes": stored(1024), "dropped_attributes_count": 6, "flags": 0}
    folder.kept("link-1030", among_spans(span(link)), {"links": [expected]}, **told)
    folder.kept("kvlist-1100", among_spans(span(attribute("m", kvlist(*named(1100))))), {"attributes": attributes(m=stored(1024))}, **told)
    odd = among_records(record(*(blob(6, inner) for inner in named(1025)), body=text("odd")))
    said = {"says": ["1 log record kept", "cut"], "anomalies": "truncated", "signal": "logs"}
    folder.kept("record-1025", odd, {"attributes": stored(1024), "dropped_attributes_count": 1}, **said)
    odd = among_metrics(metric("odd", gauge(point(*(blob(7, inner) for inner in named(1025))))))
    said = {"says": ["1 data point kept", "cut"], "anomalies": "truncated", "signal": "metrics"}
    folder.kept("point-1025", odd, {"attributes": stored(1024)}, **said)
    body = among_spans(resource=b"".join(blob(1, inner) for inner in named(1025)))
    changes = {"service_name": "unknown_service", "resource_attributes": stored(1024), "resource_dropped_attributes_count": 1}
    rows = [{"like": row, **changes} for row in ("before", "after")]
    folder.add("resource-1025", body, says=["resource or scope", "cut"], rows=rows)
    body = among_spans(scope=SCOPE + b"".join(blob(3, inner) for inner in named(1025)))
    changes = {"scope_attributes": stored(1024), "scope_dropped_attributes_count": 1}
    rows = [{"like": row, **changes} for row in ("before", "after")]
    folder.add("scope-1025", body, says=["resource or scope", "cut"], rows=rows)
    events = b"".join(blob(11, fixed64(1, TIME)) for _ in range(4097))
    kept = {"time_unix_nano": TIME, "name": "", "dropped_attributes_count": 0}
    folder.kept("events-4097", among_spans(span(events)), {"events": {"times": 4096, "of": kept}, "dropped_events_count": 1}, **told)
    links = b"".join(blob(13, blob(1, TRACE), blob(2, SPAN)) for _ in range(4098))
    kept = {"trace_id": TRACE.hex(), "span_id": SPAN.hex(), "dropped_attributes_count": 0, "flags": 0}
    folder.kept("links-4098", among_spans(span(links, uint(14, 3))), {"links": {"times": 4096, "of": kept}, "dropped_links_count": 5}, **told)


def nesting():
    folder = Folder("nesting", "Arrays and kvlists are kept to 64 levels; what lies deeper stays encoded.")

    def arrays(levels, inner):
        for _ in range(levels):
            inner = array(inner)
        return inner

    def kvlists(levels, inner):
        for _ in range(levels):
            inner = kvlist(pair("x", inner))
        return inner

    def mixed(levels, inner):
        for level in range(levels):
            inner = array(inner) if level % 2 else kvlist(pair("x", inner))
        return inner

    told = {"says": ["1 span kept", "nested too deep"], "anomalies": "deep_nesting"}
    kinds = {"arrays": (arrays, "[", "]"), "kvlists": (kvlists, '{"x":', "}")}
    for name, (make, opening, closing) in kinds.items():
        for levels in (31, 63, 64):
            odd = among_spans(span(attribute("k", make(levels, integer(7)))))
            folder.kept(f"{name}-{levels}", odd, {"attributes": attributes(k=opening * levels + "7" + closing * levels)})
        for levels in (65, 66, 100):
            odd = among_spans(span(attribute("k", make(levels, integer(7)))))
            inner = marked_bytes(make(levels - 64, integer(7)))
            folder.kept(f"{name}-{levels}", odd, {"attributes": attributes(k=opening * 64 + inner + closing * 64)}, **told)
    odd = among_spans(span(attribute("k", mixed(64, integer(7)))))
    folder.kept("mixed-64", odd, {"attributes": attributes(k='[{"x":' * 32 + "7" + "}]" * 32)})
    odd = among_spans(span(attribute("k", mixed(66, integer(7)))))
    inner = marked_bytes(mixed(2, integer(7)))
    folder.kept("mixed-66", odd, {"attributes": attributes(k='[{"x":' * 32 + inner + "}]" * 32)}, **told)
    for levels in (1000, 10_000):
        odd = among_spans(span(attribute("k", arrays(levels, integer(7)))))
        deep = arrays(levels - 64, integer(7))
        stored = attributes(k="[" * 64 + marked_bytes(deep[:MOST]) + "]" * 64)
        both = {**told, "anomalies": "truncated,deep_nesting"} if len(deep) > MOST else told
        folder.kept(f"arrays-{levels}", odd, {"attributes": stored}, **both)
    odd = among_records(record(body=arrays(65, text("x"))))
    body = "[" * 64 + marked_bytes(array(text("x"))) + "]" * 64
    said = {"says": ["1 log record kept", "nested too deep"], "anomalies": "deep_nesting", "signal": "logs"}
    folder.kept("record-body-65", odd, {"body": body, "body_type": "json"}, **said)
    body = among_spans(resource=RESOURCE + blob(1, pair("k", arrays(65, integer(7)))))
    stored = attributes(**{"service.name": '"shop"', "k": "[" * 64 + marked_bytes(array(integer(7))) + "]" * 64})
    rows = [{"like": row, "resource_attributes": stored} for row in ("before", "after")]
    folder.add("resource-65", body, says=["resource or scope", "nested too deep"], rows=rows)
    empty = among_spans(span(attribute("a", array()), attribute("m", kvlist()), attribute("n", array(array(), b""))))
    folder.kept("empty-arrays-and-kvlists", empty, {"attributes": '{"a":[],"m":{},"n":[[],null]}'})


def add_all():
    broken_text()
    odd_text()
    ids()
    times()
    numbers()
    huge_attributes()
    many_attributes()
    nesting()
