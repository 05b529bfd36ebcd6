import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.AttributeType;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.sdk.common.InstrumentationScopeInfo;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.DoubleExemplarData;
import io.opentelemetry.sdk.metrics.data.DoublePointData;
import io.opentelemetry.sdk.metrics.data.ExemplarData;
import io.opentelemetry.sdk.metrics.data.ExponentialHistogramPointData;
import io.opentelemetry.sdk.metrics.data.HistogramPointData;
import io.opentelemetry.sdk.metrics.data.LongExemplarData;
import io.opentelemetry.sdk.metrics.data.LongPointData;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.data.PointData;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** What the SDK exported, in the form that README.md describes. */
final class Records {
  private Records() {}

  static Map<String, Object> span(SpanData span) {
    Map<String, Object> record = new LinkedHashMap<>();
    record.put("signal", "span");
    record.put("trace_id", span.getTraceId());
    record.put("span_id", span.getSpanId());
    record.put("parent_span_id", span.getParentSpanContext().isValid() ? span.getParentSpanId() : "");
    record.put("trace_state", traceState(span.getSpanContext()));
    record.put("name", span.getName());
    record.put("kind", span.getKind().name());
    record.put("start_ns", Long.toString(span.getStartEpochNanos()));
    record.put("end_ns", Long.toString(span.getEndEpochNanos()));
    record.put("status_code", span.getStatus().getStatusCode().name());
    record.put("status_message", span.getStatus().getDescription());
    record.put("attributes", typedAll(span.getAttributes()));
    record.put("dropped_attributes_count", span.getTotalAttributeCount() - span.getAttributes().size());
    record.put("dropped_events_count", span.getTotalRecordedEvents() - span.getEvents().size());
    record.put("dropped_links_count", span.getTotalRecordedLinks() - span.getLinks().size());
    record.put("events", span.getEvents().stream().map(event -> Map.of(
        "time_ns", Long.toString(event.getEpochNanos()),
        "name", event.getName(),
        "attributes", typedAll(event.getAttributes()))).toList());
    record.put("links", span.getLinks().stream().map(link -> Map.of(
        "trace_id", link.getSpanContext().getTraceId(),
        "span_id", link.getSpanContext().getSpanId(),
        "trace_state", traceState(link.getSpanContext()),
        "attributes", typedAll(link.getAttributes()))).toList());
    origin(record, span.getResource(), span.getInstrumentationScopeInfo());
    return record;
  }

  static List<Map<String, Object>> metric(MetricData metric) {
    List<Map<String, Object>> records = new ArrayList<>();
    for (PointData point : metric.getData().getPoints()) {
      Map<String, Object> record = new LinkedHashMap<>();
      record.put("signal", "metric");
      record.put("name", metric.getName());
      record.put("description", metric.getDescription());
      record.put("unit", metric.getUnit());
      record.put("start_ns", Long.toString(point.getStartEpochNanos()));
      record.put("time_ns", Long.toString(point.getEpochNanos()));
      record.put("attributes", typedAll(point.getAttributes()));
      record.put("exemplars", point.getExemplars().stream().map(Records::exemplar).toList());
      aggregation(record, metric);
      value(record, point);
      origin(record, metric.getResource(), metric.getInstrumentationScopeInfo());
      records.add(record);
    }
    return records;
  }

  private static void aggregation(Map<String, Object> record, MetricData metric) {
    switch (metric.getType()) {
      case LONG_GAUGE, DOUBLE_GAUGE -> record.put("type", "GAUGE");
      case LONG_SUM -> sum(record, metric.getLongSumData().getAggregationTemporality(),
          metric.getLongSumData().isMonotonic());
      case DOUBLE_SUM -> sum(record, metric.getDoubleSumData().getAggregationTemporality(),
          metric.getDoubleSumData().isMonotonic());
      case HISTOGRAM -> {
        record.put("type", "HISTOGRAM");
        record.put("temporality", metric.getHistogramData().getAggregationTemporality().name());
      }
      case EXPONENTIAL_HISTOGRAM -> {
        record.put("type", "EXPONENTIAL_HISTOGRAM");
        record.put("temporality", metric.getExponentialHistogramData().getAggregationTemporality().name());
      }
      default -> throw new IllegalStateException(metric.getType() + " is not made by this sender");
    }
  }

  private static void sum(Map<String, Object> record, AggregationTemporality temporality, boolean monotonic) {
    record.put("type", "SUM");
    record.put("temporality", temporality.name());
    record.put("is_monotonic", monotonic);
  }

  private static void value(Map<String, Object> record, PointData point) {
    if (point instanceof LongPointData number) {
      record.put("value", typed(Value.of(number.getValue())));
    } else if (point instanceof DoublePointData number) {
      record.put("value", typed(Value.of(number.getValue())));
    } else if (point instanceof HistogramPointData histogram) {
      record.put("count", Long.toString(histogram.getCount()));
      record.put("sum", Double.toString(histogram.getSum()));
      record.put("min", histogram.hasMin() ? Double.toString(histogram.getMin()) : null);
      record.put("max", histogram.hasMax() ? Double.toString(histogram.getMax()) : null);
      record.put("explicit_bounds", texts(histogram.getBoundaries()));
      record.put("bucket_counts", texts(histogram.getCounts()));
    } else if (point instanceof ExponentialHistogramPointData histogram) {
      record.put("count", Long.toString(histogram.getCount()));
      record.put("sum", Double.toString(histogram.getSum()));
      record.put("min", histogram.hasMin() ? Double.toString(histogram.getMin()) : null);
      record.put("max", histogram.hasMax() ? Double.toString(histogram.getMax()) : null);
      record.put("scale", histogram.getScale());
      record.put("zero_count", Long.toString(histogram.getZeroCount()));
      record.put("positive_offset", histogram.getPositiveBuckets().getOffset());
      record.put("positive_counts", texts(histogram.getPositiveBuckets().getBucketCounts()));
      record.put("negative_offset", histogram.getNegativeBuckets().getOffset());
      record.put("negative_counts", texts(histogram.getNegativeBuckets().getBucketCounts()));
    }
  }

  private static Map<String, Object> exemplar(ExemplarData exemplar) {
    Value<?> value = exemplar instanceof LongExemplarData number
        ? Value.of(number.getValue())
        : Value.of(((DoubleExemplarData) exemplar).getValue());
    SpanContext context = exemplar.getSpanContext();
    return Map.of(
        "time_ns", Long.toString(exemplar.getEpochNanos()),
        "value", typed(value),
        "trace_id", context.isValid() ? context.getTraceId() : "",
        "span_id", context.isValid() ? context.getSpanId() : "",
        "attributes", typedAll(exemplar.getFilteredAttributes()));
  }

  static Map<String, Object> log(LogRecordData log) {
    Map<String, Object> record = new LinkedHashMap<>();
    SpanContext context = log.getSpanContext();
    record.put("signal", "log");
    record.put("time_ns", Long.toString(log.getTimestampEpochNanos()));
    record.put("observed_ns", Long.toString(log.getObservedTimestampEpochNanos()));
    record.put("trace_id", context.isValid() ? context.getTraceId() : "");
    record.put("span_id", context.isValid() ? context.getSpanId() : "");
    record.put("severity_number", log.getSeverity().getSeverityNumber());
    record.put("severity_text", log.getSeverityText() == null ? "" : log.getSeverityText());
    record.put("event_name", log.getEventName() == null ? "" : log.getEventName());
    record.put("body", log.getBodyValue() == null ? typed(Value.empty()) : typed(log.getBodyValue()));
    record.put("attributes", typedAll(log.getAttributes()));
    origin(record, log.getResource(), log.getInstrumentationScopeInfo());
    return record;
  }

  private static void origin(Map<String, Object> record, Resource resource, InstrumentationScopeInfo scope) {
    record.put("resource", typedAll(resource.getAttributes()));
    record.put("scope_name", scope.getName());
    record.put("scope_version", scope.getVersion() == null ? "" : scope.getVersion());
    record.put("scope_attributes", typedAll(scope.getAttributes()));
  }

  private static String traceState(SpanContext context) {
    return context.getTraceState().asMap().entrySet().stream()
        .map(entry -> entry.getKey() + "=" + entry.getValue())
        .collect(Collectors.joining(","));
  }

  private static List<String> texts(List<?> numbers) {
    return numbers.stream().map(Object::toString).toList();
  }

  private static Map<String, Object> typedAll(Attributes attributes) {
    Map<String, Object> out = new LinkedHashMap<>();
    attributes.forEach((key, value) -> out.put(key.getKey(), typed(value(key, value))));
    return out;
  }

  private static Value<?> value(AttributeKey<?> key, Object value) {
    return key.getType() == AttributeType.VALUE ? (Value<?>) value : wrap(value);
  }

  private static Value<?> wrap(Object value) {
    if (value instanceof String text) return Value.of(text);
    if (value instanceof Boolean truth) return Value.of(truth);
    if (value instanceof Long number) return Value.of(number);
    if (value instanceof Double number) return Value.of(number);
    return Value.of(((List<?>) value).stream().<Value<?>>map(Records::wrap).toList());
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> typed(Value<?> value) {
    Object inner = value.getValue();
    return switch (value.getType()) {
      case STRING -> of("string", inner);
      case BOOLEAN -> of("bool", inner);
      case LONG -> of("int", inner.toString());
      case DOUBLE -> of("double", inner.toString());
      case BYTES -> {
        ByteBuffer buffer = ((ByteBuffer) inner).duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        yield of("bytes", Base64.getEncoder().encodeToString(bytes));
      }
      case ARRAY -> of("array", ((List<Value<?>>) inner).stream().map(Records::typed).toList());
      case KEY_VALUE_LIST -> {
        Map<String, Object> out = new LinkedHashMap<>();
        for (KeyValue entry : (List<KeyValue>) inner) out.put(entry.getKey(), typed(entry.getValue()));
        yield of("kvlist", out);
      }
      case EMPTY -> of("null", null);
    };
  }

  private static Map<String, Object> of(String type, Object value) {
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("type", type);
    out.put("value", value);
    return out;
  }
}
