"""Trouble that only metrics or only logs have, what is empty, and requests of another signal."""

from .case import Folder, attributes, cell, marked_bytes, marked_double, quoted
from .otlp import *
from .squeeze import zstd
from .wire import *

INF, NAN = float("inf"), float("nan")
LAST = (1 << 63) - 1


def among(folder, name, odd, changes=None, like="odd", **expected):
    folder.kept(name, among_metrics(odd), changes, like=like, signal="metrics", **expected)


def histograms():
    folder = Folder("histograms", "Histograms whose buckets and bounds do not fit are stored as they were sent.")

    def kept(name, inner, changes=None, **expected):
        among(folder, name, metric("odd", histogram(inner)), changes, like="histogram", **expected)

    kept("as-it-should-be", histogram_point())
    kept("fewer-counts-than-bounds", histogram_point(counts=(3,), bounds=(1.0, 2.0)), {"bucket_counts": [3], "explicit_bounds": [1.0, 2.0]})
    kept("more-counts-than-bounds", histogram_point(counts=(1, 1, 1, 0), bounds=(1.0,)), {"bucket_counts": [1, 1, 1, 0], "explicit_bounds": [1.0]})
    kept("counts-without-bounds", histogram_point(counts=(3,), bounds=()), {"bucket_counts": [3], "explicit_bounds": None})
    kept("bounds-without-counts", histogram_point(counts=(), bounds=(1.0,)), {"bucket_counts": None, "explicit_bounds": [1.0]})
    kept("neither", histogram_point(counts=(), bounds=()), {"bucket_counts": None, "explicit_bounds": None})
    kept("unsorted-bounds", histogram_point(counts=(1, 1, 1), bounds=(5.0, 1.0)), {"bucket_counts": [1, 1, 1], "explicit_bounds": [5.0, 1.0]})
    kept("repeated-bounds", histogram_point(counts=(1, 1, 1), bounds=(5.0, 5.0)), {"bucket_counts": [1, 1, 1], "explicit_bounds": [5.0, 5.0]})
    kept("odd-bounds", histogram_point(counts=(1, 1, 1, 0), bounds=(-INF, NAN, INF)), {"bucket_counts": [1, 1, 1, 0], "explicit_bounds": ["-Infinity", "NaN", "Infinity"]})
    kept("count-is-not-the-sum", histogram_point(count=99), {"count": 99})
    kept("sum-nan", histogram_point(double(5, NAN)), {"sum": "NaN"})
    kept("min-above-max", histogram_point(double(11, 9.0), double(12, 1.0)), {"min": 9.0, "max": 1.0})
    kept("min-and-max-infinite", histogram_point(double(11, -INF), double(12, INF)), {"min": "-Infinity", "max": "Infinity"})
    one_by_one = b"".join(fixed64(6, count) for count in (1, 2)) + double(7, 5.0)
    kept("unpacked", histogram_point(one_by_one, counts=(), bounds=()))
    halves = packed64(6, 1) + packed_doubles(7, 5.0) + fixed64(6, 2)
    kept("packed-and-unpacked", histogram_point(halves, counts=(), bounds=()))
    told = {"says": ["1 data point kept", "int64"], "anomalies": "saturated"}
    kept("count-beyond-int64", histogram_point(count=1 << 63), {"count": LAST}, **told)
    kept("bucket-beyond-int64", histogram_point(counts=((1 << 64) - 1, 2)), {"bucket_counts": [LAST, 2]}, **told)
    lost = ["1 data point rejected", "not valid protobuf"]
    odd = among_metrics(metric("odd", histogram(histogram_point(blob(6, b"\1" * 12), counts=()))))
    folder.lost("packed-counts-of-12-bytes", odd, lost, signal="metrics")
    odd = among_metrics(metric("odd", histogram(histogram_point(blob(7, b"\1" * 7), bounds=()))))
    folder.lost("packed-bounds-of-7-bytes", odd, lost, signal="metrics")
    whole = among_metrics(metric("odd", histogram(histogram_point(blob(6, b"\0" * 8 * 65_537), counts=()))))
    at = whole.index(b"\0" * 8 * 65_537)
    body = zstd(whole[:at], (b"\0", 8 * 65_537), whole[at + 8 * 65_537 :])
    folder.lost("buckets-65537", body, ["1 data point rejected", "buckets"], signal="metrics", encoding="zstd")


def exponential_histograms():
    folder = Folder("exponential-histograms", "Scales and offsets at the ends of int32, and counts beyond int64.")

    def kept(name, *more, changes=None, scale=1, count=3, **expected):
        odd = metric("odd", exponential(exponential_point(*more, scale=scale, count=count)))
        among(folder, name, odd, changes, like="exponential", **expected)

    most, least = (1 << 31) - 1, -(1 << 31)
    kept("without-buckets")
    kept("scale-most", scale=most, changes={"scale": most})
    kept("scale-least", scale=least, changes={"scale": least})
    kept("offset-most", buckets(8, most, 1, 2), changes={"positive_offset": most, "positive_counts": [1, 2]})
    kept("offset-least", buckets(9, least, 3), changes={"negative_offset": least, "negative_counts": [3]})
    kept("offset-without-counts", blob(8, sint(1, -5)), changes={"positive_offset": -5})
    kept("empty-buckets", blob(8), blob(9), changes={"positive_offset": 0, "negative_offset": 0})
    unpacked = blob(8, sint(1, 2), uint(2, 1), uint(2, 300))
    kept("unpacked", unpacked, changes={"positive_offset": 2, "positive_counts": [1, 300]})
    kept("zero-threshold-nan", double(14, NAN), changes={"zero_threshold": "NaN"})
    kept("zero-threshold-negative", double(14, -1.0), changes={"zero_threshold": -1.0})
    told = {"says": ["1 data point kept", "int64"], "anomalies": "saturated"}
    kept("zero-count-beyond-int64", fixed64(7, 1 << 63), changes={"zero_count": LAST}, **told)
    changes = {"positive_offset": 0, "positive_counts": [LAST]}
    kept("bucket-beyond-int64", buckets(8, 0, (1 << 64) - 1), changes=changes, **told)
    odd = among_metrics(metric("odd", exponential(exponential_point(blob(8, blob(2, b"\x80" * 11))))))
    folder.lost("bucket-of-eleven-bytes", odd, ["1 data point rejected", "not valid protobuf"], signal="metrics")
    whole = among_metrics(metric("odd", exponential(exponential_point(blob(8, blob(2, b"\1" * 65_537))))))
    at = whole.index(b"\1" * 65_537)
    body = zstd(whole[:at], (b"\1", 65_537), whole[at + 65_537 :])
    folder.lost("buckets-65537", body, ["1 data point rejected", "buckets"], signal="metrics", encoding="zstd")


def metric_kinds():
    folder = Folder("metric-kinds", "Metrics of two kinds, of none, without values, and with NoRecordedValue.")
    both = ["before", "after"]
    among(folder, "no-value", metric("odd", gauge(point(value=None))), {"value": None, "value_int": None})
    two = metric("odd", gauge(point(double(4, 2.5))))
    among(folder, "int-then-double", two, {"value": 2.5, "value_int": None})
    two = metric("odd", gauge(point(double(4, 2.5), fixed64(6, 2), value=None)))
    among(folder, "double-then-int", two)
    merged = among_metrics(metric("odd", gauge(point()), gauge(point(value=9))))
    nine = {"like": "odd", "value": 9.0, "value_int": 9}
    folder.add("gauge-twice", merged, signal="metrics", rows=["before", "odd", nine, "after"])
    among(folder, "sum-then-gauge", metric("odd", sum_(point(value=8)), gauge(point())))
    sums = {"type": "SUM", "temporality": "CUMULATIVE", "is_monotonic": True}
    among(folder, "gauge-then-sum", metric("odd", gauge(point(value=8)), sum_(point())), sums)
    late = b"".join([gauge(point()), blob(1, "odd")])
    among(folder, "name-after-its-points", late)
    among(folder, "without-a-name", gauge(point()), {"name": ""})
    told = {"says": ["1 data point kept", "enum"], "anomalies": "unknown_enum"}
    changes = {**sums, "temporality": "UNSPECIFIED"}
    among(folder, "temporality-unspecified", metric("odd", sum_(point(), temporality=0)), changes)
    among(folder, "temporality-9", metric("odd", sum_(point(), temporality=9)), changes, **told)
    among(folder, "monotonic-2", metric("odd", sum_(point(), monotonic=2)), sums)
    folder.add("without-data", among_metrics(blob(1, "odd")), signal="metrics", rows=both)
    folder.add("without-points", among_metrics(metric("odd", gauge())), signal="metrics", rows=both)
    # Flag 1 is NoRecordedValue: the point is kept, with its flag and whatever value it has.
    among(folder, "no-recorded-gauge", metric("odd", gauge(point(uint(8, 1), value=None))), {"value": None, "value_int": None, "flags": 1})
    among(folder, "no-recorded-sum", metric("odd", sum_(point(uint(8, 1)))), {**sums, "flags": 1})
    among(folder, "no-recorded-histogram", metric("odd", histogram(histogram_point(uint(10, 1), count=0, counts=(), bounds=()))), {"count": 0, "bucket_counts": None, "explicit_bounds": None, "flags": 1}, like="histogram")
    among(folder, "no-recorded-exponential", metric("odd", exponential(exponential_point(uint(10, 1), count=0))), {"count": 0, "flags": 1}, like="exponential")
    bare = metric("odd", summary(fixed64(3, TIME) + uint(8, 1)))
    among(folder, "no-recorded-summary", bare, {"count": 0, "flags": 1}, like="summary")
    among(folder, "flags-all-ones", metric("odd", gauge(point(uint(8, 0xFFFF_FFFF)))), {"flags": 0xFFFF_FFFF})
    quantiles = blob(6, double(1, NAN), double(2, INF)) + blob(6, double(1, 2.0)) + blob(6)
    odd = metric("odd", summary(fixed64(3, TIME) + fixed64(4, 5) + double(5, -INF) + quantiles))
    stored = [{"quantile": "NaN", "value": "Infinity"}, {"quantile": 2.0, "value": 0.0}, {"quantile": 0.0, "value": 0.0}]
    among(folder, "odd-quantiles", odd, {"count": 5, "sum": "-Infinity", "quantiles": stored}, like="summary")
    exemplar = {"time_unix_nano": TIME, "value": "NaN", "trace_id": TRACE.hex(), "span_id": SPAN.hex()}
    fields = fixed64(2, TIME) + double(3, NAN) + blob(4, SPAN) + blob(5, TRACE)
    among(folder, "exemplar-nan", metric("odd", gauge(point(blob(5, fields)))), {"exemplars": [exemplar]})
    among(folder, "exemplar-empty", metric("odd", gauge(point(blob(5)))), {"exemplars": [{"time_unix_nano": 0}]})
    metadata = metric("odd", blob(12, pair("k", text("v"))), gauge(point()))
    among(folder, "metadata", metadata, {"metadata": '{"k":"v"}'})
    broken = metric("odd", blob(12, b"\x0a\x09x"), gauge(point()))
    among(folder, "metadata-broken", broken, says=["unreadable", "kept"])
    keys = b"".join(blob(7, pair(key, integer(1))) for key in ("a", "b", "a"))
    odd = metric("odd", gauge(point(keys)))
    said = {"says": ["1 data point kept", "repeated"], "anomalies": "duplicate_key"}
    among(folder, "repeated-attribute", odd, {"attributes": '{"b":1,"a":1}'}, **said)


def log_bodies():
    folder = Folder("log-bodies", "Log records with a body of each type, in protobuf and JSON.")
    none = {"body": None, "body_type": None}
    bodies = {
        "string": (text("odd"), '{"stringValue":"odd"}', {}),
        "empty-string": (text(""), '{"stringValue":""}', {"body": ""}),
        "string-like-json": (text('{"a":1}'), '{"stringValue":"{\\"a\\":1}"}', {"body": '{"a":1}'}),
        "true": (boolean(1), '{"boolValue":true}', {"body": "true", "body_type": "json"}),
        "false": (boolean(0), '{"boolValue":false}', {"body": "false", "body_type": "json"}),
        "int": (integer(-5), '{"intValue":"-5"}', {"body": "-5", "body_type": "json"}),
        "double": (number(1.5), '{"doubleValue":1.5}', {"body": "1.5", "body_type": "json"}),
        "nan": (number(NAN), '{"doubleValue":"NaN"}', {"body": marked_double("NaN"), "body_type": "json"}),
        "bytes": (octets(b"\0\xff"), '{"bytesValue":"AP8="}', {"body": marked_bytes(b"\0\xff"), "body_type": "json"}),
        "no-bytes": (octets(b""), '{"bytesValue":""}', {"body": marked_bytes(b""), "body_type": "json"}),
        "array": (array(integer(1), text("x")), '{"arrayValue":{"values":[{"intValue":1},{"stringValue":"x"}]}}', {"body": '[1,"x"]', "body_type": "json"}),
        "empty-array": (array(), '{"arrayValue":{}}', {"body": "[]", "body_type": "json"}),
        "kvlist": (kvlist(pair("a", integer(1))), '{"kvlistValue":{"values":[{"key":"a","value":{"intValue":1}}]}}', {"body": '{"a":1}', "body_type": "json"}),
        "empty-kvlist": (kvlist(), '{"kvlistValue":{}}', {"body": "{}", "body_type": "json"}),
        "empty-value": (b"", "{}", none),
    }
    for name, (encoded, json, changes) in bodies.items():
        folder.kept(name, among_records(record(body=encoded)), changes, signal="logs")
        odd = j_among_records(j_record(f'"body":{json}'))
        folder.kept(name, odd, changes, signal="logs", format="json")
    folder.kept("absent", among_records(record()), none, signal="logs")
    folder.kept("null", j_among_records(j_record('"body":null')), none, signal="logs", format="json")
    folder.kept("two-values", among_records(record(body=text("no") + integer(7))), {"body": "7", "body_type": "json"}, signal="logs")
    folder.kept("two-bodies", among_records(record(blob(5, text("odd")), body=integer(1))), signal="logs")
    said = {"says": ["1 log record kept", "string index"], "anomalies": "string_index", "signal": "logs"}
    folder.kept("string-index", among_records(record(body=uint(8, 3))), none, **said)
    lost = ["1 log record rejected", "does not fit"]
    for name, body in (("bare-string", '"odd"'), ("number", "5"), ("array-of-values", "[]"), ("string-as-number", '{"stringValue":5}')):
        folder.lost(name, j_among_records(j_record(f'"body":{body}')), lost, signal="logs", format="json")


def emptiness():
    folder = Folder("empty", "Requests and messages without content: success, and nothing or little stored.")
    for signal in ("traces", "metrics", "logs"):
        folder.add(f"{signal}-no-bytes", b"", signal=signal)
        folder.add(f"{signal}-empty-resource", blob(1), signal=signal)
        folder.add(f"{signal}-only-a-resource", blob(1, blob(1, RESOURCE)), signal=signal)
        folder.add(f"{signal}-empty-scope", blob(1, blob(1, RESOURCE), blob(2)), signal=signal)
        folder.add(f"{signal}-no-rows", request(), signal=signal)
        folder.add(f"{signal}-empty-object", "{}", signal=signal, format="json")
        key = {"traces": "Spans", "metrics": "Metrics", "logs": "Logs"}[signal]
        folder.add(f"{signal}-empty-list", f'{{"resource{key}":[]}}', signal=signal, format="json")
        folder.add(f"{signal}-empty-element", f'{{"resource{key}":[{{}}]}}', signal=signal, format="json")
        folder.add(f"{signal}-empty-scope", f'{{"resource{key}":[{{"scope{key}":[{{}}]}}]}}', signal=signal, format="json")
    folder.lost("span", among_spans(b""), ["1 span rejected", "trace_id"])
    empty = {"time_unix_nano": 0, "body": None, "body_type": None}
    folder.kept("record", among_records(b""), empty, signal="logs")
    nothing = {"time_unix_nano": 0, "value": None, "value_int": None}
    among(folder, "point", metric("odd", gauge(b"")), nothing)
    folder.add("metric", among_metrics(b""), signal="metrics", rows=["before", "after"])
    event = {"time_unix_nano": 0, "name": "", "dropped_attributes_count": 0}
    folder.kept("event", among_spans(span(blob(11))), {"events": [event]})
    folder.kept("status", among_spans(span(blob(15))))
    folder.kept("attribute", among_spans(span(blob(9))), {"attributes": '{"":null}'})
    bare = {"service_name": "unknown_service", "resource_attributes": None, "scope_name": None}
    body = blob(1, blob(2, blob(2, span())))
    folder.add("without-resource-and-scope", body, rows=[{"like": "odd", **bare}])
    unnamed = {"like": "odd", "service_name": "unknown_service", "resource_attributes": '{"service.name":""}'}
    folder.add("empty-service-name", request(span(), resource=blob(1, pair("service.name", text("")))), rows=[unnamed])
    number_name = {**unnamed, "resource_attributes": '{"service.name":5}'}
    folder.add("service-name-is-a-number", request(span(), resource=blob(1, pair("service.name", integer(5)))), rows=[number_name])


def other_signals():
    folder = Folder("other-signals", "A request sent to the path of another signal.")
    # The three share their framing, so the rows are read as rows of the wrong kind and do not fit.
    folder.add("logs-as-traces", among_records(), rejected=2, says=["2 spans rejected", "not valid protobuf"])
    folder.add("metrics-as-traces", among_metrics(), rejected=2, says=["2 spans rejected"])
    folder.add("traces-as-logs", among_spans(), rejected=2, says=["2 log records rejected"], signal="logs")
    folder.add("logs-as-metrics", among_records(), rejected=2, says=["2 data points rejected"], signal="metrics")
    # In JSON their names differ, and unknown names are ignored.
    folder.add("logs-as-traces", j_among_records(), format="json")
    folder.add("traces-as-metrics", j_among_spans(), signal="metrics", format="json")
    folder.add("json-as-protobuf", j_among_spans(), answer="invalid", says=["not a valid OTLP request"])
    # Its first byte is a line feed, which JSON lets stand before anything.
    folder.add("protobuf-as-json", among_spans(), answer="invalid", says=["line 2 column 1"], format="json")
    folder.add("prose-as-protobuf", "hello, world", answer="invalid", says=["not a valid OTLP request"])
    folder.add("grpc-frame-as-protobuf", b"\0\0\0\0\5hello", answer="invalid", says=["not a valid OTLP request"])


def add_all():
    histograms()
    exponential_histograms()
    metric_kinds()
    log_bodies()
    emptiness()
    other_signals()
