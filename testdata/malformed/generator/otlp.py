"""OTLP messages by the field numbers of opentelemetry-proto 1.x, as bytes; and the same as JSON text.

Every request has one resource (service `shop`) and one scope (`probe`); the odd row stands between two good ones,
called `before` and `after`, that have to survive whatever is wrong with it.
"""

from .wire import blob, double, fixed64, packed64, packed_doubles, packed_varints, sint, uint

TIME = 1_700_000_000_000_000_000
TRACE = bytes(range(0xA0, 0xB0))
SPAN = bytes(range(0xB0, 0xB8))


# Values and attributes.


def text(value):
    return blob(1, value)


def boolean(value):
    return uint(2, value)


def integer(value):
    return uint(3, value)


def number(value):
    return double(4, value)


def array(*values):
    return blob(5, *(blob(1, value) for value in values))


def kvlist(*pairs):
    return blob(6, *(blob(1, inner) for inner in pairs))


def octets(value):
    return blob(7, value)


def pair(key, value):
    return blob(1, key) + blob(2, value)


# Spans.


def span(*more, trace_id=TRACE, span_id=SPAN, name="odd", start=TIME, end=TIME + 1000):
    fields = [blob(1, trace_id)] if trace_id is not None else []
    fields += [blob(2, span_id)] if span_id is not None else []
    fields += [blob(5, name)] if name is not None else []
    return b"".join(fields) + fixed64(7, start) + fixed64(8, end) + b"".join(more)


def attribute(key, value):
    """An attribute of a span."""
    return blob(9, pair(key, value))


SPAN_BEFORE = span(span_id=b"\1" * 8, name="before")
SPAN_AFTER = span(span_id=b"\3" * 8, name="after")

RESOURCE = blob(1, pair("service.name", text("shop")))
SCOPE = blob(1, "probe")


def request(*rows, resource=RESOURCE, scope=SCOPE, more=b""):
    """Any signal's request: the three have the same framing."""
    return blob(1, blob(1, resource), blob(2, blob(1, scope), *(blob(2, row) for row in rows)), more)


def among_spans(*odd, **framing):
    return request(SPAN_BEFORE, *odd, SPAN_AFTER, **framing)


# Log records.


def record(*more, time=TIME, body=None):
    return fixed64(1, time) + (b"" if body is None else blob(5, body)) + b"".join(more)


RECORD_BEFORE = record(body=text("before"))
RECORD_AFTER = record(body=text("after"))


def among_records(*odd, **framing):
    return request(RECORD_BEFORE, *odd, RECORD_AFTER, **framing)


# Metrics.


def point(*more, value=2, time=TIME):
    return fixed64(3, time) + (b"" if value is None else fixed64(6, value)) + b"".join(more)


def metric(name, *data):
    return blob(1, name) + b"".join(data)


def gauge(*points):
    return blob(5, *(blob(1, inner) for inner in points))


def sum_(*points, temporality=2, monotonic=1):
    return blob(7, *(blob(1, inner) for inner in points), uint(2, temporality), uint(3, monotonic))


def histogram(*points, temporality=2):
    return blob(9, *(blob(1, inner) for inner in points), uint(2, temporality))


def exponential(*points, temporality=2):
    return blob(10, *(blob(1, inner) for inner in points), uint(2, temporality))


def summary(*points):
    return blob(11, *(blob(1, inner) for inner in points))


def histogram_point(*more, count=3, counts=(1, 2), bounds=(5.0,), time=TIME):
    fields = [fixed64(3, time), fixed64(4, count)]
    fields += [packed64(6, *counts)] if counts else []
    fields += [packed_doubles(7, *bounds)] if bounds else []
    return b"".join(fields) + b"".join(more)


def buckets(number, offset, *counts):
    """One side of an exponential histogram: 8 is positive, 9 negative."""
    return blob(number, sint(1, offset), packed_varints(2, *counts))


def exponential_point(*more, count=3, scale=1, time=TIME):
    return fixed64(3, time) + fixed64(4, count) + sint(6, scale) + b"".join(more)


METRIC_BEFORE = metric("before", gauge(point(value=1)))
METRIC_AFTER = metric("after", gauge(point(value=3)))


def among_metrics(*odd, **framing):
    return request(METRIC_BEFORE, *odd, METRIC_AFTER, **framing)


# OTLP/JSON, as text: what is wrong with it could often not be written by a JSON library.


def j_span(*more, trace_id=TRACE.hex(), span_id=SPAN.hex(), name="odd"):
    members = [f'"traceId":"{trace_id}"', f'"spanId":"{span_id}"', f'"name":"{name}"']
    members += [f'"startTimeUnixNano":"{TIME}"', f'"endTimeUnixNano":"{TIME + 1000}"', *more]
    return "{" + ",".join(members) + "}"


def j_attribute(value, key="k"):
    return f'"attributes":[{{"key":"{key}","value":{value}}}]'


J_RESOURCE = '"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}'
J_SCOPE = '"scope":{"name":"probe"}'


def j_request(what, rows, *more):
    """`what` is Spans, Metrics or Logs."""
    row = {"Spans": "spans", "Metrics": "metrics", "Logs": "logRecords"}[what]
    inner = ",".join([f'"resource{what}":[{{{J_RESOURCE},"scope{what}":[{{{J_SCOPE},"{row}":[{",".join(rows)}]}}]}}]', *more])
    return "{" + inner + "}"


def j_among_spans(*odd):
    before, after = j_span(span_id="01" * 8, name="before"), j_span(span_id="03" * 8, name="after")
    return j_request("Spans", [before, *odd, after])


def j_record(*more, time=TIME):
    return "{" + ",".join([f'"timeUnixNano":"{time}"', *more]) + "}"


def j_among_records(*odd):
    body = '"body":{{"stringValue":"{}"}}'
    return j_request("Logs", [j_record(body.format("before")), *odd, j_record(body.format("after"))])


def j_point(*more, value='"2"'):
    return "{" + ",".join([f'"timeUnixNano":"{TIME}"', f'"asInt":{value}', *more]) + "}"


def j_metric(name, data):
    return f'{{"name":"{name}",{data}}}'


def j_gauge(*points):
    return f'"gauge":{{"dataPoints":[{",".join(points)}]}}'


def j_among_metrics(*odd):
    before, after = j_metric("before", j_gauge(j_point(value="1"))), j_metric("after", j_gauge(j_point(value="3")))
    return j_request("Metrics", [before, *odd, after])
