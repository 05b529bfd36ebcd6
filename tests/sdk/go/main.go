// Sends traces, metrics and logs with OpenTelemetry's Go SDK, and writes down what that SDK exported.
//
// `sender OUT` reads the endpoint, protocol and compression from the standard OTEL_… variables. The lines of OUT
// come from a second exporter beside the OTLP one, so they hold the SDK's own objects (../README.md has the form).
// `sender OUT TRACES` sends only so many traces, no metrics and no logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const traces = 20

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, onlyTraces []string) error {
	count := traces
	if len(onlyTraces) > 0 {
		var err error
		if count, err = strconv.Atoi(onlyTraces[0]); err != nil {
			return err
		}
	}
	recorder, err := newRecorder(out)
	if err != nil {
		return err
	}
	spans, metrics, logs, err := exporters(ctx)
	if err != nil {
		return err
	}
	own := resource.WithAttributes(
		attribute.Int64("resource.int", 9007199254740993),
		attribute.StringSlice("resource.list", []string{"a", "b"}),
		attribute.String("host.name", "主机"),
	)
	from, err := resource.New(ctx, own, resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return err
	}

	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithResource(from), sdktrace.WithBatcher(spans), sdktrace.WithSyncer(spanRecorder{recorder}))
	reader := sdkmetric.NewPeriodicReader(&metricTee{metrics, recorder}, sdkmetric.WithInterval(time.Hour))
	meters := sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(from), sdkmetric.WithReader(reader), sdkmetric.WithView(views()...))
	loggers := sdklog.NewLoggerProvider(
		sdklog.WithResource(from),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)),
		sdklog.WithProcessor(sdklog.NewSimpleProcessor(logRecorder{recorder})))

	tracer := tracers.Tracer("hotspan.sender", trace.WithInstrumentationVersion("1.2.3"),
		trace.WithInstrumentationAttributes(attribute.Int("scope.attribute", 1)))
	var linked trace.SpanContext
	for number := range count {
		linked = sendTrace(ctx, tracer, number, linked)
	}
	if len(onlyTraces) > 0 {
		return errors.Join(tracers.Shutdown(ctx), recorder.close())
	}
	measure, err := instruments(meters.Meter("hotspan.sender"), tracer)
	if err != nil {
		return err
	}
	for range 2 { // two collections, so that delta and cumulative differ
		measure(ctx)
		if err := meters.ForceFlush(ctx); err != nil {
			return err
		}
	}
	sendLogs(ctx, loggers.Logger("hotspan.sender"), tracer)
	for _, shutdown := range []func(context.Context) error{loggers.Shutdown, tracers.Shutdown, meters.Shutdown} {
		if err := shutdown(ctx); err != nil {
			return err
		}
	}
	return recorder.close()
}

func exporters(ctx context.Context) (sdktrace.SpanExporter, sdkmetric.Exporter, sdklog.Exporter, error) {
	switch protocol := os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "", "grpc":
		spans, err := otlptracegrpc.New(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		metrics, err := otlpmetricgrpc.New(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		logs, err := otlploggrpc.New(ctx)
		return spans, metrics, logs, err
	case "http/protobuf":
		spans, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		metrics, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		logs, err := otlploghttp.New(ctx)
		return spans, metrics, logs, err
	default:
		return nil, nil, nil, fmt.Errorf("this sender speaks grpc and http/protobuf, not %q", protocol)
	}
}
