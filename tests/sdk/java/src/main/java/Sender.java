import static io.opentelemetry.api.common.AttributeKey.stringArrayKey;

import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.common.export.MemoryMode;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.logs.export.SimpleLogRecordProcessor;
import io.opentelemetry.sdk.metrics.Aggregation;
import io.opentelemetry.sdk.metrics.InstrumentSelector;
import io.opentelemetry.sdk.metrics.InstrumentType;
import io.opentelemetry.sdk.metrics.View;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.export.MetricExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Sends traces, metrics and logs with OpenTelemetry's Java SDK, and writes down what that SDK exported.
 *
 * <p>{@code java Sender OUT} is configured by the standard OTEL_… variables. The lines of OUT come from a second
 * exporter beside the OTLP one, so they hold the SDK's own objects (README.md has the form). {@code java Sender OUT
 * TRACES} sends only so many traces, no metrics of its own and no logs.
 */
final class Sender {
  private static final int TRACES = 20;
  private static final String SCOPE = "hotspan.sender";

  private Sender() {}

  public static void main(String[] arguments) throws IOException {
    try (PrintWriter out = new PrintWriter(arguments[0], StandardCharsets.UTF_8);
        OpenTelemetrySdk sdk = sdk(out)) {
      var tracer = sdk.getTracerProvider().tracerBuilder(SCOPE).setInstrumentationVersion("1.2.3").build();
      SpanContext linked = null;
      boolean onlyTraces = arguments.length > 1;
      int count = onlyTraces ? Integer.parseInt(arguments[1]) : TRACES;
      for (int number = 0; number < count; number++) linked = Shop.trace(tracer, number, linked);
      if (onlyTraces) {
        // Closing waits for 10 seconds only, and says nothing when an export takes longer.
        sdk.getSdkTracerProvider().forceFlush().join(60, TimeUnit.SECONDS);
        return;
      }
      Runnable measure = Shop.instruments(sdk.getMeterProvider().get(SCOPE), tracer);
      for (int collection = 0; collection < 2; collection++) {
        measure.run();
        sdk.getSdkMeterProvider().forceFlush().join(30, TimeUnit.SECONDS);
      }
      Shop.logs(sdk.getSdkLoggerProvider().get(SCOPE), tracer);
    }
  }

  private static OpenTelemetrySdk sdk(PrintWriter out) {
    Attributes own = Attributes.builder().put("resource.int", 9007199254740993L)
        .put(stringArrayKey("resource.list"), List.of("a", "b")).put("host.name", "主机").build();
    View exponential = View.builder().setAggregation(Aggregation.base2ExponentialBucketHistogram(20, 20)).build();
    InstrumentSelector fine = InstrumentSelector.builder().setName("latency.fine").build();
    return AutoConfiguredOpenTelemetrySdk.builder()
        .disableShutdownHook()
        .addResourceCustomizer((resource, config) -> resource.merge(Resource.create(own)))
        .addTracerProviderCustomizer((tracers, config) ->
            tracers.addSpanProcessor(SimpleSpanProcessor.create(new SpanRecorder(out))))
        .addMeterProviderCustomizer((meters, config) -> meters.registerView(fine, exponential))
        .addMetricExporterCustomizer((otlp, config) -> new MetricTee(otlp, out))
        .addLoggerProviderCustomizer((loggers, config) ->
            loggers.addLogRecordProcessor(SimpleLogRecordProcessor.create(new LogRecorder(out))))
        .build()
        .getOpenTelemetrySdk();
  }

  private static void write(PrintWriter out, Map<String, Object> record) {
    synchronized (out) {
      out.println(Json.write(record));
    }
  }

  private record SpanRecorder(PrintWriter out) implements SpanExporter {
    @Override
    public CompletableResultCode export(Collection<SpanData> spans) {
      spans.forEach(span -> write(out, Records.span(span)));
      return CompletableResultCode.ofSuccess();
    }

    @Override
    public CompletableResultCode flush() {
      return CompletableResultCode.ofSuccess();
    }

    @Override
    public CompletableResultCode shutdown() {
      return CompletableResultCode.ofSuccess();
    }
  }

  private record LogRecorder(PrintWriter out) implements LogRecordExporter {
    @Override
    public CompletableResultCode export(Collection<LogRecordData> logs) {
      logs.forEach(log -> write(out, Records.log(log)));
      return CompletableResultCode.ofSuccess();
    }

    @Override
    public CompletableResultCode flush() {
      return CompletableResultCode.ofSuccess();
    }

    @Override
    public CompletableResultCode shutdown() {
      return CompletableResultCode.ofSuccess();
    }
  }

  /** Hands the very batch that it records to the OTLP exporter: a second reader would see other times. */
  private record MetricTee(MetricExporter otlp, PrintWriter out) implements MetricExporter {
    @Override
    public CompletableResultCode export(Collection<MetricData> metrics) {
      metrics.forEach(metric -> Records.metric(metric).forEach(record -> write(out, record)));
      return otlp.export(metrics);
    }

    @Override
    public AggregationTemporality getAggregationTemporality(InstrumentType instrument) {
      return otlp.getAggregationTemporality(instrument);
    }

    @Override
    public Aggregation getDefaultAggregation(InstrumentType instrument) {
      return otlp.getDefaultAggregation(instrument);
    }

    @Override
    public MemoryMode getMemoryMode() {
      return otlp.getMemoryMode();
    }

    @Override
    public CompletableResultCode flush() {
      return otlp.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return otlp.shutdown();
    }
  }
}
