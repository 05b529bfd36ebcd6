"""What the judgement of refusal.py lets pass and what it does not."""

import unittest

import metrics
from refusal import RESENDS, judgement
from refusing import unknown_field
from sending import GAVE_UP

TIME = "2026-01-01T00:00:00.000000000Z"
NEW_YEAR = 1_767_225_600_000_000_000
COUNTS = ("dropped_attributes_count", "dropped_events_count", "dropped_links_count")


def record(number):
    text = ("parent_span_id", "trace_state", "status_code", "status_message", "scope_name", "scope_version")
    return {
        **dict.fromkeys(text, ""), **dict.fromkeys(COUNTS, 0), "trace_id": "a" * 32, "span_id": f"{number:016x}",
        "name": "work", "kind": "SERVER", "start_ns": str(NEW_YEAR), "end_ns": str(NEW_YEAR), "attributes": {},
        "events": [], "links": [], "resource": {},
    }  # fmt: skip


def row(number):
    sent = record(number)
    columns = {"start_time": TIME, "end_time": TIME, "duration_ns": 0, "attributes": "{}", "resource_attributes": "{}"}
    kept = {name: value for name, value in sent.items() if name not in ("start_ns", "end_ns", "attributes", "resource")}
    return kept | columns


class Judged(unittest.TestCase):
    def wrong(self, sent, found, gave_up=0, resends=True):
        return judgement([record(number) for number in sent], [row(number) for number in found], gave_up, resends)[1]

    def test_everything_there_once_is_right(self):
        self.assertEqual(self.wrong([1, 2], [1, 2]), [])

    def test_a_span_that_is_there_twice_is_wrong(self):
        self.assertIn("stored twice", self.wrong([1, 2], [1, 2, 2])[0])

    def test_a_span_that_was_not_sent_is_wrong(self):
        self.assertIn("did not send it", self.wrong([1], [1, 3])[0])

    def test_a_changed_span_is_wrong(self):
        changed = row(1) | {"name": "other"}
        self.assertIn("name", judgement([record(1)], [changed], 0, True)[1][0])

    def test_a_span_is_missing_only_where_the_sdk_says_so(self):
        self.assertEqual(len(self.wrong([1, 2], [1], resends=None)), 1)
        self.assertEqual(self.wrong([1, 2], [1], gave_up=1, resends=None), [])

    def test_an_sdk_that_sends_again_loses_nothing(self):
        self.assertEqual(len(self.wrong([1, 2], [1], gave_up=1, resends=True)), 1)
        self.assertEqual(len(self.wrong([1, 2], [1, 2], gave_up=1, resends=True)), 1)

    def test_an_sdk_that_gives_up_is_told_apart(self):
        self.assertEqual(self.wrong([1, 2], [1], gave_up=1, resends=False), [])
        self.assertEqual(len(self.wrong([1, 2], [1, 2], gave_up=1, resends=False)), 1)


class Parts(unittest.TestCase):
    def test_each_language_that_is_judged_can_say_that_it_gave_up(self):
        self.assertEqual({language for language, _ in RESENDS}, set(GAVE_UP))

    def test_counters_are_added_up_over_the_labels_that_are_not_asked_for(self):
        text = '# TYPE a counter\na{b="1",c="x y"} 2\na{b="2",c="x"} 3.5e1\na_more{b="1"} 9\nd 4 1700000000\n'
        samples = metrics.parsed(text)
        self.assertEqual([metrics.total(samples, "a"), metrics.total(samples, "a", b="1")], [37, 2])
        self.assertEqual([metrics.total(samples, "d"), metrics.total(samples, "e")], [4, 0])

    def test_the_large_export_has_the_length_that_it_says(self):
        for length in (16 << 20, (16 << 20) - 4096):
            body = unknown_field(length)
            # Field 100 with a length; base-128 numbers, the lowest seven bits first.
            self.assertEqual((body[0] & 0x7F) | body[1] << 7, 100 << 3 | 2)
            told = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(body[2:6]))
            self.assertEqual((len(body), told, body[5] >> 7), (length, length - 6, 0))


if __name__ == "__main__":
    unittest.main()
