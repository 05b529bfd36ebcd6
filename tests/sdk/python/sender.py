"""Sends traces, metrics and logs with OpenTelemetry's Python SDK, and writes down what that SDK exported.

`python sender.py OUT` reads the endpoint, protocol and compression from the standard OTEL_… variables. The lines
of OUT come from a second exporter beside the OTLP one, so they hold the SDK's own objects (README.md has the form).
`python sender.py OUT TRACES` sends only so many traces, no metrics and no logs.
"""

import base64
import json
import math
import os
import sys
import time

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Gauge,
    Histogram,
    MetricExporter,
    PeriodicExportingMetricReader,
    Sum,
)
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACES = 20
SCOPE = {"name": "hotspan.sender", "version": "1.2.3"}


def typed(value):
    """The value with its OTLP type, as the exporter maps it."""
    if value is None:
        return {"type": "null", "value": None}
    if isinstance(value, bool):
        return {"type": "bool", "value": value}
    if isinstance(value, str):
        return {"type": "string", "value": value}
    if isinstance(value, int):
        return {"type": "int", "value": str(value)}
    if isinstance(value, float):
        return {"type": "double", "value": repr(value)}
    if isinstance(value, bytes):
        return {"type": "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return {"type": "array", "value": [typed(item) for item in value]}
    return {"type": "kvlist", "value": {str(key): typed(item) for key, item in value.items()}}


def typed_all(attributes):
    return {key: typed(value) for key, value in (attributes or {}).items()}


def origin(resource, scope):
    return {
        "resource": typed_all(resource.attributes),
        "scope_name": scope.name,
        "scope_version": scope.version or "",
        "scope_attributes": typed_all(scope.attributes),
    }


def span_record(span):
    context, parent = span.context, span.parent
    return {
        "signal": "span",
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_span_id": f"{parent.span_id:016x}" if parent else "",
        "trace_state": context.trace_state.to_header() if context.trace_state else "",
        "name": span.name,
        "kind": span.kind.name,
        "start_ns": str(span.start_time),
        "end_ns": str(span.end_time),
        "status_code": span.status.status_code.name,
        "status_message": span.status.description or "",
        "attributes": typed_all(span.attributes),
        "dropped_attributes_count": span.dropped_attributes,
        "dropped_events_count": span.dropped_events,
        "dropped_links_count": span.dropped_links,
        "events": [
            {"time_ns": str(e.timestamp), "name": e.name, "attributes": typed_all(e.attributes)} for e in span.events
        ],
        # This exporter leaves a link's trace state out, so there is nothing to compare.
        "links": [
            {
                "trace_id": f"{link.context.trace_id:032x}",
                "span_id": f"{link.context.span_id:016x}",
                "attributes": typed_all(link.attributes),
            }
            for link in span.links
        ],
        **origin(span.resource, span.instrumentation_scope),
    }


def exemplar_record(exemplar):
    return {
        "time_ns": str(exemplar.time_unix_nano),
        "value": typed(exemplar.value),
        "trace_id": f"{exemplar.trace_id:032x}" if exemplar.trace_id is not None else "",
        "span_id": f"{exemplar.span_id:016x}" if exemplar.span_id is not None else "",
        "attributes": typed_all(exemplar.filtered_attributes),
    }


def point_record(data, point):
    record = {
        "time_ns": str(point.time_unix_nano),
        "attributes": typed_all(point.attributes),
        "exemplars": [exemplar_record(e) for e in point.exemplars],
    }
    if isinstance(data, Gauge):
        return record | {"type": "GAUGE", "value": typed(point.value)}
    record["start_ns"] = str(point.start_time_unix_nano)
    record["temporality"] = AggregationTemporality(data.aggregation_temporality).name
    if isinstance(data, Sum):
        return record | {"type": "SUM", "is_monotonic": data.is_monotonic, "value": typed(point.value)}
    record |= {
        "count": str(point.count),
        "sum": repr(float(point.sum)),
        "min": repr(float(point.min)),
        "max": repr(float(point.max)),
    }
    if isinstance(data, Histogram):
        return record | {
            "type": "HISTOGRAM",
            "explicit_bounds": [repr(float(b)) for b in point.explicit_bounds],
            "bucket_counts": [str(c) for c in point.bucket_counts],
        }
    assert isinstance(data, ExponentialHistogram), type(data)
    return record | {
        "type": "EXPONENTIAL_HISTOGRAM",
        "scale": point.scale,
        "zero_count": str(point.zero_count),
        "positive_offset": point.positive.offset,
        "positive_counts": [str(c) for c in point.positive.bucket_counts],
        "negative_offset": point.negative.offset,
        "negative_counts": [str(c) for c in point.negative.bucket_counts],
    }


def metric_records(metrics_data):
    for by_resource in metrics_data.resource_metrics:
        for by_scope in by_resource.scope_metrics:
            for metric in by_scope.metrics:
                for point in metric.data.data_points:
                    yield {
                        "signal": "metric",
                        "name": metric.name,
                        "description": metric.description or "",
                        "unit": metric.unit or "",
                        **point_record(metric.data, point),
                        **origin(by_resource.resource, by_scope.scope),
                    }


def log_record(readable):
    record = readable.log_record
    return {
        "signal": "log",
        "time_ns": str(record.timestamp or 0),
        "observed_ns": str(record.observed_timestamp or 0),
        "trace_id": f"{record.trace_id:032x}" if record.trace_id else "",
        "span_id": f"{record.span_id:016x}" if record.span_id else "",
        "severity_number": record.severity_number.value if record.severity_number else 0,
        "severity_text": record.severity_text or "",
        "event_name": record.event_name or "",
        "body": typed(record.body),
        "attributes": typed_all(record.attributes),
        **origin(readable.resource, readable.instrumentation_scope),
    }


class Recorder:
    """Writes one JSON line per record."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")

    def write(self, records):
        for record in records:
            self.file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        self.file.flush()


class SpanRecorder(SpanExporter):
    def __init__(self, recorder):
        self.recorder = recorder

    def export(self, spans):
        self.recorder.write(map(span_record, spans))
        return SpanExportResult.SUCCESS


class LogRecorder(LogRecordExporter):
    def __init__(self, recorder):
        self.recorder = recorder

    def export(self, batch):
        self.recorder.write(map(log_record, batch))
        return LogRecordExportResult.SUCCESS

    def force_flush(self, timeout_millis=30_000):
        return True

    def shutdown(self):
        pass


class MetricTee(MetricExporter):
    """Hands the very batch that is recorded to the OTLP exporter: a second reader would see other times."""

    def __init__(self, otlp, recorder):
        super().__init__(otlp._preferred_temporality, otlp._preferred_aggregation)
        self.otlp = otlp
        self.recorder = recorder

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        self.recorder.write(metric_records(metrics_data))
        return self.otlp.export(metrics_data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis=10_000):
        return self.otlp.force_flush(timeout_millis)

    def shutdown(self, timeout_millis=30_000, **kwargs):
        self.otlp.shutdown(timeout_millis, **kwargs)


def exporters():
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    elif protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    else:
        sys.exit(f"this sender speaks grpc and http/protobuf, not {protocol!r}")
    return OTLPSpanExporter(), OTLPMetricExporter(), OTLPLogExporter()


def every_type():
    return {
        "string": "plain",
        "string.empty": "",
        "string.unicode": "中文 🦀 עברית é\u0301 \u0000 end",
        "string.escapes": 'quote " backslash \\ newline \n tab \t </script>',
        "string.long": "x" * 9000,
        "bool.true": True,
        "bool.false": False,
        "int.zero": 0,
        "int.negative": -7,
        "int.beyond_double": 9007199254740993,
        "int.max": 2**63 - 1,
        "int.min": -(2**63),
        "double": math.pi,
        "double.whole": 200.0,
        "double.nan": math.nan,
        "double.inf": math.inf,
        "double.minus_inf": -math.inf,
        "double.minus_zero": -0.0,
        "double.smallest": 5e-324,
        "double.largest": 1.7976931348623157e308,
        "strings": ["a", "", "中"],
        "bools": [True, False],
        "ints": [1, -(2**63), 2**63 - 1],
        "doubles": [1.0, -0.5, 1e300],
        "empty": [],
        'key "with" ключ.dots': "value",
        "user.id": 42,
        "server.port": "not a number",
        "http.response.status_code": 200,
        "http.request.method": "GET",
        "db.system.name": "postgresql",
        "@bytes": "not bytes",
    }


def send_trace(tracer, number, linked):
    """Ten spans: a request that reads, computes, publishes, and is consumed."""
    headers = {
        "traceparent": f"00-{0xA0000000 + number:032x}-{0xB0000000 + number:016x}-01",
        "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    }
    remote = TraceContextTextMapPropagator().extract(headers) if number % 4 == 0 else None
    with tracer.start_as_current_span("GET /orders/{id}", remote, SpanKind.SERVER, every_type()) as root:
        root.add_event("received", {"bytes": 512, "ratio": 0.25, "ok": True, "tags": ["a", "b"]})
        root.add_event("at the start of time", timestamp=1)
        for call in range(4):
            with tracer.start_as_current_span("SELECT orders", kind=SpanKind.CLIENT) as span:
                span.set_attributes({"db.query.text": "SELECT * FROM orders WHERE id = $1", "call": call})
        with tracer.start_as_current_span("price") as span:
            with tracer.start_as_current_span("discount", kind=SpanKind.INTERNAL) as inner:
                inner.set_status(Status(StatusCode.OK))
            try:
                raise ValueError(f"no price for order {number}: 价格")
            except ValueError as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, "no price: 价格"))
        with tracer.start_as_current_span("publish order", kind=SpanKind.PRODUCER) as span:
            published = span.get_span_context()
        links = [Link(linked, {"reason": "same order", "position": number})] if linked else []
        with tracer.start_as_current_span("process order", kind=SpanKind.CONSUMER, links=links):
            pass
        early = time.time_ns() - 3_600_000_000_000
        tracer.start_span("reported an hour late", start_time=early).end(early + 1)
        root.set_status(Status(StatusCode.OK))
    return published


def observe(value):
    def callback(_options: CallbackOptions):
        yield Observation(value, {"observed": True})
        yield Observation(value * 2, {"observed": False})

    return callback


def instruments(meter):
    meter.create_observable_counter("observed.total", [observe(7)], "1")
    meter.create_observable_up_down_counter("observed.current", [observe(-3)], "1")
    meter.create_observable_gauge("observed.gauge", [observe(0.5)], "1")
    return {
        "requests": meter.create_counter("requests", "{request}", "requests served"),
        "large": meter.create_counter("large", "By"),
        "seconds": meter.create_counter("cpu.seconds", "s"),
        "active": meter.create_up_down_counter("active", "{request}"),
        "balance": meter.create_up_down_counter("balance", "1"),
        "duration": meter.create_histogram("duration", "s", "time per request: 延迟"),
        "size": meter.create_histogram("body.size", "By"),
        "fine": meter.create_histogram("latency.fine", "ms"),
        "level": meter.create_gauge("level", "1"),
        "ratio": meter.create_gauge("ratio", "1"),
    }


def measure(made, tracer):
    for number in range(10):
        attributes = {"route": f"/{number % 2}", "code": 200 + number % 2, "share": 0.5, "ok": True}
        with tracer.start_as_current_span("metered"):
            made["requests"].add(1, attributes)
            made["duration"].record(0.01 * number, attributes)
            made["size"].record(2**number, attributes)
            made["fine"].record(1.5**number, attributes)
        made["fine"].record(0, attributes)
        made["active"].add(1 if number % 3 else -2, attributes)
        made["balance"].add(-0.5, attributes)
        made["seconds"].add(0.125, attributes)
    made["large"].add(9007199254740993 // 2)
    made["level"].set(-(2**62))
    made["ratio"].set(0.1)


def send_logs(logger, tracer):
    bodies = ["plain 中文", "", 42, 2.5, True, b"\x00\xff", ["a", 1, None], {"nested": {"deep": [1.0, "x"]}}, None]
    levels = [SeverityNumber.TRACE, SeverityNumber.INFO, SeverityNumber.WARN3, SeverityNumber.FATAL4]
    for number, body in enumerate(bodies):
        level = levels[number % len(levels)]
        attributes = {"sequence": number, "map": {"k": [1, "two", None]}, "bytes": b"\x01\x02", "nothing": None}
        event = "order.placed" if number % 2 else None
        logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=level, severity_text=level.name, body=body,
                              attributes=attributes, event_name=event))
        with tracer.start_as_current_span("logged"):
            logger.emit(LogRecord(severity_number=level, body=body, attributes={"sequence": 100 + number}))


def main():
    recorder = Recorder(sys.argv[1])
    spans, metrics, logs = exporters()
    resource = Resource.create({"resource.int": 9007199254740993, "resource.list": ["a", "b"], "host.name": "主机"})

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    tracers.add_span_processor(SimpleSpanProcessor(SpanRecorder(recorder)))
    tracer = tracers.get_tracer(SCOPE["name"], SCOPE["version"], attributes={"scope.attribute": 1})

    views = [
        View(instrument_name="latency.fine", aggregation=ExponentialBucketHistogramAggregation(max_size=20)),
        View(instrument_name="body.size", aggregation=ExplicitBucketHistogramAggregation([1, 10, 100])),
    ]
    reader = PeriodicExportingMetricReader(MetricTee(metrics, recorder), export_interval_millis=3_600_000)
    meters = MeterProvider([reader], resource, views=views)
    meter = meters.get_meter(SCOPE["name"], SCOPE["version"])

    loggers = LoggerProvider(resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    loggers.add_log_record_processor(SimpleLogRecordProcessor(LogRecorder(recorder)))
    logger = loggers.get_logger(SCOPE["name"], SCOPE["version"])

    only_traces = len(sys.argv) > 2
    linked = None
    for number in range(int(sys.argv[2]) if only_traces else TRACES):
        linked = send_trace(tracer, number, linked)
    if only_traces:
        return tracers.shutdown()
    made = instruments(meter)
    for _ in range(2):  # two collections, so that delta and cumulative differ
        measure(made, tracer)
        meters.force_flush()
    send_logs(logger, tracer)
    loggers.shutdown()
    tracers.shutdown()
    meters.shutdown()


if __name__ == "__main__":
    main()
