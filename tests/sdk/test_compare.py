"""The comparison itself: what must be told apart is, and what is the same is not reported. `python3 -m unittest`."""

import unittest

import compare
import typed

SPAN = {
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "parent_span_id": "",
    "trace_state": "a=b",
    "name": "GET /",
    "kind": "SERVER",
    "start_ns": "1700000000123456789",
    "end_ns": "1700000000123456790",
    "status_code": "OK",
    "status_message": "",
    "attributes": {"n": {"type": "int", "value": "9007199254740993"}, "x": {"type": "double", "value": "nan"}},
    "dropped_attributes_count": 0,
    "dropped_events_count": 0,
    "dropped_links_count": 0,
    "events": [{"time_ns": "1", "name": "e", "attributes": {}}],
    "links": [{"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "attributes": {}}],
    "scope_name": "shop",
    "scope_version": "",
    "scope_attributes": {},
    "resource": {"service.name": {"type": "string", "value": "shop"}},
}
ROW = {
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "parent_span_id": "",
    "trace_state": "a=b",
    "name": "GET /",
    "kind": "SERVER",
    "start_time": "2023-11-14T22:13:20.123456789Z",
    "end_time": "2023-11-14T22:13:20.123456790Z",
    "duration_ns": 1,
    "status_code": "OK",
    "status_message": None,
    "attributes": '{"x":{"@double":"NaN"},"n":9007199254740993}',
    "events": [{"time": "1970-01-01T00:00:00.000000001Z", "name": "e", "attributes": None}],
    "links": [{"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "attributes": "{}"}],
    "scope_name": "shop",
    "scope_version": None,
    "service_name": "shop",
    "instance_id": None,
    "resource_attributes": '{"service.name":"shop"}',
}


def lines(sent, rows):
    comparison = compare.Comparison()
    compare.spans(comparison, sent, rows)
    return comparison.lines()


class Spans(unittest.TestCase):
    def test_the_same_span_has_no_difference(self):
        self.assertEqual(lines([SPAN], [ROW]), [])

    def test_every_changed_field_is_reported(self):
        changes = {
            "parent_span_id": "b7ad6b7169203332",
            "trace_state": None,
            "name": "GET",
            "kind": "CLIENT",
            "start_time": "2023-11-14T22:13:20.123456788Z",
            "end_time": "2023-11-14T22:13:20.12345679Z",
            "duration_ns": 0,
            "status_code": "UNSET",
            "status_message": "x",
            "attributes": '{"x":{"@double":"NaN"},"n":9007199254740993.0}',
            "events": [],
            "links": None,
            "scope_name": "",
            "service_name": "unknown_service",
            "resource_attributes": "{}",
        }
        for field, value in changes.items():
            same = field == "end_time"  # a trailing zero of the fraction may be left out
            self.assertEqual(bool(lines([SPAN], [ROW | {field: value}])), not same, field)

    def test_missing_doubled_and_foreign_spans_are_reported(self):
        self.assertIn("not found", lines([SPAN], [])[0])
        self.assertIn("stored twice", lines([SPAN], [ROW, ROW])[0])
        self.assertIn("did not send", lines([SPAN], [ROW, ROW | {"span_id": "b7ad6b7169203339"}])[0])


class Typed(unittest.TestCase):
    def test_types_are_told_apart(self):
        text = '{"i":1,"d":1.0,"e":1e0,"t":"1","b":true,"z":null,"y":{"@bytes":"AA=="},"m":{"@@bytes":"AA=="},"l":[1]}'
        kinds = {key: value["type"] for key, value in typed.decode_all(text).items()}
        expected = "int double double string bool null bytes kvlist array".split()
        self.assertEqual(kinds, dict(zip("idetbzyml", expected)))
        self.assertEqual(typed.decode_all(text)["m"]["value"], {"@bytes": {"type": "string", "value": "AA=="}})

    def test_doubles_compare_by_bits_and_nan_is_itself(self):
        self.assertNotEqual(typed.double_bits("0.0"), typed.double_bits("-0.0"))
        self.assertEqual(typed.double_bits("NaN"), typed.double_bits("nan"))
        self.assertEqual(typed.double_bits("1E10"), typed.double_bits("10000000000.0"))

    def test_times_keep_nanoseconds(self):
        self.assertEqual(compare.nanoseconds("1970-01-02T00:00:00.000000001+00:00"), 86_400_000_000_001)
        with self.assertRaises(ValueError):
            compare.nanoseconds("1970-01-02T00:00:00+08:00")


if __name__ == "__main__":
    unittest.main()
