import static io.opentelemetry.api.common.AttributeKey.booleanArrayKey;
import static io.opentelemetry.api.common.AttributeKey.doubleArrayKey;
import static io.opentelemetry.api.common.AttributeKey.longArrayKey;
import static io.opentelemetry.api.common.AttributeKey.stringArrayKey;
import static io.opentelemetry.api.common.AttributeKey.stringKey;

import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import java.time.Instant;
import java.util.List;

/** What the sender does with the API: spans, instruments and log records that use every type once. */
final class Shop {
  private Shop() {}

  static Attributes everyType() {
    return Attributes.builder()
        .put("string", "plain")
        .put("string.empty", "")
        .put("string.unicode", "中文 🦀 עברית é \u0000 end")
        .put("string.escapes", "quote \" backslash \\ newline \n tab \t </script>")
        .put("string.long", "x".repeat(9000))
        .put("bool.true", true)
        .put("bool.false", false)
        .put("int.zero", 0L)
        .put("int.negative", -7L)
        .put("int.beyond_double", 9007199254740993L)
        .put("int.max", Long.MAX_VALUE)
        .put("int.min", Long.MIN_VALUE)
        .put("double", Math.PI)
        .put("double.whole", 200.0)
        .put("double.nan", Double.NaN)
        .put("double.inf", Double.POSITIVE_INFINITY)
        .put("double.minus_inf", Double.NEGATIVE_INFINITY)
        .put("double.minus_zero", -0.0)
        .put("double.smallest", Double.MIN_VALUE)
        .put("double.largest", Double.MAX_VALUE)
        .put(stringArrayKey("strings"), List.of("a", "", "中"))
        .put(booleanArrayKey("bools"), List.of(true, false))
        .put(longArrayKey("ints"), List.of(1L, Long.MIN_VALUE, Long.MAX_VALUE))
        .put(doubleArrayKey("doubles"), List.of(1.0, -0.5, 1e300))
        .put(stringArrayKey("empty"), List.of())
        .put(AttributeKey.valueKey("bytes"), Value.of(new byte[] {0, (byte) 255}))
        .put(AttributeKey.valueKey("mixed"), Value.of(Value.of(1), Value.of("two"), Value.empty()))
        .put(AttributeKey.valueKey("map"), Value.of(KeyValue.of("inner", Value.of("x"))))
        .put(AttributeKey.valueKey("looks like bytes"), Value.of(KeyValue.of("@bytes", Value.of("AP8="))))
        .put("key \"with\" ключ.dots", "value")
        .put("user.id", 42L)
        .put("server.port", "not a number")
        .put("http.response.status_code", 200L)
        .put("http.request.method", "GET")
        .put("db.system.name", "postgresql")
        .put("@bytes", "not bytes")
        .build();
  }

  /** Ten spans: a request that reads, computes, publishes, and is consumed. */
  static SpanContext trace(Tracer tracer, int number, SpanContext linked) {
    Context parent = number % 4 == 0 ? Context.root().with(Span.wrap(remote(number))) : Context.root();
    Span root = tracer.spanBuilder("GET /orders/{id}").setParent(parent).setSpanKind(SpanKind.SERVER)
        .setAllAttributes(everyType()).startSpan();
    Context inside = parent.with(root);
    root.addEvent("received", Attributes.builder().put("bytes", 512).put("ratio", 0.25).put("ok", true)
        .put(stringArrayKey("tags"), List.of("a", "b")).build());
    root.addEvent("at the start of time", Instant.ofEpochSecond(0, 1));
    for (int call = 0; call < 4; call++) {
      tracer.spanBuilder("SELECT orders").setParent(inside).setSpanKind(SpanKind.CLIENT).startSpan()
          .setAttribute("db.query.text", "SELECT * FROM orders WHERE id = $1").setAttribute("call", call).end();
    }
    price(tracer, inside, number);
    Span publish = tracer.spanBuilder("publish order").setParent(inside).setSpanKind(SpanKind.PRODUCER).startSpan();
    publish.end();
    SpanBuilder consume = tracer.spanBuilder("process order").setParent(inside).setSpanKind(SpanKind.CONSUMER);
    if (linked != null) {
      consume.addLink(linked, Attributes.builder().put("reason", "same order").put("position", number).build());
    }
    consume.startSpan().end();
    Instant early = Instant.now().minusSeconds(3600);
    tracer.spanBuilder("reported an hour late").setParent(inside).setStartTimestamp(early).startSpan()
        .end(early.plusNanos(1));
    root.setStatus(StatusCode.OK).end();
    return publish.getSpanContext();
  }

  private static void price(Tracer tracer, Context inside, int number) {
    Span price = tracer.spanBuilder("price").setParent(inside).startSpan();
    tracer.spanBuilder("discount").setParent(inside.with(price)).startSpan().setStatus(StatusCode.OK).end();
    price.recordException(new IllegalStateException("no price for order " + number + ": 价格"));
    price.setStatus(StatusCode.ERROR, "no price: 价格").end();
  }

  private static SpanContext remote(int number) {
    TraceState state = TraceState.builder().put("congo", "t61rcWkgMzE").put("rojo", "00f067aa0ba902b7").build();
    String traceId = String.format("%032x", 0xA0000000L + number);
    String spanId = String.format("%016x", 0xB0000000L + number);
    return SpanContext.createFromRemoteParent(traceId, spanId, TraceFlags.getSampled(), state);
  }

  /** Makes the instruments; the answer uses each of them. */
  static Runnable instruments(Meter meter, Tracer tracer) {
    var requests = meter.counterBuilder("requests").setUnit("{request}").setDescription("requests served").build();
    var large = meter.counterBuilder("large").setUnit("By").build();
    var seconds = meter.counterBuilder("cpu.seconds").setUnit("s").ofDoubles().build();
    var active = meter.upDownCounterBuilder("active").setUnit("{request}").build();
    var balance = meter.upDownCounterBuilder("balance").setUnit("1").ofDoubles().build();
    var duration = meter.histogramBuilder("duration").setUnit("s").setDescription("time per request: 延迟").build();
    var size = meter.histogramBuilder("body.size").setUnit("By").ofLongs()
        .setExplicitBucketBoundariesAdvice(List.of(1L, 10L, 100L)).build();
    var fine = meter.histogramBuilder("latency.fine").setUnit("ms").build();
    var level = meter.gaugeBuilder("level").ofLongs().build();
    var ratio = meter.gaugeBuilder("ratio").build();
    Attributes yes = Attributes.builder().put("observed", true).build();
    meter.counterBuilder("observed.total").buildWithCallback(observer -> observer.record(7, yes));
    meter.upDownCounterBuilder("observed.current").buildWithCallback(observer -> observer.record(-3, yes));
    meter.gaugeBuilder("observed.gauge").buildWithCallback(observer -> observer.record(0.5, yes));
    return () -> {
      for (int number = 0; number < 10; number++) {
        Attributes attributes = Attributes.builder().put("route", "/" + number % 2).put("code", 200 + number % 2)
            .put("share", 0.5).put("ok", true).build();
        Span span = tracer.spanBuilder("metered").startSpan();
        try (Scope scope = span.makeCurrent()) {
          requests.add(1, attributes);
          duration.record(0.01 * number, attributes);
          size.record(1L << number, attributes);
          fine.record(Math.pow(1.5, number), attributes);
        }
        span.end();
        fine.record(0, attributes);
        active.add(number % 3 - 1, attributes);
        balance.add(-0.5, attributes);
        seconds.add(0.125, attributes);
      }
      large.add(9007199254740993L);
      level.set(Long.MIN_VALUE);
      ratio.set(0.1);
    };
  }

  static void logs(Logger logger, Tracer tracer) {
    Value<?> nested = Value.of(KeyValue.of("deep", Value.of(Value.of(1.0), Value.of("x"))));
    List<Value<?>> bodies = List.of(
        Value.of("plain 中文"), Value.of(""), Value.of(42), Value.of(2.5), Value.of(true),
        Value.of(new byte[] {0, (byte) 255}), Value.of(Value.of("a"), Value.of(1), Value.empty()),
        Value.of(KeyValue.of("nested", nested)), Value.empty());
    List<Severity> levels = List.of(Severity.TRACE, Severity.INFO, Severity.WARN3, Severity.FATAL4);
    for (int sequence = 0; sequence < bodies.size(); sequence++) {
      Severity level = levels.get(sequence % levels.size());
      var full = logger.logRecordBuilder().setTimestamp(Instant.now()).setSeverity(level)
          .setSeverityText(level.name()).setBody(bodies.get(sequence)).setAttribute("sequence", sequence)
          .setAttribute("bytes", Value.of(new byte[] {1, 2}));
      if (sequence % 2 == 1) full.setEventName("order.placed");
      full.setAttribute(stringKey("text"), "中").emit();

      Span span = tracer.spanBuilder("logged").startSpan();
      logger.logRecordBuilder().setContext(Context.root().with(span)).setBody(bodies.get(sequence))
          .setAttribute("sequence", 100 + sequence).emit();
      span.end();
    }
  }
}
