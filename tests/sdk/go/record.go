package main

// What the SDK exported, one JSON line per span, data point and log record.

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type fields = map[string]any

type recorder struct {
	mutex sync.Mutex
	file  *os.File
	out   *bufio.Writer
}

func newRecorder(path string) (*recorder, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &recorder{file: file, out: bufio.NewWriter(file)}, nil
}

func (r *recorder) write(record fields) error {
	line, err := json.Marshal(record)
	if err != nil {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	_, err = r.out.Write(append(line, '\n'))
	return err
}

func (r *recorder) close() error {
	if err := r.out.Flush(); err != nil {
		return err
	}
	return r.file.Close()
}

func typed(value attribute.Value) fields {
	of := func(kind string, value any) fields { return fields{"type": kind, "value": value} }
	switch value.Type() {
	case attribute.BOOL:
		return of("bool", value.AsBool())
	case attribute.INT64:
		return of("int", strconv.FormatInt(value.AsInt64(), 10))
	case attribute.FLOAT64:
		return of("double", double(value.AsFloat64()))
	case attribute.STRING:
		return of("string", value.AsString())
	case attribute.BYTESLICE:
		return of("bytes", base64.StdEncoding.EncodeToString(value.AsByteSlice()))
	case attribute.BOOLSLICE:
		return of("array", each(value.AsBoolSlice(), attribute.BoolValue))
	case attribute.INT64SLICE:
		return of("array", each(value.AsInt64Slice(), attribute.Int64Value))
	case attribute.FLOAT64SLICE:
		return of("array", each(value.AsFloat64Slice(), attribute.Float64Value))
	case attribute.STRINGSLICE:
		return of("array", each(value.AsStringSlice(), attribute.StringValue))
	case attribute.SLICE:
		return of("array", each(value.AsSlice(), func(item attribute.Value) attribute.Value { return item }))
	case attribute.MAP:
		return of("kvlist", typedAll(value.AsMap()))
	default:
		return of("null", nil)
	}
}

func each[T any](items []T, wrap func(T) attribute.Value) []fields {
	out := make([]fields, 0, len(items))
	for _, item := range items {
		out = append(out, typed(wrap(item)))
	}
	return out
}

func typedAll(attributes []attribute.KeyValue) fields {
	out := fields{}
	for _, one := range attributes {
		out[string(one.Key)] = typed(one.Value)
	}
	return out
}

func double(value float64) string {
	if math.IsInf(value, 0) {
		return map[bool]string{true: "Infinity", false: "-Infinity"}[value > 0]
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

func nanoseconds(at time.Time) string {
	if at.IsZero() {
		return "0"
	}
	return strconv.FormatInt(at.UnixNano(), 10)
}

func withOrigin(record fields, from *resource.Resource, scope instrumentation.Scope) fields {
	record["resource"] = typedAll(from.Attributes())
	record["scope_name"] = scope.Name
	record["scope_version"] = scope.Version
	record["scope_attributes"] = typedAll(scope.Attributes.ToSlice())
	return record
}

func traceID(id trace.TraceID) string {
	if !id.IsValid() {
		return ""
	}
	return id.String()
}

func spanID(id trace.SpanID) string {
	if !id.IsValid() {
		return ""
	}
	return id.String()
}

type spanRecorder struct{ *recorder }

func (r spanRecorder) Shutdown(context.Context) error { return nil }

func (r spanRecorder) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, span := range spans {
		if err := r.write(spanRecord(span)); err != nil {
			return err
		}
	}
	return nil
}

var kinds = map[trace.SpanKind]string{
	trace.SpanKindInternal: "INTERNAL",
	trace.SpanKindServer:   "SERVER",
	trace.SpanKindClient:   "CLIENT",
	trace.SpanKindProducer: "PRODUCER",
	trace.SpanKindConsumer: "CONSUMER",
}

func spanRecord(span sdktrace.ReadOnlySpan) fields {
	events := []fields{}
	for _, event := range span.Events() {
		events = append(events, fields{
			"time_ns": nanoseconds(event.Time), "name": event.Name, "attributes": typedAll(event.Attributes),
		})
	}
	links := []fields{}
	for _, link := range span.Links() {
		// This exporter leaves a link's trace state out, so there is nothing to compare.
		links = append(links, fields{
			"trace_id":   link.SpanContext.TraceID().String(),
			"span_id":    link.SpanContext.SpanID().String(),
			"attributes": typedAll(link.Attributes),
		})
	}
	context := span.SpanContext()
	record := fields{
		"signal":                   "span",
		"trace_id":                 context.TraceID().String(),
		"span_id":                  context.SpanID().String(),
		"parent_span_id":           spanID(span.Parent().SpanID()),
		"trace_state":              context.TraceState().String(),
		"name":                     span.Name(),
		"kind":                     kinds[span.SpanKind()],
		"start_ns":                 nanoseconds(span.StartTime()),
		"end_ns":                   nanoseconds(span.EndTime()),
		"status_code":              []string{"UNSET", "ERROR", "OK"}[span.Status().Code],
		"status_message":           span.Status().Description,
		"attributes":               typedAll(span.Attributes()),
		"dropped_attributes_count": span.DroppedAttributes(),
		"dropped_events_count":     span.DroppedEvents(),
		"dropped_links_count":      span.DroppedLinks(),
		"events":                   events,
		"links":                    links,
	}
	return withOrigin(record, span.Resource(), span.InstrumentationScope())
}

// metricTee hands the very batch that it records to the OTLP exporter: a second reader would see other times.
type metricTee struct {
	sdkmetric.Exporter
	recorder *recorder
}

func (t *metricTee) Export(ctx context.Context, batch *metricdata.ResourceMetrics) error {
	for _, scope := range batch.ScopeMetrics {
		for _, metric := range scope.Metrics {
			for _, point := range points(metric.Data) {
				point["signal"] = "metric"
				point["name"] = metric.Name
				point["description"] = metric.Description
				point["unit"] = metric.Unit
				if err := t.recorder.write(withOrigin(point, batch.Resource, scope.Scope)); err != nil {
					return err
				}
			}
		}
	}
	return t.Exporter.Export(ctx, batch)
}

var temporalities = map[metricdata.Temporality]string{
	metricdata.CumulativeTemporality: "CUMULATIVE",
	metricdata.DeltaTemporality:      "DELTA",
}

func points(data metricdata.Aggregation) []fields {
	switch data := data.(type) {
	case metricdata.Gauge[int64]:
		return numbers(data.DataPoints, fields{"type": "GAUGE"})
	case metricdata.Gauge[float64]:
		return numbers(data.DataPoints, fields{"type": "GAUGE"})
	case metricdata.Sum[int64]:
		return numbers(data.DataPoints, sum(data.Temporality, data.IsMonotonic))
	case metricdata.Sum[float64]:
		return numbers(data.DataPoints, sum(data.Temporality, data.IsMonotonic))
	case metricdata.Histogram[int64]:
		return histograms(data.DataPoints, data.Temporality)
	case metricdata.Histogram[float64]:
		return histograms(data.DataPoints, data.Temporality)
	case metricdata.ExponentialHistogram[int64]:
		return exponentials(data.DataPoints, data.Temporality)
	case metricdata.ExponentialHistogram[float64]:
		return exponentials(data.DataPoints, data.Temporality)
	default:
		panic("an aggregation that this sender does not make")
	}
}

func sum(temporality metricdata.Temporality, monotonic bool) fields {
	return fields{"type": "SUM", "temporality": temporalities[temporality], "is_monotonic": monotonic}
}

func number[N int64 | float64](value N) fields {
	switch value := any(value).(type) {
	case int64:
		return fields{"type": "int", "value": strconv.FormatInt(value, 10)}
	case float64:
		return fields{"type": "double", "value": double(value)}
	}
	panic("neither int64 nor float64")
}

func numbers[N int64 | float64](points []metricdata.DataPoint[N], common fields) []fields {
	out := []fields{}
	for _, point := range points {
		record := fields{
			"attributes": typedAll(point.Attributes.ToSlice()),
			"start_ns":   nanoseconds(point.StartTime),
			"time_ns":    nanoseconds(point.Time),
			"value":      number(point.Value),
			"exemplars":  exemplars(point.Exemplars),
		}
		for key, value := range common {
			record[key] = value
		}
		out = append(out, record)
	}
	return out
}

func histograms[N int64 | float64](points []metricdata.HistogramDataPoint[N], of metricdata.Temporality) []fields {
	out := []fields{}
	for _, point := range points {
		bounds := []string{}
		for _, bound := range point.Bounds {
			bounds = append(bounds, double(bound))
		}
		out = append(out, fields{
			"type":            "HISTOGRAM",
			"temporality":     temporalities[of],
			"attributes":      typedAll(point.Attributes.ToSlice()),
			"start_ns":        nanoseconds(point.StartTime),
			"time_ns":         nanoseconds(point.Time),
			"count":           strconv.FormatUint(point.Count, 10),
			"sum":             double(float64(point.Sum)),
			"min":             extremum(point.Min),
			"max":             extremum(point.Max),
			"explicit_bounds": bounds,
			"bucket_counts":   counts(point.BucketCounts),
			"exemplars":       exemplars(point.Exemplars),
		})
	}
	return out
}

func exponentials[N int64 | float64](
	points []metricdata.ExponentialHistogramDataPoint[N], of metricdata.Temporality,
) []fields {
	out := []fields{}
	for _, point := range points {
		out = append(out, fields{
			"type":            "EXPONENTIAL_HISTOGRAM",
			"temporality":     temporalities[of],
			"attributes":      typedAll(point.Attributes.ToSlice()),
			"start_ns":        nanoseconds(point.StartTime),
			"time_ns":         nanoseconds(point.Time),
			"count":           strconv.FormatUint(point.Count, 10),
			"sum":             double(float64(point.Sum)),
			"min":             extremum(point.Min),
			"max":             extremum(point.Max),
			"scale":           point.Scale,
			"zero_count":      strconv.FormatUint(point.ZeroCount, 10),
			"positive_offset": point.PositiveBucket.Offset,
			"positive_counts": counts(point.PositiveBucket.Counts),
			"negative_offset": point.NegativeBucket.Offset,
			"negative_counts": counts(point.NegativeBucket.Counts),
			"exemplars":       exemplars(point.Exemplars),
		})
	}
	return out
}

func extremum[N int64 | float64](of metricdata.Extrema[N]) any {
	if value, defined := of.Value(); defined {
		return double(float64(value))
	}
	return nil
}

func counts(of []uint64) []string {
	out := []string{}
	for _, count := range of {
		out = append(out, strconv.FormatUint(count, 10))
	}
	return out
}

func exemplars[N int64 | float64](of []metricdata.Exemplar[N]) []fields {
	out := []fields{}
	for _, one := range of {
		out = append(out, fields{
			"time_ns":    nanoseconds(one.Time),
			"value":      number(one.Value),
			"trace_id":   traceID(trace.TraceID(one.TraceID)),
			"span_id":    spanID(trace.SpanID(one.SpanID)),
			"attributes": typedAll(one.FilteredAttributes),
		})
	}
	return out
}

type logRecorder struct{ *recorder }

func (r logRecorder) Shutdown(context.Context) error   { return nil }
func (r logRecorder) ForceFlush(context.Context) error { return nil }

func (r logRecorder) Export(_ context.Context, records []sdklog.Record) error {
	for _, record := range records {
		if err := r.write(logRecord(record)); err != nil {
			return err
		}
	}
	return nil
}

func logRecord(record sdklog.Record) fields {
	attributes := fields{}
	record.WalkAttributes(func(one attribute.KeyValue) bool {
		attributes[string(one.Key)] = typed(one.Value)
		return true
	})
	out := fields{
		"signal":          "log",
		"time_ns":         nanoseconds(record.Timestamp()),
		"observed_ns":     nanoseconds(record.ObservedTimestamp()),
		"trace_id":        traceID(record.TraceID()),
		"span_id":         spanID(record.SpanID()),
		"severity_number": int(record.Severity()),
		"severity_text":   record.SeverityText(),
		"event_name":      record.EventName(),
		"body":            typed(record.Body()),
		"attributes":      attributes,
	}
	return withOrigin(out, record.Resource(), record.InstrumentationScope())
}
