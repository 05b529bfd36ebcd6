package main

// What the sender does with the API: a small shop whose spans, instruments and log records use every type once.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"
)

func everyType() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("string", "plain"),
		attribute.String("string.empty", ""),
		attribute.String("string.unicode", "中文 🦀 עברית é \u0000 end"),
		attribute.String("string.escapes", "quote \" backslash \\ newline \n tab \t </script>"),
		attribute.String("string.long", strings.Repeat("x", 9000)),
		attribute.Bool("bool.true", true),
		attribute.Bool("bool.false", false),
		attribute.Int("int.zero", 0),
		attribute.Int("int.negative", -7),
		attribute.Int64("int.beyond_double", 9007199254740993),
		attribute.Int64("int.max", math.MaxInt64),
		attribute.Int64("int.min", math.MinInt64),
		attribute.Float64("double", math.Pi),
		attribute.Float64("double.whole", 200),
		attribute.Float64("double.nan", math.NaN()),
		attribute.Float64("double.inf", math.Inf(1)),
		attribute.Float64("double.minus_inf", math.Inf(-1)),
		attribute.Float64("double.minus_zero", math.Copysign(0, -1)),
		attribute.Float64("double.smallest", math.SmallestNonzeroFloat64),
		attribute.Float64("double.largest", math.MaxFloat64),
		attribute.StringSlice("strings", []string{"a", "", "中"}),
		attribute.BoolSlice("bools", []bool{true, false}),
		attribute.Int64Slice("ints", []int64{1, math.MinInt64, math.MaxInt64}),
		attribute.Float64Slice("doubles", []float64{1, -0.5, 1e300}),
		attribute.StringSlice("empty", []string{}),
		attribute.ByteSlice("bytes", []byte{0, 255}),
		attribute.Slice("mixed", attribute.IntValue(1), attribute.StringValue("two"), attribute.Value{}),
		attribute.Map("map", attribute.String("inner", "x"), attribute.Map("deeper", attribute.Float64("y", 1))),
		attribute.Map("looks like bytes", attribute.String("@bytes", "AP8=")),
		attribute.Map("looks like a double", attribute.String("@double", "NaN")),
		attribute.String(`key "with" ключ.dots`, "value"),
		attribute.Int("user.id", 42),
		attribute.String("server.port", "not a number"),
		attribute.Int("http.response.status_code", 200),
		attribute.String("http.request.method", "GET"),
		attribute.String("db.system.name", "postgresql"),
		attribute.String("@bytes", "not bytes"),
	}
}

// sendTrace makes ten spans: a request that reads, computes, publishes, and is consumed.
func sendTrace(ctx context.Context, tracer trace.Tracer, number int, linked trace.SpanContext) trace.SpanContext {
	if number%4 == 0 {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{
			"traceparent": fmt.Sprintf("00-%032x-%016x-01", 0xA0000000+number, 0xB0000000+number),
			"tracestate":  "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
		})
	}
	ctx, root := tracer.Start(ctx, "GET /orders/{id}",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(everyType()...))
	defer root.End()
	root.AddEvent("received", trace.WithAttributes(attribute.Int("bytes", 512), attribute.Float64("ratio", 0.25),
		attribute.Bool("ok", true), attribute.StringSlice("tags", []string{"a", "b"})))
	root.AddEvent("at the start of time", trace.WithTimestamp(time.Unix(0, 1)))
	for call := range 4 {
		_, span := tracer.Start(ctx, "SELECT orders", trace.WithSpanKind(trace.SpanKindClient))
		span.SetAttributes(
			attribute.String("db.query.text", "SELECT * FROM orders WHERE id = $1"), attribute.Int("call", call))
		span.End()
	}
	price(ctx, tracer, number)
	_, publish := tracer.Start(ctx, "publish order", trace.WithSpanKind(trace.SpanKindProducer))
	publish.End()
	consumer := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	if linked.IsValid() {
		why := []attribute.KeyValue{attribute.String("reason", "same order"), attribute.Int("position", number)}
		consumer = append(consumer, trace.WithLinks(trace.Link{SpanContext: linked, Attributes: why}))
	}
	_, consume := tracer.Start(ctx, "process order", consumer...)
	consume.End()
	early := time.Now().Add(-time.Hour)
	_, late := tracer.Start(ctx, "reported an hour late", trace.WithTimestamp(early))
	late.End(trace.WithTimestamp(early.Add(1)))
	root.SetStatus(codes.Ok, "")
	return publish.SpanContext()
}

func price(ctx context.Context, tracer trace.Tracer, number int) {
	ctx, span := tracer.Start(ctx, "price")
	defer span.End()
	_, discount := tracer.Start(ctx, "discount", trace.WithSpanKind(trace.SpanKindInternal))
	discount.SetStatus(codes.Ok, "")
	discount.End()
	span.RecordError(fmt.Errorf("no price for order %d: %w", number, errors.New("价格")))
	span.SetStatus(codes.Error, "no price: 价格")
}

func views() []sdkmetric.View {
	exponential := sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 20, MaxScale: 20}
	return []sdkmetric.View{
		sdkmetric.NewView(sdkmetric.Instrument{Name: "latency.fine"}, sdkmetric.Stream{Aggregation: exponential}),
	}
}

// instruments returns the function that uses each of them.
func instruments(meter metric.Meter, tracer trace.Tracer) (func(context.Context), error) {
	made := maker{meter: meter}
	requests := made.counter("requests", "{request}", "requests served")
	large := made.counter("large", "By", "")
	seconds, err := meter.Float64Counter("cpu.seconds", metric.WithUnit("s"))
	made.failed(err)
	active, err := meter.Int64UpDownCounter("active", metric.WithUnit("{request}"))
	made.failed(err)
	balance, err := meter.Float64UpDownCounter("balance", metric.WithUnit("1"))
	made.failed(err)
	duration, err := meter.Float64Histogram(
		"duration", metric.WithUnit("s"), metric.WithDescription("time per request: 延迟"))
	made.failed(err)
	size, err := meter.Int64Histogram("body.size", metric.WithExplicitBucketBoundaries(1, 10, 100))
	made.failed(err)
	fine, err := meter.Float64Histogram("latency.fine", metric.WithUnit("ms"))
	made.failed(err)
	level, err := meter.Int64Gauge("level")
	made.failed(err)
	ratio, err := meter.Float64Gauge("ratio")
	made.failed(err)
	_, err = meter.Int64ObservableCounter("observed.total", metric.WithInt64Callback(observe(7)))
	made.failed(err)
	_, err = meter.Int64ObservableUpDownCounter("observed.current", metric.WithInt64Callback(observe(-3)))
	made.failed(err)
	_, err = meter.Int64ObservableGauge("observed.gauge", metric.WithInt64Callback(observe(5)))
	made.failed(err)
	return func(ctx context.Context) {
		for number := range 10 {
			with := metric.WithAttributes(attribute.String("route", fmt.Sprint("/", number%2)),
				attribute.Int("code", 200+number%2), attribute.Float64("share", 0.5), attribute.Bool("ok", true))
			inside, span := tracer.Start(ctx, "metered")
			requests.Add(inside, 1, with)
			duration.Record(inside, 0.01*float64(number), with)
			size.Record(inside, 1<<number, with)
			fine.Record(inside, math.Pow(1.5, float64(number)), with)
			fine.Record(inside, -2, with)
			span.End()
			fine.Record(ctx, 0, with)
			active.Add(ctx, int64(number%3-1), with)
			balance.Add(ctx, -0.5, with)
			seconds.Add(ctx, 0.125, with)
		}
		large.Add(ctx, 9007199254740993)
		level.Record(ctx, math.MinInt64)
		ratio.Record(ctx, 0.1)
	}, made.err
}

// maker keeps the first error of many.
type maker struct {
	meter metric.Meter
	err   error
}

func (m *maker) failed(err error) {
	if m.err == nil {
		m.err = err
	}
}

func (m *maker) counter(name, unit, description string) metric.Int64Counter {
	made, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.failed(err)
	return made
}

func observe(value int64) metric.Int64Callback {
	return func(_ context.Context, observer metric.Int64Observer) error {
		observer.Observe(value, metric.WithAttributes(attribute.Bool("observed", true)))
		observer.Observe(value*2, metric.WithAttributes(attribute.Bool("observed", false)))
		return nil
	}
}

func sendLogs(ctx context.Context, logger log.Logger, tracer trace.Tracer) {
	bodies := []attribute.Value{
		attribute.StringValue("plain 中文"),
		attribute.StringValue(""),
		attribute.IntValue(42),
		attribute.Float64Value(2.5),
		attribute.BoolValue(true),
		attribute.ByteSliceValue([]byte{0, 255}),
		attribute.SliceValue(attribute.StringValue("a"), attribute.IntValue(1), attribute.Value{}),
		attribute.MapValue(attribute.Map("nested", attribute.Float64Slice("deep", []float64{1, 2}))),
		{},
	}
	levels := []log.Severity{log.SeverityTrace, log.SeverityInfo, log.SeverityWarn3, log.SeverityFatal4}
	for sequence, body := range bodies {
		var record log.Record
		record.SetTimestamp(time.Now())
		record.SetSeverity(levels[sequence%len(levels)])
		record.SetSeverityText(levels[sequence%len(levels)].String())
		record.SetBody(body)
		if sequence%2 == 1 {
			record.SetEventName("order.placed")
		}
		record.AddAttributes(attribute.Int("sequence", sequence), attribute.ByteSlice("bytes", []byte{1, 2}),
			attribute.Map("map", attribute.Slice("k", attribute.IntValue(1), attribute.StringValue("two"))))
		logger.Emit(ctx, record)

		inside, span := tracer.Start(ctx, "logged")
		var bare log.Record
		bare.SetBody(body)
		bare.AddAttributes(attribute.Int("sequence", 100+sequence))
		logger.Emit(inside, bare)
		span.End()
	}
}
