// Sends traces, metrics and logs with OpenTelemetry's JavaScript SDK, and writes down what that SDK exported.
//
// `node sender.mjs OUT` reads the endpoint, protocol and compression from the standard OTEL_… variables. The lines
// of OUT come from a second exporter beside the OTLP one, so they hold the SDK's own objects (../README.md has the
// form). JavaScript has one kind of number: the exporter sends whole numbers as OTLP ints, and so does `typed`.
// `node sender.mjs OUT TRACES` sends only so many traces, no metrics and no logs.

import { openSync, writeSync } from 'node:fs';
import {
  context,
  createTraceState,
  diag,
  DiagConsoleLogger,
  DiagLogLevel,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  ValueType,
} from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import {
  AggregationTemporality,
  AggregationType,
  DataPointType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const TRACES = 20;
const PROTOCOL = process.env.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'grpc';
const PACKAGES = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };
const KINDS = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUS = ['UNSET', 'OK', 'ERROR'];

function typed(value) {
  if (value === null || value === undefined) return { type: 'null', value: null };
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'boolean') return { type: 'bool', value };
  if (typeof value === 'number') return number(value);
  if (value instanceof Uint8Array) return { type: 'bytes', value: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return { type: 'array', value: value.map(typed) };
  return { type: 'kvlist', value: typedAll(value) };
}

/** JSON.stringify shortens whole numbers beyond 2^53 (2^62 becomes 4611686018427388000), and that is what is sent. */
function number(value) {
  if (!Number.isInteger(value)) return { type: 'double', value: String(value) };
  return { type: 'int', value: PROTOCOL === 'http/json' ? JSON.stringify(value) : BigInt(value).toString() };
}

function typedAll(attributes) {
  return Object.fromEntries(Object.entries(attributes ?? {}).map(([key, value]) => [key, typed(value)]));
}

function nanoseconds([seconds, nanos]) {
  return (BigInt(seconds) * 1_000_000_000n + BigInt(nanos)).toString();
}

function origin(resource, scope) {
  return {
    resource: typedAll(resource.attributes),
    scope_name: scope.name,
    scope_version: scope.version ?? '',
  };
}

function spanRecord(span) {
  const { traceId, spanId, traceState } = span.spanContext();
  return {
    signal: 'span',
    trace_id: traceId,
    span_id: spanId,
    parent_span_id: span.parentSpanContext?.spanId ?? '',
    trace_state: traceState?.serialize() ?? '',
    name: span.name,
    kind: KINDS[span.kind],
    start_ns: nanoseconds(span.startTime),
    end_ns: nanoseconds(span.endTime),
    status_code: STATUS[span.status.code],
    status_message: span.status.message ?? '',
    attributes: typedAll(span.attributes),
    dropped_attributes_count: span.droppedAttributesCount,
    dropped_events_count: span.droppedEventsCount,
    dropped_links_count: span.droppedLinksCount,
    events: span.events.map((event) => ({
      time_ns: nanoseconds(event.time),
      name: event.name,
      attributes: typedAll(event.attributes),
    })),
    links: span.links.map((link) => ({
      trace_id: link.context.traceId,
      span_id: link.context.spanId,
      trace_state: link.context.traceState?.serialize() ?? '',
      attributes: typedAll(link.attributes),
    })),
    ...origin(span.resource, span.instrumentationScope),
  };
}

function pointRecord(metric, point) {
  const record = {
    signal: 'metric',
    name: metric.descriptor.name,
    description: metric.descriptor.description,
    unit: metric.descriptor.unit,
    start_ns: nanoseconds(point.startTime),
    time_ns: nanoseconds(point.endTime),
    attributes: typedAll(point.attributes),
  };
  const temporality = AggregationTemporality[metric.aggregationTemporality];
  const { value } = point;
  const isInt = metric.descriptor.valueType === ValueType.INT;
  const plain = () => ({ type: isInt ? 'int' : 'double', value: String(value) });
  switch (metric.dataPointType) {
    case DataPointType.GAUGE:
      return { ...record, type: 'GAUGE', value: plain() };
    case DataPointType.SUM:
      return { ...record, type: 'SUM', temporality, is_monotonic: metric.isMonotonic, value: plain() };
    case DataPointType.HISTOGRAM:
      return {
        ...record,
        ...summary(value),
        type: 'HISTOGRAM',
        temporality,
        explicit_bounds: value.buckets.boundaries.map(String),
        bucket_counts: value.buckets.counts.map(String),
      };
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return {
        ...record,
        ...summary(value),
        type: 'EXPONENTIAL_HISTOGRAM',
        temporality,
        scale: value.scale,
        zero_count: String(value.zeroCount),
        positive_offset: value.positive.offset,
        positive_counts: value.positive.bucketCounts.map(String),
        negative_offset: value.negative.offset,
        negative_counts: value.negative.bucketCounts.map(String),
      };
  }
}

function summary({ count, sum, min, max }) {
  const text = (value) => (value === undefined ? null : String(value));
  return { count: String(count), sum: text(sum), min: text(min), max: text(max) };
}

function* metricRecords({ resource, scopeMetrics }) {
  for (const { scope, metrics } of scopeMetrics) {
    for (const metric of metrics) {
      for (const point of metric.dataPoints) yield { ...pointRecord(metric, point), ...origin(resource, scope) };
    }
  }
}

function logRecord(record) {
  return {
    signal: 'log',
    time_ns: nanoseconds(record.hrTime),
    observed_ns: nanoseconds(record.hrTimeObserved),
    trace_id: record.spanContext?.traceId ?? '',
    span_id: record.spanContext?.spanId ?? '',
    severity_number: record.severityNumber ?? 0,
    severity_text: record.severityText ?? '',
    event_name: record.eventName ?? '',
    body: typed(record.body),
    attributes: typedAll(record.attributes),
    ...origin(record.resource, record.instrumentationScope),
  };
}

/** Writes one JSON line per record; as an exporter it records spans or log records. */
class Recorder {
  constructor(file, toRecord) {
    this.file = file;
    this.toRecord = toRecord;
  }

  export(batch, done) {
    write(this.file, batch.map(this.toRecord));
    done({ code: 0 });
  }

  async shutdown() {}
  async forceFlush() {}
}

function write(file, records) {
  for (const record of records) writeSync(file, `${JSON.stringify(record)}\n`);
}

/** Records the very batch that goes to the OTLP exporter: a second reader would see other times. */
function tee(otlp, file) {
  const send = otlp.export.bind(otlp);
  otlp.export = (batch, done) => {
    write(file, metricRecords(batch));
    send(batch, done);
  };
  return otlp;
}

async function exporters() {
  const suffix = PACKAGES[PROTOCOL];
  if (!suffix) throw new Error(`this sender does not speak ${PROTOCOL}`);
  const [traces, metrics, logs] = await Promise.all(
    ['trace', 'metrics', 'logs'].map((signal) => import(`@opentelemetry/exporter-${signal}-otlp-${suffix}`)),
  );
  return [new traces.OTLPTraceExporter(), new metrics.OTLPMetricExporter(), new logs.OTLPLogExporter()];
}

/** JSON has no NaN and no infinities; this SDK's JSON exporter sends null for them, which no server can undo. */
function everyType() {
  const special = { 'double.nan': NaN, 'double.inf': Infinity, 'double.minus_inf': -Infinity };
  return {
    string: 'plain',
    'string.empty': '',
    'string.unicode': '中文 🦀 עברית é\u0000 end',
    'string.escapes': 'quote " backslash \\ newline \n tab \t </script>',
    'string.long': 'x'.repeat(9000),
    'bool.true': true,
    'bool.false': false,
    'int.zero': 0,
    'int.negative': -7,
    'int.safe': Number.MAX_SAFE_INTEGER,
    'int.large': 2 ** 62,
    'int.min': -(2 ** 62),
    double: Math.PI,
    'double.whole': 200.0,
    'double.smallest': 5e-324,
    'double.large': 1.5e-300,
    ...(PROTOCOL === 'http/json' ? {} : special),
    strings: ['a', '', '中'],
    bools: [true, false],
    ints: [1, -2, Number.MAX_SAFE_INTEGER],
    doubles: [1.5, -0.5, 0.1],
    empty: [],
    'key "with" ключ.dots': 'value',
    'user.id': 42,
    'server.port': 'not a number',
    'http.response.status_code': 200,
    'http.request.method': 'GET',
    'db.system.name': 'postgresql',
    '@bytes': 'not bytes',
  };
}

function remoteParent(traceNumber) {
  const hex = (value, length) => value.toString(16).padStart(length, '0');
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: hex(0xa0000000 + traceNumber, 32),
    spanId: hex(0xb0000000 + traceNumber, 16),
    traceFlags: 1,
    isRemote: true,
    traceState: createTraceState('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'),
  });
}

/** Ten spans: a request that reads, computes, publishes, and is consumed. */
function sendTrace(tracer, traceNumber, linked) {
  const parent = traceNumber % 4 === 0 ? remoteParent(traceNumber) : ROOT_CONTEXT;
  const root = tracer.startSpan('GET /orders/{id}', { kind: SpanKind.SERVER, attributes: everyType() }, parent);
  const inside = trace.setSpan(parent, root);
  root.addEvent('received', { bytes: 512, ratio: 0.25, ok: true, tags: ['a', 'b'] });
  root.addEvent('long ago', {}, [1, 1]);
  for (let call = 0; call < 4; call++) {
    const span = tracer.startSpan('SELECT orders', { kind: SpanKind.CLIENT }, inside);
    span.setAttributes({ 'db.query.text': 'SELECT * FROM orders WHERE id = $1', call }).end();
  }
  const price = tracer.startSpan('price', {}, inside);
  const discount = tracer.startSpan('discount', { kind: SpanKind.INTERNAL }, trace.setSpan(inside, price));
  discount.setStatus({ code: SpanStatusCode.OK }).end();
  price.recordException(new Error(`no price for order ${traceNumber}: 价格`));
  price.setStatus({ code: SpanStatusCode.ERROR, message: 'no price: 价格' }).end();
  const publish = tracer.startSpan('publish order', { kind: SpanKind.PRODUCER }, inside);
  publish.end();
  const links = linked ? [{ context: linked, attributes: { reason: 'same order', position: traceNumber } }] : [];
  tracer.startSpan('process order', { kind: SpanKind.CONSUMER, links }, inside).end();
  const early = Date.now() - 3_600_000;
  tracer.startSpan('reported an hour late', { startTime: early }, inside).end(early + 1);
  root.setStatus({ code: SpanStatusCode.OK }).end();
  return publish.spanContext();
}

function instruments(meter) {
  const observe = (value) => (result) => {
    result.observe(value, { observed: true });
    result.observe(value * 2, { observed: false });
  };
  const int = { valueType: ValueType.INT };
  meter.createObservableCounter('observed.total', int).addCallback(observe(7));
  meter.createObservableUpDownCounter('observed.current', int).addCallback(observe(-3));
  meter.createObservableGauge('observed.gauge').addCallback(observe(0.5));
  return {
    requests: meter.createCounter('requests', { ...int, unit: '{request}', description: 'requests served' }),
    large: meter.createCounter('large', { ...int, unit: 'By' }),
    seconds: meter.createCounter('cpu.seconds', { unit: 's' }),
    active: meter.createUpDownCounter('active', { ...int, unit: '{request}' }),
    balance: meter.createUpDownCounter('balance', { unit: '1' }),
    duration: meter.createHistogram('duration', { unit: 's', description: 'time per request: 延迟' }),
    size: meter.createHistogram('body.size', { ...int, unit: 'By', advice: { explicitBucketBoundaries: [1, 10, 100] } }),
    fine: meter.createHistogram('latency.fine', { unit: 'ms' }),
    level: meter.createGauge('level', int),
    ratio: meter.createGauge('ratio', { unit: '1' }),
  };
}

function measure(made) {
  for (let at = 0; at < 10; at++) {
    const attributes = { route: `/${at % 2}`, code: 200 + (at % 2), share: 0.5, ok: true };
    made.requests.add(1, attributes);
    made.duration.record(0.01 * at, attributes);
    made.size.record(2 ** at, attributes);
    made.fine.record(1.5 ** at, attributes);
    made.fine.record(0, attributes);
    made.active.add(at % 3 ? 1 : -2, attributes);
    made.balance.add(-0.5, attributes);
    made.seconds.add(0.125, attributes);
  }
  made.large.add(2 ** 51);
  made.level.record(-(2 ** 52));
  made.ratio.record(0.1);
}

function sendLogs(logger, tracer) {
  const nested = { nested: { deep: [1.5, 'x'] } };
  const bodies = ['plain 中文', '', 42, 2.5, true, Uint8Array.of(0, 255), ['a', 1, null], nested, undefined];
  const levels = ['TRACE', 'INFO', 'WARN3', 'FATAL4'];
  bodies.forEach((body, sequence) => {
    const severityText = levels[sequence % levels.length];
    const severityNumber = SeverityNumber[severityText];
    const attributes = { sequence, map: { k: [1, 'two', null] }, bytes: Uint8Array.of(1, 2) };
    const eventName = sequence % 2 ? 'order.placed' : undefined;
    logger.emit({ timestamp: Date.now(), severityNumber, severityText, body, attributes, eventName });
    const span = tracer.startSpan('logged');
    const inside = trace.setSpan(context.active(), span);
    logger.emit({ severityNumber, body, attributes: { sequence: 100 + sequence }, context: inside });
    span.end();
  });
}

async function main() {
  // Without this the SDK says nothing of exports that it drops.
  diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.ERROR);
  const file = openSync(process.argv[2], 'w');
  const [spans, metrics, logs] = await exporters();
  const own = { 'resource.int': Number.MAX_SAFE_INTEGER, 'resource.list': ['a', 'b'], 'host.name': '主机' };
  const fromEnvironment = detectResources({ detectors: [envDetector] });
  const resource = defaultResource().merge(resourceFromAttributes(own)).merge(fromEnvironment);

  const spanProcessors = [new BatchSpanProcessor(spans), new SimpleSpanProcessor(new Recorder(file, spanRecord))];
  const tracers = new NodeTracerProvider({ resource, spanProcessors });
  const tracer = tracers.getTracer('hotspan.sender', '1.2.3');

  const exponential = { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 20 } };
  const views = [{ instrumentName: 'latency.fine', aggregation: exponential }];
  const exporter = tee(metrics, file);
  const readers = [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })];
  const meters = new MeterProvider({ resource, readers, views });

  const recorder = new SimpleLogRecordProcessor({ exporter: new Recorder(file, logRecord) });
  const processors = [new BatchLogRecordProcessor({ exporter: logs }), recorder];
  const loggers = new LoggerProvider({ resource, processors });

  const onlyTraces = process.argv[3];
  const count = Number(onlyTraces ?? TRACES);
  let linked;
  for (let at = 0; at < count; at++) linked = sendTrace(tracer, at, linked);
  if (onlyTraces) {
    await tracers.shutdown();
    return;
  }
  const made = instruments(meters.getMeter('hotspan.sender', '1.2.3'));
  for (let collection = 0; collection < 2; collection++) {
    measure(made);
    await meters.forceFlush();
  }
  sendLogs(loggers.getLogger('hotspan.sender', '1.2.3'), tracer);
  await loggers.shutdown();
  await tracers.shutdown();
  await meters.shutdown();
}

await main();
