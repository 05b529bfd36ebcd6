"""Trouble with OTLP/JSON: what is not JSON, and what is JSON but not OTLP.

The rules are those of the OTLP specification ("JSON Protobuf Encoding") and of proto3's JSON mapping: ids are hex in
either case, other bytes base64, enums integers, 64-bit integers text or numbers, unknown keys ignored.
"""

from .case import Folder, attributes, marked_bytes, marked_double, quoted
from .otlp import *
from .squeeze import zstd

NOT_JSON = ["not valid OTLP/JSON"]
MISFIT = ["1 span rejected", "does not fit"]


def kept(folder, name, odd, changes=None, **expected):
    folder.kept(name, j_among_spans(odd), changes, format="json", **expected)


def lost(folder, name, odd, says=MISFIT):
    folder.lost(name, j_among_spans(odd), says, format="json")


def value(folder, name, json, stored):
    """An attribute's value and its text."""
    kept(folder, name, j_span(j_attribute(json)), {"attributes": attributes(k=stored)})


def syntax():
    folder = Folder("json-syntax", "Bodies that are not JSON, and odd ones that are.")
    good = j_among_spans(j_span())
    refused = {
        "no-bytes": b"",
        "white-space-only": b" \r\n\t",
        "byte-order-mark": b"\xef\xbb\xbf" + good.encode(),
        "utf-16": good.encode("utf-16"),
        "utf-32": good.encode("utf-32"),
        "second-object": good + good,
        "trailing-text": good + "x",
        "trailing-bracket": good + "}",
        "trailing-nul": good + "\0",
        "top-level-array": f"[{good}]",
        "top-level-text": '"resourceSpans"',
        "top-level-null": "null",
        "top-level-number": "1",
        "trailing-comma-in-object": '{"resourceSpans":[],}',
        "trailing-comma-in-array": '{"resourceSpans":[{},]}',
        "leading-comma": '{,"resourceSpans":[]}',
        "two-commas": '{"resourceSpans":[{},,{}]}',
        "missing-comma": '{"resourceSpans":[] "x":1}',
        "missing-colon": '{"resourceSpans" []}',
        "missing-value": '{"resourceSpans":}',
        "single-quotes": "{'resourceSpans':[]}",
        "key-without-quotes": "{resourceSpans:[]}",
        "comment": '{/* spans */"resourceSpans":[]}',
        "line-comment": '// spans\n{"resourceSpans":[]}',
        "wrong-bracket": '{"resourceSpans":[}',
        "word": '{"resourceSpans":undefined}',
        "word-cut": '{"resourceSpans":nul}',
        "word-of-python": '{"resourceSpans":None}',
        "nan-without-quotes": '{"x":NaN}',
        "number-with-plus": '{"x":+1}',
        "number-with-leading-zero": '{"x":01}',
        "number-without-digits": '{"x":-}',
        "number-ending-in-a-point": '{"x":1.}',
        "number-starting-with-a-point": '{"x":.5}',
        "number-in-hex": '{"x":0x10}',
        "number-without-exponent": '{"x":1e}',
    }
    for name, body in refused.items():
        folder.refused(name, body, NOT_JSON, format="json")
    for name, end in {
        "cut-after-brace": 1,
        "cut-in-key": 6,
        "cut-after-key": 16,
        "cut-in-resource": good.index("service.name") + 4,
        "cut-in-span": good.index("odd") + 1,
        "cut-after-span": good.index("odd") + len(j_span()) - 50,
        "cut-at-the-end": len(good) - 1,
    }.items():
        folder.refused(name, good[:end], NOT_JSON, format="json")
    folder.refused("place-is-told", '{"resourceSpans":\n  [tru]}', ["line 2 column 4"], format="json")
    spaced = good.replace(",", " ,\n\t").replace("[", "[ \r\n").replace("}", " }") + "\n\n"
    folder.kept("much-white-space", spaced, format="json")
    escaped = good.replace('"name":"odd"', '"\\u006eame":"odd"')
    folder.kept("key-with-escape", escaped, format="json")
    late = '{"resourceSpans":[{"scopeSpans":[{"spans":[' + j_span() + "]," + J_SCOPE + "}]," + J_RESOURCE + "}]}"
    folder.add("resource-and-scope-last", late, format="json", rows=["odd"])


def types():
    folder = Folder("json-types", "Values of a JSON type that their field does not take.")
    wrong = {
        "trace-state-number": '"traceState":5',
        "trace-state-bool": '"traceState":true',
        "trace-state-array": '"traceState":["x"]',
        "trace-state-object": '"traceState":{}',
        "kind-bool": '"kind":true',
        "kind-array": '"kind":[1]',
        "kind-object": '"kind":{}',
        "start-bool": '"startTimeUnixNano":false',
        "start-array": '"startTimeUnixNano":[]',
        "start-text": '"startTimeUnixNano":"soon"',
        "start-rfc-3339": '"startTimeUnixNano":"2023-11-14T22:13:20Z"',
        "attributes-object": '"attributes":{"k":"v"}',
        "attributes-text": '"attributes":"k=v"',
        "attribute-text": '"attributes":["k"]',
        "attribute-number": '"attributes":[5]',
        "attribute-key-number": '"attributes":[{"key":5,"value":{"intValue":1}}]',
        "attribute-value-bare": j_attribute('"v"'),
        "attribute-value-array": j_attribute("[]"),
        "events-object": '"events":{}',
        "event-number": '"events":[1]',
        "event-name-number": '"events":[{"name":1}]',
        "links-text": '"links":"x"',
        "status-number": '"status":2',
        "status-array": '"status":[]',
        "flags-text": '"flags":"many"',
        "parent-number": '"parentSpanId":5',
        "bool-as-text": j_attribute('{"boolValue":"true"}'),
        "bool-as-number": j_attribute('{"boolValue":1}'),
        "string-as-number": j_attribute('{"stringValue":1}'),
        "int-as-bool": j_attribute('{"intValue":true}'),
        "double-as-bool": j_attribute('{"doubleValue":true}'),
        "double-as-text": j_attribute('{"doubleValue":"much"}'),
        "bytes-as-number": j_attribute('{"bytesValue":5}'),
        "array-as-array": j_attribute('{"arrayValue":[1]}'),
        "array-values-object": j_attribute('{"arrayValue":{"values":{}}}'),
        "kvlist-as-map": j_attribute('{"kvlistValue":{"values":{"a":1}}}'),
    }
    for name, member in wrong.items():
        lost(folder, name, j_span(member))
    for name, odd in (("span-number", "7"), ("span-text", '"span"'), ("span-array", "[]"), ("span-true", "true")):
        lost(folder, name, odd)
    for name, body in {
        "resource-spans-object": '{"resourceSpans":{}}',
        "resource-spans-number": '{"resourceSpans":5}',
        "resource-spans-element": '{"resourceSpans":[5]}',
        "scope-spans-object": '{"resourceSpans":[{"scopeSpans":{}}]}',
        "spans-object": '{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}',
        "schema-url-number": '{"resourceSpans":[{"schemaUrl":5}]}',
        "resource-array": '{"resourceSpans":[{"resource":[]}]}',
        "scope-text": '{"resourceSpans":[{"scopeSpans":[{"scope":"probe"}]}]}',
    }.items():
        folder.refused(name, body, NOT_JSON, format="json")
    body = j_among_spans().replace('"resource":{', '"resource":{"droppedAttributesCount":"many",')
    folder.add("resource-count-text", body, format="json", says=["unreadable", "kept"], rows=["before", "after"])
    point_lost = {"says": ["1 data point rejected", "does not fit"], "signal": "metrics", "format": "json"}
    for name, data in {
        "point-time-bool": j_gauge(j_point('"timeUnixNano":true')),
        "point-value-text": j_gauge(j_point(value='"much"')),
        "bounds-text": '"histogram":{"dataPoints":[{"explicitBounds":["a"]}]}',
        "bounds-number": '"histogram":{"dataPoints":[{"explicitBounds":1}]}',
        "count-negative": '"histogram":{"dataPoints":[{"count":-1}]}',
        "scale-too-large": '"exponentialHistogram":{"dataPoints":[{"scale":2147483648}]}',
        "monotonic-text": '"sum":{"dataPoints":[' + j_point() + '],"isMonotonic":"yes"}',
    }.items():
        folder.lost(name, j_among_metrics(j_metric("odd", data)), **point_lost)


def enums():
    folder = Folder("json-enums", "Enums are integers in OTLP/JSON, never names.")
    named = ["1 span rejected", "integers, not names"]
    lost(folder, "kind-name", j_span('"kind":"SPAN_KIND_SERVER"'), named)
    lost(folder, "kind-short-name", j_span('"kind":"server"'), named)
    lost(folder, "kind-empty", j_span('"kind":""'), named)
    lost(folder, "status-name", j_span('"status":{"code":"STATUS_CODE_ERROR"}'), named)
    lost(folder, "kind-fraction", j_span('"kind":2.5'))
    lost(folder, "kind-beyond-int32", j_span('"kind":2147483648'))
    kept(folder, "kind-number", j_span('"kind":2'), {"kind": "SERVER"})
    kept(folder, "kind-whole-float", j_span('"kind":2.0'), {"kind": "SERVER"})
    odd = {"says": ["1 span kept", "enum"], "anomalies": "unknown_enum"}
    kept(folder, "kind-99", j_span('"kind":99'), **odd)
    kept(folder, "kind-negative", j_span('"kind":-1'), **odd)
    kept(folder, "status-9", j_span('"status":{"code":9,"message":"m"}'), {"status_message": "m"}, **odd)
    body = j_among_records(j_record('"severityNumber":"SEVERITY_NUMBER_INFO"'))
    folder.lost("severity-name", body, ["1 log record rejected", "integers, not names"], signal="logs", format="json")
    temporality = '"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"'
    data = f'"sum":{{"dataPoints":[{j_point()},{j_point()}],{temporality}}}'
    said = ["2 data points rejected", "integers, not names"]
    folder.lost("temporality-name", j_among_metrics(j_metric("odd", data)), said, rejected=2, signal="metrics", format="json")


def integers():
    folder = Folder("json-integers", "64-bit integers as text, number, float and exponent; and what is none.")
    for name, json, number in (
        ("number", "7", 7),
        ("text", '"7"', 7),
        ("negative-text", '"-7"', -7),
        ("whole-float", "7.0", 7),
        ("exponent", "7e2", 700),
        ("negative-exponent", "700e-2", 7),
        ("text-with-exponent", '"7e2"', 700),
        ("minus-zero", "-0", 0),
        ("most-text", '"9223372036854775807"', (1 << 63) - 1),
        ("most-number", "9223372036854775807", (1 << 63) - 1),
        ("least-text", '"-9223372036854775808"', -(1 << 63)),
        ("beyond-what-floats-hold", "9007199254740993", 9007199254740993),
    ):
        value(folder, f"int-value-{name}", f'{{"intValue":{json}}}', str(number))
    for name, json in {
        "beyond-int64": '"9223372036854775808"',
        "far-beyond-int64": "1e30",
        "below-int64": '"-9223372036854775809"',
        "fraction": "7.5",
        "fraction-text": '"7.5"',
        "empty-text": '""',
        "space-before": '" 7"',
        "space-behind": '"7 "',
        "plus-text": '"+7"',
        "hex-text": '"0x7"',
        "underscore": '"1_000"',
        "comma": '"1,000"',
        "infinity": '"Infinity"',
        "word": '"seven"',
        "two-numbers": '"7 7"',
        "full-width-digits": '"７"',
    }.items():
        lost(folder, f"int-value-{name}", j_span(j_attribute(f'{{"intValue":{json}}}')))
    for name, json in {"negative": "-1", "beyond-uint32": "4294967296", "fraction": "0.5"}.items():
        lost(folder, f"dropped-count-{name}", j_span(f'"droppedAttributesCount":{json}'))
    kept(folder, "dropped-count-most", j_span('"droppedAttributesCount":4294967295'), {"dropped_attributes_count": 4294967295})
    lost(folder, "time-negative", j_span('"startTimeUnixNano":"-1"'))
    lost(folder, "time-beyond-uint64", j_span('"startTimeUnixNano":"18446744073709551616"'))
    lost(folder, "time-beyond-int64", j_span('"startTimeUnixNano":"9223372036854775808"'), ["1 span rejected", "time"])
    kept(folder, "time-as-number", j_span(f'"startTimeUnixNano":{TIME}'))
    kept(folder, "time-with-exponent", j_span('"startTimeUnixNano":17e8'), {"start_time_unix_nano": 1_700_000_000, "duration_ns": TIME + 1000 - 1_700_000_000})


def doubles():
    folder = Folder("json-doubles", "Doubles as numbers, as text, and the three words.")
    for name, json, stored in (
        ("number", "1.5", "1.5"),
        ("integer", "2", "2.0"),
        ("text", '"1.5"', "1.5"),
        ("nan", '"NaN"', marked_double("NaN")),
        ("infinity", '"Infinity"', marked_double("Infinity")),
        ("minus-infinity", '"-Infinity"', marked_double("-Infinity")),
        ("minus-zero", "-0.0", "-0.0"),
        ("smaller-than-any", "1e-400", "0.0"),
        ("many-digits", "0.1000000000000000055511151231257827", "0.1"),
    ):
        value(folder, name, f'{{"doubleValue":{json}}}', stored)
    for name, json in {
        "nan-lower-case": '"nan"',
        "inf": '"inf"',
        "infinity-lower-case": '"infinity"',
        "plus-infinity": '"+Infinity"',
        "too-large": "1e400",
        "too-large-text": '"-1e400"',
        "empty-text": '""',
        "space": '" 1.5"',
        "comma": '"1,5"',
        "plus-text": '"+1.5"',
        "text-without-digit-before-the-point": '".5"',
        "text-ending-in-a-point": '"1."',
        "hex": '"0x1p3"',
        "word": '"much"',
    }.items():
        lost(folder, name, j_span(j_attribute(f'{{"doubleValue":{json}}}')))
    odd = j_metric("odd", '"gauge":{"dataPoints":[{"timeUnixNano":"' + str(TIME) + '","asDouble":"NaN"}]}')
    changes = {"value": "NaN", "value_int": None}
    folder.kept("gauge-nan", j_among_metrics(odd), changes, signal="metrics", format="json")


def base64():
    folder = Folder("json-base64", "Bytes in base64 of both alphabets, padded or not; and what is none.")
    stored = marked_bytes(b"\xfb\xff")
    for name, text in {"standard": "+/8=", "url": "-_8=", "standard-unpadded": "+/8", "url-unpadded": "-_8"}.items():
        value(folder, name, f'{{"bytesValue":"{text}"}}', stored)
    value(folder, "empty", '{"bytesValue":""}', marked_bytes(b""))
    value(folder, "escaped-slash", '{"bytesValue":"+\\/8="}', stored)
    for name, text in {
        "one-character": "A",
        "five-characters": "AAAAA",
        "not-in-the-alphabet": "AA?A",
        "space": "AA AA",
        "line-feed": "AAAA\\nAAAA",
        "too-much-padding": "AA===",
        "padding-in-the-middle": "AA==AA==",
        "nothing-but-padding": "====",
        "hex-with-colon": "0a:0b",
    }.items():
        lost(folder, name, j_span(j_attribute(f'{{"bytesValue":"{text}"}}')))


def ids():
    folder = Folder("json-ids", "Ids are hex in either case, not base64.")
    upper = j_span(trace_id=TRACE.hex().upper(), span_id=SPAN.hex().upper())
    kept(folder, "upper-case", upper)
    kept(folder, "mixed-case", j_span(trace_id=TRACE.hex()[:9].upper() + TRACE.hex()[9:]))
    kept(folder, "escaped-digit", j_span(trace_id="\\u0061" + TRACE.hex()[1:]))
    bad = ["1 span rejected", "trace_id"]
    for name, text in {
        "empty": "",
        "zero": "00" * 16,
        "odd-digits": TRACE.hex()[1:],
        "31-digits-and-space": TRACE.hex()[1:] + " ",
        "of-8-bytes": TRACE.hex()[:16],
        "of-17-bytes": TRACE.hex() + "01",
        "not-hex": "g" * 32,
        "base64": "oKGio6SlpqeoqaqrrK2urw==",
        "with-0x": "0x" + TRACE.hex()[2:],
        "uuid": "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf",
        "full-width-digits": "０" * 32,
    }.items():
        lost(folder, f"trace-id-{name}", j_span(trace_id=text), bad)
    for name, text in {"empty": "", "zero": "00" * 8, "not-hex": "z" * 16, "of-7-bytes": "01" * 7}.items():
        lost(folder, f"span-id-{name}", j_span(span_id=text), ["1 span rejected", "span_id"])
    lost(folder, "trace-id-number", j_span('"traceId":5'))
    kept(folder, "parent", j_span(f'"parentSpanId":"{"0F" * 8}"'), {"parent_span_id": "0f" * 8})
    kept(folder, "parent-empty", j_span('"parentSpanId":""'))
    odd = {"says": ["1 span kept", "parent_span_id"], "anomalies": "bad_parent_id"}
    kept(folder, "parent-not-hex", j_span('"parentSpanId":"zz"'), **odd)
    body = j_among_records(j_record('"traceId":"xyz"', '"body":{"stringValue":"odd"}'))
    said = {"says": ["1 log record kept"], "anomalies": "bad_trace_id", "signal": "logs", "format": "json"}
    folder.kept("record-trace-id-not-hex", body, **said)


def nulls():
    folder = Folder("json-nulls", "null stands for a field's default.")
    names = "parentSpanId traceState kind attributes droppedAttributesCount events droppedEventsCount links"
    names = (names + " droppedLinksCount status flags").split()
    for name in names:
        kept(folder, name, j_span(f'"{name}":null'))
    kept(folder, "all-of-them", j_span(*(f'"{name}":null' for name in names)))
    kept(folder, "unknown-key", j_span('"unknown":null'))
    kept(folder, "before-a-value", j_span('"name":null').replace('"name":"odd",', '"name":null,"name":"odd",').replace(',"name":null}', "}"))
    lost(folder, "trace-id", j_span().replace(f'"{TRACE.hex()}"', "null"), ["1 span rejected", "trace_id"])
    lost(folder, "span", "null", ["1 span rejected", "trace_id"])
    value(folder, "value", "null", "null")
    value(folder, "string-value", '{"stringValue":null}', "null")
    value(folder, "int-value", '{"intValue":null}', "null")
    value(folder, "array-values", '{"arrayValue":{"values":null}}', "[]")
    value(folder, "array-element", '{"arrayValue":{"values":[null,{"intValue":1},null]}}', "[null,1,null]")
    kept(folder, "attribute", j_span('"attributes":[null]'), {"attributes": '{"":null}'})
    kept(folder, "key", j_span('"attributes":[{"key":null,"value":{"intValue":1}}]'), {"attributes": '{"":1}'})
    folder.add("resource-spans", '{"resourceSpans":null}', format="json")
    folder.add("scope-spans", '{"resourceSpans":[{"scopeSpans":null}]}', format="json")
    folder.add("spans", '{"resourceSpans":[{"scopeSpans":[{"spans":null}]}]}', format="json")
    body = j_among_spans().replace(J_RESOURCE, '"resource":null').replace(J_SCOPE, '"scope":null')
    bare = {"service_name": "unknown_service", "resource_attributes": None, "scope_name": None}
    folder.add("resource-and-scope", body, format="json", rows=[{"like": row, **bare} for row in ("before", "after")])


def repeated_keys():
    folder = Folder("json-repeated-keys", "Of a key that comes twice the last one counts, as in protobuf; lists are joined.")
    kept(folder, "name", j_span('"name":"second"'), {"name": "second"})
    kept(folder, "kind", j_span('"kind":1', '"kind":2'), {"kind": "SERVER"})
    lost(folder, "kind-once-wrong", j_span('"kind":"x"', '"kind":2'), ["1 span rejected", "integers, not names"])
    both = '{"stringValue":"no","intValue":7}'
    value(folder, "two-kinds-of-value", both, "7")
    pieces = j_span('"status":{"message":"told"}', '"status":{"code":2}')
    kept(folder, "status", pieces, {"status_message": "told", "status_code": "ERROR"})
    lists = j_span(j_attribute('{"intValue":1}', "a"), j_attribute('{"intValue":2}', "b"))
    kept(folder, "attributes", lists, {"attributes": '{"a":1,"b":2}'})
    same = j_span(j_attribute('{"intValue":1}', "a"), j_attribute('{"intValue":2}', "a"))
    kept(folder, "attribute-key", same, {"attributes": '{"a":2}'}, says=["1 span kept", "repeated"], anomalies="duplicate_key")
    one = j_request("Spans", [j_span()])
    two = one[:-1] + "," + j_request("Spans", [j_span(name="second")])[1:]
    folder.add("resource-spans", two, format="json", rows=["odd", {"like": "odd", "name": "second"}])


def strings():
    folder = Folder("json-strings", "Escapes, lone surrogates, control characters and bytes that are not UTF-8.")

    def named(name, raw, text, broken=False):
        body = j_among_spans(j_span(name="@")).encode().replace(b"@", raw)
        said = {"says": ["1 span kept", "UTF-8"], "anomalies": "invalid_utf8"} if broken else {}
        folder.kept(name, body, {"name": text}, format="json", **said)

    named("all-short-escapes", rb"\"\\\/\b\f\n\r\t", '"\\/\b\f\n\r\t')
    named("unicode-escape", rb"\u00e9\u4E2d", "é中")
    named("surrogate-pair", rb"\ud83e\udd80", "🦀")
    named("nul-escape", rb"a\u0000b", "a\0b")
    named("escaped-key-of-another", rb"\u0022,\u0022kind", '","kind')
    named("lone-high-surrogate", rb"a\ud83eb", "a\ufffdb", broken=True)
    named("lone-low-surrogate", rb"a\udd80b", "a\ufffdb", broken=True)
    named("high-then-letter", rb"\ud83e\u0041", "\ufffdA", broken=True)
    named("two-highs", rb"\ud83e\ud83e", "\ufffd\ufffd", broken=True)
    named("low-then-high", rb"\udd80\ud83e", "\ufffd\ufffd", broken=True)
    named("byte-ff", b"a\xffb", "a\ufffdb", broken=True)
    named("encoded-surrogate", b"\xed\xa0\xbe", "\ufffd" * 3, broken=True)
    named("overlong-quote", b"\xc0\xa2", "\ufffd" * 2, broken=True)
    for name, raw in {"unknown-escape": rb"\x41", "short-unicode-escape": rb"\u00e", "not-hex": rb"\u00zz", "capital-u": rb"\U0041"}.items():
        folder.lost(name, j_among_spans(j_span(name="@")).encode().replace(b"@", raw), MISFIT, format="json")
    folder.refused("quote-missing", '{"resourceSpans":[{"schemaUrl":"x}]}', NOT_JSON, format="json")
    folder.refused("backslash-at-the-end", '{"x":"\\', NOT_JSON, format="json")
    text = '"quoted" \\ and \n'
    kept(folder, "attribute-with-escapes", j_span(j_attribute('{"stringValue":"\\"quoted\\" \\\\ and \\n"}')), {"attributes": attributes(k=quoted(text))})


def depth():
    folder = Folder("json-depth", "Nesting in JSON costs no stack, and is kept as far as in protobuf.")

    def nested(levels):
        return '{"arrayValue":{"values":[' * levels + '{"intValue":7}' + "]}}" * levels

    for levels in (31, 64):
        value(folder, f"arrays-{levels}", nested(levels), "[" * levels + "7" + "]" * levels)
    told = {"says": ["1 span kept", "nested too deep"], "anomalies": "deep_nesting"}
    for levels in (65, 66, 67, 100, 1000):
        # What is deeper is bytes; which encoding of protobuf they hold is not promised for JSON.
        start = {"starts": '{"k":' + "[" * 64 + '{"@bytes":"'}
        kept(folder, f"arrays-{levels}", j_span(j_attribute(nested(levels))), {"attributes": start}, **told)
    deep = "[" * 1000 + "]" * 1000
    kept(folder, "unknown-key-1000", j_span(f'"unknown":{deep}'))
    whole = j_among_spans(j_span(f'"unknown":{"[" * 100_000}{"]" * 100_000}')).encode()
    at = whole.index(b"[" * 1000)
    body = zstd(whole[:at], (b"[", 100_000), (b"]", 100_000), whole[at + 200_000 :])
    folder.kept("unknown-key-100000", body, format="json", encoding="zstd")
    folder.refused("brackets-without-end", zstd((b"[", 200_000)), NOT_JSON, format="json", encoding="zstd")
    head = '{"resourceSpans":'
    folder.refused("deep-and-cut", head + "[" * 5000, NOT_JSON, format="json")
    folder.refused("objects-without-end", '{"x":' * 5000, NOT_JSON, format="json")
    lost(folder, "deep-where-text-belongs", j_span(f'"name":{deep}'))


def unknown_keys():
    folder = Folder("json-unknown-keys", "Keys that OTLP does not know are ignored, whatever they hold.")
    for name, member in {
        "snake-case": '"trace_state":"x"',
        "upper-case": '"TraceState":"x"',
        "trailing-space": '"traceState ":"x"',
        "empty-key": '"":1',
        "object": '"unknown":{"a":[{"b":null}],"c":1e99}',
        "field-number": '"3":"x"',
        "at-type": '"@type":"type.googleapis.com/x"',
        "proto": '"__proto__":{"kind":2}',
        "huge-number": '"unknown":' + "9" * 500,
        "broken-text": '"unknown":"\\ud800"',
    }.items():
        kept(folder, name, j_span(member))
    # What is no escape is no JSON, and must not be taken for the key before it.
    folder.refused("known-key-with-a-bad-escape", j_among_spans(j_span('"traceState\\q":"x"')), NOT_JSON, format="json")
    value(folder, "in-a-value", '{"unknown":1,"intValue":7,"string_value":"x"}', "7")
    value(folder, "value-of-a-new-kind", '{"mapValue":{}}', "null")
    body = j_among_spans(j_span()).replace('{"resourceSpans"', '{"unknown":[{}],"resourceSpans"')
    folder.kept("in-the-request", body, format="json")


def add_all():
    syntax()
    types()
    enums()
    integers()
    doubles()
    base64()
    ids()
    nulls()
    repeated_keys()
    strings()
    depth()
    unknown_keys()
