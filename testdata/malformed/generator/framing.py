"""Trouble with protobuf itself: what is cut, of the wrong wire type, too long, unknown, or there twice.

Around the rows the framing has to be whole, or nobody can tell where the next row begins: such a request is refused.
What is broken inside a row costs only that row, inside a resource or scope only what could not be read of it.
"""

from .case import Folder, attributes
from .otlp import *
from .wire import *

NOT_OTLP = ["not a valid OTLP request"]
MALFORMED = ["1 span rejected", "not valid protobuf"]
BAD_POINT = ["1 data point rejected", "not valid protobuf"]
BAD_RECORD = ["1 log record rejected", "not valid protobuf"]
UNREADABLE = ["unreadable", "kept"]


def metrics_folder(folder):
    """`lost` and `kept` for a metric or a point between two good ones."""

    def lost(name, odd, says=BAD_POINT, **expected):
        folder.lost(name, among_metrics(odd), says, signal="metrics", **expected)

    return lost


def truncated_around_rows():
    folder = Folder("truncated-around-rows", "The body ends in the middle of what is around the rows.")
    rich = span(attribute("k", text("v")), blob(11, fixed64(1, TIME)), blob(13, blob(1, TRACE)), blob(15, uint(3, 1)))
    whole = among_spans(rich)
    # Where the parts begin, counted by hand: tag and two bytes of length, then the resource, then the scope.
    resource = whole.index(b"service.name")
    scope = whole.index(b"probe")
    before = whole.index(b"before")
    odd = whole.index(b"odd")
    places = {
        "after-first-tag": 1,
        "inside-first-length": 2,
        "after-first-length": 3,
        "inside-resource-key": resource + 4,
        "after-resource-key": resource + 12,
        "inside-resource-value": whole.index(b"shop") + 2,
        "after-resource": scope - 7,
        "inside-scope-name": scope + 2,
        "after-scope-name": scope + 5,
        "after-first-span-tag": scope + 6,
        "inside-first-span-name": before + 3,
        "after-first-span-name": before + 6,
        "inside-odd-span-name": odd + 1,
        "inside-odd-span-time": odd + 7,
        "inside-last-span": len(whole) - 20,
        "last-byte": len(whole) - 1,
    }
    for name, end in places.items():
        folder.refused(f"traces-{name}", whole[:end], NOT_OTLP)
    logs = among_records(record(attribute_of_record("k", text("v")), body=text("odd")))
    metrics = among_metrics(metric("odd", gauge(point())))
    for signal, body in (("logs", logs), ("metrics", metrics)):
        for name, end in {
            "after-first-tag": 1,
            "inside-resource": body.index(b"service.name") + 3,
            "inside-scope": body.index(b"probe") + 1,
            "inside-first-row": body.index(b"before") + 1,
            "last-byte": len(body) - 1,
        }.items():
            folder.refused(f"{signal}-{name}", body[:end], NOT_OTLP, signal=signal)
    folder.refused("traces-second-resource-cut", whole + whole[:40], NOT_OTLP)


def attribute_of_record(key, value):
    return blob(6, pair(key, value))


def truncated_inside_rows():
    folder = Folder("truncated-inside-rows", "A row's bytes end too early, though the lengths around it are right.")
    event = blob(11, fixed64(1, TIME), blob(2, "e"))
    link = blob(13, blob(1, TRACE), blob(2, SPAN))
    cut = {
        "tag-alone": tag(5, DELIMITED),
        "long-tag-cut": b"\x80",
        "id-cut": blob(1, TRACE)[:-4],
        "varint-cut": tag(6, VARINT) + b"\x80",
        "varint-missing": tag(6, VARINT),
        "fixed64-cut": fixed64(7, TIME)[:-3],
        "fixed32-cut": fixed32(16, 1)[:-1],
        "attribute-cut": attribute("k", text("v"))[:-1],
        "attribute-key-cut": blob(9, blob(1, "key")[:-1]),
        "attribute-value-cut": blob(9, blob(1, "k"), blob(2, text("value")[:-2])),
        "int-value-cut": blob(9, blob(1, "k"), blob(2, b"\x18\xff")),
        "array-element-cut": blob(9, blob(1, "k"), blob(2, blob(5, b"\x0a\x05\x18\x01"))),
        "kvlist-entry-cut": blob(9, blob(1, "k"), blob(2, blob(6, b"\x0a\x03\x0a\x05x"))),
        "event-cut": event[:-1],
        "event-inside-cut": blob(11, fixed64(1, TIME)[:-1]),
        "link-cut": link[:-1],
        "link-inside-cut": blob(13, blob(1, TRACE)[:-1]),
        "status-inside-cut": blob(15, b"\x12\x05ab"),
    }
    for name, field in cut.items():
        folder.lost(f"span-{name}", among_spans(span() + field), MALFORMED)
    for name, field in {
        "time-cut": fixed64(1, TIME)[:5],
        "body-cut": blob(5, text("body"))[:-1],
        "body-inside-cut": blob(5, text("body")[:-1]),
        "attribute-cut": blob(6, pair("k", text("v")))[:-2],
        "severity-missing": tag(2, VARINT),
        "flags-cut": fixed32(8, 1)[:-2],
    }.items():
        folder.lost(f"record-{name}", among_records(record() + field), BAD_RECORD, signal="logs")
    lost = metrics_folder(folder)
    lost("point-time-cut", metric("odd", gauge(point() + fixed64(3, TIME)[:-1])))
    lost("point-attribute-cut", metric("odd", gauge(point() + blob(7, pair("k", text("v"))[:-1]))))
    lost("histogram-counts-cut", metric("odd", histogram(histogram_point(packed64(6, 1, 2)[:-3]))))
    lost("exponential-buckets-cut", metric("odd", exponential(exponential_point(blob(8, b"\x12\x02\x80\x80")))))
    lost("summary-quantile-cut", metric("odd", summary(fixed64(3, TIME) + blob(6, double(1, 0.5)[:-1]))))
    lost("exemplar-cut", metric("odd", gauge(point(blob(5, fixed64(2, TIME)[:-1])))))
    # Where the metric itself is broken nobody can tell how many points it had; it is counted as one.
    lost("metric-name-cut", blob(1, "odd")[:-1])
    lost("metric-gauge-cut", metric("odd", gauge(point())[:-1]))


def wrong_wire_types():
    folder = Folder("wrong-wire-types", "A known field comes with another wire type than its own.")
    one, eight, four, bytes_ = uint, fixed64, fixed32, lambda number, value: blob(number, "x")
    fields = {
        "trace-id": (1, one),
        "span-id": (2, eight),
        "trace-state": (3, one),
        "parent-span-id": (4, four),
        "name": (5, one),
        "kind": (6, bytes_),
        "start": (7, one),
        "end": (8, four),
        "attributes": (9, one),
        "dropped-attributes": (10, eight),
        "events": (11, eight),
        "dropped-events": (12, bytes_),
        "links": (13, four),
        "dropped-links": (14, four),
        "status": (15, one),
        "flags": (16, one),
    }
    for name, (number, kind) in fields.items():
        folder.lost(f"span-{name}", among_spans(span() + kind(number, 1)), MALFORMED)
    inside = {
        "event-time": blob(11, uint(1, 1)),
        "event-name": blob(11, uint(2, 1)),
        "link-flags": blob(13, uint(6, 1)),
        "status-code": blob(15, fixed32(3, 1)),
        "attribute-key": blob(9, uint(1, 1)),
        "attribute-value": blob(9, blob(1, "k"), uint(2, 1)),
        "string-value": blob(9, blob(1, "k"), blob(2, uint(1, 1))),
        "double-value": blob(9, blob(1, "k"), blob(2, uint(4, 1))),
        "array-element": blob(9, blob(1, "k"), blob(2, blob(5, uint(1, 1)))),
    }
    for name, field in inside.items():
        folder.lost(f"span-{name}", among_spans(span() + field), MALFORMED)
    for name, field in {
        "time": uint(1, 1),
        "severity": fixed32(2, 1),
        "body": uint(5, 1),
        "attributes": uint(6, 1),
        "trace-id": uint(9, 1),
        "event-name": fixed64(12, 1),
    }.items():
        folder.lost(f"record-{name}", among_records(record() + field), BAD_RECORD, signal="logs")
    lost = metrics_folder(folder)
    lost("point-time", metric("odd", gauge(point(uint(3, 1)))))
    lost("point-double", metric("odd", gauge(point(fixed32(4, 1)))))
    lost("point-int-as-varint", metric("odd", gauge(point(uint(6, 1)))))
    lost("histogram-count-as-varint", metric("odd", histogram(histogram_point(uint(4, 1)))))
    lost("exponential-scale-as-fixed32", metric("odd", exponential(exponential_point(fixed32(6, 1)))))
    lost("gauge-points-as-varint", metric("odd", blob(5, uint(1, 1))))
    lost("metric-name-as-varint", uint(1, 1) + gauge(point()))
    folder.refused("resource-spans-as-varint", uint(1, 1) + among_spans(), NOT_OTLP)
    folder.refused("resource-as-varint", blob(1, uint(1, 1)) + among_spans(), NOT_OTLP)
    folder.refused("scope-spans-as-fixed64", blob(1, fixed64(2, 1)), NOT_OTLP)
    folder.refused("spans-as-varint", blob(1, blob(2, uint(2, 1))), NOT_OTLP)
    folder.refused("schema-url-as-varint", among_spans(more=uint(3, 1)), NOT_OTLP)
    both = ["before", "after"]
    no_name = [{"like": row, "service_name": "unknown_service", "resource_attributes": None} for row in both]
    folder.add("resource-attributes-as-varint", among_spans(resource=uint(1, 1)), says=UNREADABLE, rows=no_name)
    no_scope = [{"like": row, "scope_name": None} for row in both]
    folder.add("scope-name-as-varint", among_spans(scope=uint(1, 1)), says=UNREADABLE, rows=no_scope)
    # What was read of a resource before its fault is kept.
    folder.add("resource-broken-at-its-end", among_spans(resource=RESOURCE + uint(1, 1)), says=UNREADABLE, rows=both)


def varints():
    folder = Folder("varints", "Varints that are too long, too large, or longer than they need to be.")
    eleven = b"\xff" * 10 + b"\x01"
    too_large = b"\xff" * 9 + b"\x02"
    folder.lost("kind-of-eleven-bytes", among_spans(span() + tag(6, VARINT) + eleven), MALFORMED)
    folder.lost("kind-of-65-bits", among_spans(span() + tag(6, VARINT) + too_large), MALFORMED)
    folder.lost("tag-of-eleven-bytes", among_spans(span() + eleven), MALFORMED)
    folder.lost("length-of-65-bits", among_spans(span() + tag(3, DELIMITED) + too_large + b"x"), MALFORMED)
    folder.lost("int-value-of-65-bits", among_spans(span(blob(9, blob(1, "k"), blob(2, b"\x18" + too_large)))), MALFORMED)
    folder.refused("first-length-of-eleven-bytes", b"\x0a" + eleven, NOT_OTLP)
    folder.refused("first-tag-of-eleven-bytes", eleven, NOT_OTLP)
    folder.refused("nothing-but-continuation", b"\x80" * 40, NOT_OTLP)
    # protobuf lets a writer use more bytes than needed, up to ten.
    padded_tag = long_varint(3 << 3 | DELIMITED, 5) + b"\x01x"
    folder.kept("padded-tag", among_spans(span(padded_tag)), {"trace_state": "x"})
    padded_length = tag(3, DELIMITED) + long_varint(1, 10) + b"x"
    folder.kept("padded-length", among_spans(span(padded_length)), {"trace_state": "x"})
    padded_kind = tag(6, VARINT) + long_varint(2, 10)
    folder.kept("padded-kind", among_spans(span(padded_kind)), {"kind": "SERVER"})
    body = among_spans(span())
    length = long_varint(len(body) - 3, 8)
    folder.kept("padded-first-length", body[:1] + length + body[3:])
    # Of a 32-bit field the low 32 bits count, as in every implementation of protobuf.
    folder.kept("uint32-of-40-bits", among_spans(span(uint(10, (1 << 39) + 7))), {"dropped_attributes_count": 7})
    folder.kept("kind-of-33-bits", among_spans(span(uint(6, (1 << 32) + 3))), {"kind": "CLIENT"})
    folder.kept("uint32-all-ones", among_spans(span(uint(10, -1))), {"dropped_attributes_count": 4294967295})
    top = attribute("k", integer(-1))
    folder.kept("int-value-minus-one", among_spans(span(top)), {"attributes": '{"k":-1}'})
    least = attribute("k", integer(-(1 << 63)))
    folder.kept("int-value-least", among_spans(span(least)), {"attributes": '{"k":-9223372036854775808}'})
    folder.kept("bool-of-many-bits", among_spans(span(attribute("k", uint(2, 1 << 40)))), {"attributes": '{"k":true}'})


def negative_lengths():
    folder = Folder("negative-lengths", "Lengths that are negative as signed numbers, or far beyond the body.")
    lengths = {"minus-one": -1, "minus-2-to-the-31": -(1 << 31), "2-to-the-31": 1 << 31, "2-to-the-32": 1 << 32}
    lengths["2-to-the-63"] = 1 << 63
    for name, length in lengths.items():
        folder.refused(f"first-{name}", b"\x0a" + varint(length) + b"\0" * 20, NOT_OTLP)
        folder.lost(f"span-name-{name}", among_spans(span() + tag(5, DELIMITED) + varint(length) + b"x"), MALFORMED)
    minus_one = varint(-1)
    folder.lost("attribute-minus-one", among_spans(span() + tag(9, DELIMITED) + minus_one), MALFORMED)
    folder.lost("event-minus-one", among_spans(span() + tag(11, DELIMITED) + minus_one), MALFORMED)
    folder.lost("unknown-field-minus-one", among_spans(span() + tag(200, DELIMITED) + minus_one), MALFORMED)
    folder.lost(
        "body-minus-one", among_records(record() + tag(5, DELIMITED) + minus_one), BAD_RECORD, signal="logs"
    )
    metrics_folder(folder)("points-minus-one", metric("odd", tag(5, DELIMITED) + minus_one))


def field_numbers():
    folder = Folder("field-numbers", "Field numbers and wire types that protobuf does not have.")
    for name, head in {
        "zero-varint": b"\x00\x01",
        "zero-bytes": b"\x02\x01x",
        "beyond-29-bits": varint((1 << 29) << 3) + b"\x01",
        "beyond-32-bits": varint(1 << 40) + b"\x01",
    }.items():
        folder.lost(f"span-{name}", among_spans(span() + head), MALFORMED)
        folder.refused(f"first-{name}", head + among_spans(), NOT_OTLP)
    for kind in (6, 7):
        folder.lost(f"span-wire-type-{kind}", among_spans(span() + bytes([15 << 3 | kind, 0])), MALFORMED)
        folder.refused(f"first-wire-type-{kind}", bytes([1 << 3 | kind, 0]), NOT_OTLP)
    folder.kept("largest", among_spans(span(uint((1 << 29) - 1, 5))))
    folder.kept("reserved-by-protobuf", among_spans(span(uint(19_500, 5))))


def unknown_fields():
    folder = Folder("unknown-fields", "Fields that a newer OTLP may bring are skipped, wherever they stand.")
    unknown = uint(200, 7) + fixed64(201, 7) + blob(202, b"\xff\xfe") + fixed32(203, 7)
    folder.kept("in-span", among_spans(span(unknown)))
    folder.kept("in-request", unknown + among_spans(span()) + unknown)
    folder.kept("in-resource-spans", among_spans(span(), more=unknown))
    folder.kept("in-resource", among_spans(span(), resource=unknown + RESOURCE + unknown))
    folder.kept("in-scope", among_spans(span(), scope=unknown + SCOPE))
    folder.kept("in-attribute", among_spans(span(blob(9, unknown, pair("k", text("v"))))), {"attributes": '{"k":"v"}'})
    inside = blob(9, blob(1, "k"), blob(2, unknown, text("v"), unknown))
    folder.kept("in-value", among_spans(span(inside)), {"attributes": '{"k":"v"}'})
    in_array = attribute("k", blob(5, unknown, blob(1, integer(1))))
    folder.kept("in-array", among_spans(span(in_array)), {"attributes": '{"k":[1]}'})
    in_kvlist = attribute("k", blob(6, unknown, blob(1, pair("x", integer(1)))))
    folder.kept("in-kvlist", among_spans(span(in_kvlist)), {"attributes": '{"k":{"x":1}}'})
    new_value = attribute("k", blob(99, "x"))
    folder.kept("value-of-a-new-kind", among_spans(span(new_value)), {"attributes": '{"k":null}'})
    folder.kept("in-status", among_spans(span(blob(15, unknown, uint(3, 2)))), {"status_code": "ERROR"})
    folder.kept("in-record", among_records(record(unknown, body=text("odd"))), signal="logs")
    folder.kept("in-point", among_metrics(metric("odd", gauge(point(unknown)))), signal="metrics")
    folder.kept("in-metric", among_metrics(metric("odd", unknown, gauge(point()), unknown)), signal="metrics")
    only = ["before", "after"]
    folder.add("metric-of-a-new-kind", among_metrics(metric("odd", blob(42, point()))), signal="metrics", rows=only)


def groups():
    folder = Folder("groups", "Wire types 3 and 4, which OTLP does not use, as unknown fields and where they do not fit.")
    folder.kept("empty", among_spans(span(group(100))))
    folder.kept("with-fields", among_spans(span(group(100, uint(1, 1), fixed64(2, 2), blob(3, "x"), fixed32(4, 4)))))
    folder.kept("nested", among_spans(span(group(100, group(101, group(100))))))
    folder.kept("in-request", group(100, uint(1, 1)) + among_spans(span()))
    folder.kept("in-resource", among_spans(span(), resource=group(100) + RESOURCE))
    deep = tag(100, START) * 1000 + tag(100, END) * 1000
    folder.kept("a-thousand-levels", among_spans(span(deep)))
    folder.kept("in-record", among_records(record(group(100), body=text("odd"))), signal="logs")
    folder.kept("in-point", among_metrics(metric("odd", gauge(point(group(100))))), signal="metrics")
    folder.lost("without-end", among_spans(span() + tag(100, START)), MALFORMED)
    folder.lost("end-of-another", among_spans(span() + tag(100, START) + tag(101, END)), MALFORMED)
    folder.lost("end-without-start", among_spans(span() + tag(100, END)), MALFORMED)
    crossed = tag(100, START) + tag(101, START) + tag(100, END) + tag(101, END)
    folder.lost("crossed", among_spans(span() + crossed), MALFORMED)
    folder.lost("cut-inside", among_spans(span() + tag(100, START) + fixed64(1, 1)[:4]), MALFORMED)
    folder.lost("in-place-of-the-name", among_spans(span() + group(5)), MALFORMED)
    folder.lost("in-place-of-an-attribute", among_spans(span() + group(9, blob(1, "k"))), MALFORMED)
    folder.refused("in-place-of-resource-spans", group(1) + among_spans(), NOT_OTLP)
    folder.refused("in-place-of-spans", blob(1, blob(2, group(2))), NOT_OTLP)
    folder.refused("without-end-in-request", among_spans() + tag(100, START), NOT_OTLP)
    folder.refused("end-without-start-in-request", among_spans() + tag(1, END), NOT_OTLP)
    folder.refused("ten-thousand-starts", tag(1, START) * 10_000, NOT_OTLP)


def repeated_fields():
    folder = Folder("repeated-fields", "Of a field that comes twice the last one counts; messages are merged.")
    folder.kept("name", among_spans(span(blob(5, "second"))), {"name": "second"})
    folder.kept("trace-id", among_spans(span(blob(1, b"\7" * 16))), {"trace_id": "07" * 16})
    folder.lost("trace-id-then-empty", among_spans(span(blob(1, b""))), ["1 span rejected", "trace_id"])
    status = blob(15, blob(2, "told")) + blob(15, uint(3, 2))
    folder.kept("status-merged", among_spans(span(status)), {"status_message": "told", "status_code": "ERROR"})
    two = blob(9, blob(1, "k"), blob(2, text("no"), integer(7)))
    folder.kept("two-kinds-of-value", among_spans(span(two)), {"attributes": '{"k":7}'})
    keys = attribute("k", integer(1)) + attribute("j", integer(2)) + attribute("k", integer(3))
    folder.kept(
        "attribute-keys",
        among_spans(span(keys)),
        {"attributes": '{"j":2,"k":3}'},
        says=["1 span kept", "repeated"],
        anomalies="duplicate_key",
    )
    inner = attribute("m", kvlist(pair("x", integer(1)), pair("x", integer(2))))
    folder.kept(
        "keys-of-a-kvlist",
        among_spans(span(inner)),
        {"attributes": '{"m":{"x":2}}'},
        says=["1 span kept", "repeated"],
        anomalies="duplicate_key",
    )
    column = attribute("http.route", text("/a")) + attribute("http.route", text("/b"))
    folder.kept(
        "key-with-a-column",
        among_spans(span(column)),
        {"http_route": "/b"},
        says=["1 span kept", "repeated"],
        anomalies="duplicate_key",
    )
    more = {"resource_attributes": attributes(**{"service.name": '"shop"', "x": "1"})}
    body = blob(1, blob(1, RESOURCE), blob(1, blob(1, pair("x", integer(1)))), blob(2, blob(1, SCOPE), blob(2, span())))
    folder.add("resource-in-two-pieces", body, rows=[{"like": "odd", **more}])
    late = blob(1, blob(2, blob(2, span()), blob(1, SCOPE)), blob(1, RESOURCE))
    folder.add("resource-and-scope-last", late, rows=["odd"])


def add_all():
    truncated_around_rows()
    truncated_inside_rows()
    wrong_wire_types()
    varints()
    negative_lengths()
    field_numbers()
    unknown_fields()
    groups()
    repeated_fields()
