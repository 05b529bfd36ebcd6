"""What an SDK said it exported against the rows that SQL returns, field by field and with types.

A sender's record names the fields it can vouch for; fields it leaves out (its exporter does not send them) are not
compared. Each difference is one line: which record, which field, what was sent, what came back.
"""

import re
from datetime import datetime, timezone

import typed

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)?$")


def nanoseconds(text):
    """Unix nanoseconds of an RFC 3339 timestamp in UTC; 0 for null, which is how OTLP says "unknown"."""
    if text is None:
        return 0
    if isinstance(text, int):
        return text
    match = _TIME.match(text)
    if not match:
        raise ValueError(f"{text!r} is not an RFC 3339 timestamp in UTC")
    day, clock, fraction = match.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=timezone.utc)
    since = whole - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


class Comparison:
    """Collects the differences of one run; `checked` counts the fields that were looked at."""

    def __init__(self):
        self.differences = []
        self.checked = 0

    def lines(self, each=3):
        """The differences as text, at most `each` of one field, so that one fault does not hide the others."""
        lines, seen = [], {}
        for what, field, said in self.differences:
            seen[field] = seen.get(field, 0) + 1
            if seen[field] <= each:
                lines.append(f"{what}: {field}: {said}")
        lines += [f"and {count - each} more like that: {field}" for field, count in seen.items() if count > each]
        return lines

    def differs(self, what, field, said):
        self.differences.append((what, field, said))

    def same(self, what, field, sent, found):
        self.checked += 1
        if sent != found:
            self.differs(what, field, f"sent {_short(sent)}, found {_short(found)}")

    def attributes(self, what, field, sent, text):
        try:
            found = typed.decode_all(text)
        except ValueError as error:
            self.differs(what, field, str(error))
            return
        for key in sorted(sent.keys() | found.keys()):
            self.checked += 1
            a, b = sent.get(key), found.get(key)
            if a is None or b is None or typed.canonical(a) != typed.canonical(b):
                self.differs(what, f"{field}[{key!r}]", f"sent {_short(a)}, found {_short(b)}")


def spans(comparison, sent, rows):
    """Pairs by (trace id, span id): every span sent is found once, and nothing else is."""
    found = _by_key(comparison, rows, lambda row: (row["trace_id"], row["span_id"]))
    for record in sent:
        key = (record["trace_id"], record["span_id"])
        row = found.pop(key, None)
        what = f"span {key[0]}/{key[1]} {record['name']!r}"
        if row is None:
            comparison.differs(what, "record", "not found")
            continue
        _span(comparison, what, record, row)
    for key in found:
        comparison.differs(f"span {key[0]}/{key[1]}", "record", "found, but the SDK did not send it")


def _span(comparison, what, record, row):
    for field in ("parent_span_id", "trace_state", "name", "kind", "status_code", "status_message"):
        comparison.same(what, field, record[field], row[field] or "")
    for field in ("dropped_attributes_count", "dropped_events_count", "dropped_links_count"):
        if field in row:
            comparison.same(what, field, record[field], row[field] or 0)
    start, end = int(record["start_ns"]), int(record["end_ns"])
    comparison.same(what, "start_time", start, nanoseconds(row["start_time"]))
    comparison.same(what, "end_time", end, nanoseconds(row["end_time"]))
    comparison.same(what, "duration_ns", end - start, row["duration_ns"])
    comparison.attributes(what, "attributes", record["attributes"], row["attributes"])
    _origin(comparison, what, record, row)

    events, links = row["events"] or [], row["links"] or []
    comparison.same(what, "number of events", len(record["events"]), len(events))
    for at, (event, other) in enumerate(zip(record["events"], events)):
        comparison.same(what, f"events[{at}].name", event["name"], other["name"])
        comparison.same(what, f"events[{at}].time", int(event["time_ns"]), _element_time(other))
        comparison.attributes(what, f"events[{at}].attributes", event["attributes"], other["attributes"])
    comparison.same(what, "number of links", len(record["links"]), len(links))
    for at, (link, other) in enumerate(zip(record["links"], links)):
        for field in ("trace_id", "span_id", "trace_state"):
            if field in link:
                comparison.same(what, f"links[{at}].{field}", link[field], other[field] or "")
        comparison.attributes(what, f"links[{at}].attributes", link["attributes"], other["attributes"])


def metrics(comparison, sent, rows):
    """Pairs by name, attributes and time. A point has no id, but one collection gives a series one point."""

    def key_of_row(row):
        return (row["name"], nanoseconds(row["time"]), _series(typed.decode_all(row["attributes"])))

    found = _by_key(comparison, rows, key_of_row)
    for record in sent:
        key = (record["name"], int(record["time_ns"]), _series(record["attributes"]))
        row = found.pop(key, None)
        what = f"metric {record['name']} at {record['time_ns']} {sorted(record['attributes'])}"
        if row is None:
            comparison.differs(what, "record", "not found")
            continue
        _point(comparison, what, record, row)
    for key in found:
        comparison.differs(f"metric {key[0]} at {key[1]}", "record", "found, but the SDK did not send it")


def _point(comparison, what, record, row):
    for field in ("type", "unit", "description"):
        comparison.same(what, field, record[field], row[field] or "")
    if "temporality" in record:
        comparison.same(what, "temporality", record["temporality"], row["temporality"])
    if "is_monotonic" in record:
        comparison.same(what, "is_monotonic", record["is_monotonic"], row["is_monotonic"])
    if "start_ns" in record:
        comparison.same(what, "start_time", int(record["start_ns"]), nanoseconds(row["start_time"]))
    _origin(comparison, what, record, row)
    if "value" in record:
        _number(comparison, what, "value", record["value"], row)
    for field in ("sum", "min", "max"):
        if record.get(field) is not None:
            comparison.same(what, field, typed.double_bits(record[field]), _bits(row[field]))
    for field in ("count", "zero_count"):
        if field in record:
            comparison.same(what, field, int(record[field]), row[field])
    if "scale" in record:
        comparison.same(what, "scale", record["scale"], row["scale"])
    if "explicit_bounds" in record:
        bounds = [typed.double_bits(bound) for bound in record["explicit_bounds"]]
        comparison.same(what, "explicit_bounds", bounds, [_bits(bound) for bound in row["explicit_bounds"] or []])
    for field in ("bucket_counts", "positive_counts", "negative_counts"):
        if field in record:
            _buckets(comparison, what, field, record, row)
    _exemplars(comparison, what, record.get("exemplars", []), row["exemplars"] or [])


def _number(comparison, what, field, value, row):
    if value["type"] == "int":
        comparison.same(what, f"{field} as int", int(value["value"]), row["value_int"])
    else:
        comparison.same(what, f"{field} as int", None, row["value_int"])
        comparison.same(what, f"{field} as double", typed.double_bits(value["value"]), _bits(row["value"]))


def _buckets(comparison, what, field, record, row):
    """SDKs differ in whether they send a side without counts, so all zero is taken for nothing."""
    sent, found = [int(count) for count in record[field]], row[field] or []
    if field != "bucket_counts" and not any(sent):
        comparison.same(what, f"any {field}", False, any(found))
        return
    comparison.same(what, field, sent, found)
    if field != "bucket_counts":
        offset = field.replace("counts", "offset")
        comparison.same(what, offset, record[offset], row[offset])


def _exemplars(comparison, what, sent, found):
    comparison.same(what, "number of exemplars", len(sent), len(found))
    found = sorted(found, key=lambda other: (_element_time(other), other["span_id"] or ""))
    for at, exemplar in enumerate(sorted(sent, key=lambda e: (int(e["time_ns"]), e["span_id"]))):
        if at == len(found):
            break
        other = found[at]
        comparison.same(what, f"exemplars[{at}].time", int(exemplar["time_ns"]), _element_time(other))
        _number(comparison, what, f"exemplars[{at}].value", exemplar["value"], other)
        for field in ("trace_id", "span_id"):
            comparison.same(what, f"exemplars[{at}].{field}", exemplar[field], other[field] or "")
        kept = other["filtered_attributes"]
        comparison.attributes(what, f"exemplars[{at}].filtered_attributes", exemplar["attributes"], kept)


def logs(comparison, sent, rows):
    """Pairs by the attribute `sequence`, which every sender gives each of its records."""

    def sequence(attributes):
        return attributes.get("sequence", {}).get("value")

    found = _by_key(comparison, rows, lambda row: sequence(typed.decode_all(row["attributes"])))
    for record in sent:
        key = sequence(record["attributes"])
        row = found.pop(key, None)
        what = f"log {key}"
        if row is None:
            comparison.differs(what, "record", "not found")
            continue
        _log(comparison, what, record, row)
    for key in found:
        comparison.differs(f"log {key}", "record", "found, but the SDK did not send it")


def _log(comparison, what, record, row):
    for field in ("trace_id", "span_id", "severity_text", "event_name"):
        comparison.same(what, field, record[field], row[field] or "")
    comparison.same(what, "severity_number", record["severity_number"], row["severity_number"] or 0)
    if record["time_ns"] != "0":
        comparison.same(what, "time", int(record["time_ns"]), nanoseconds(row["time"]))
    comparison.same(what, "observed_time", int(record["observed_ns"]), nanoseconds(row["observed_time"]))
    comparison.attributes(what, "attributes", record["attributes"], row["attributes"])
    _origin(comparison, what, record, row)
    body = record["body"]
    if body["type"] == "string":
        comparison.same(what, "body", body["value"], row["body"])
    elif body["type"] == "null":
        comparison.same(what, "body", True, row["body"] in (None, "null"))
    else:
        comparison.attributes(what, "body", {"": body}, '{"":%s}' % row["body"])


def _origin(comparison, what, record, row):
    comparison.same(what, "scope_name", record["scope_name"], row["scope_name"] or "")
    comparison.same(what, "scope_version", record["scope_version"], row["scope_version"] or "")
    if "scope_attributes" in row and "scope_attributes" in record:
        comparison.attributes(what, "scope_attributes", record["scope_attributes"], row["scope_attributes"])
    resource = record["resource"]
    comparison.attributes(what, "resource_attributes", resource, row["resource_attributes"])
    columns = {"service_name": "service.name", "instance_id": "service.instance.id"}
    for column, key in columns.items():
        if key in resource:
            comparison.same(what, column, resource[key]["value"], row[column])


def _by_key(comparison, rows, key_of):
    found = {}
    for row in rows:
        key = key_of(row)
        if key in found:
            comparison.differs(str(key), "record", "stored twice")
        found[key] = row
    return found


def _series(attributes):
    return tuple(sorted((key, typed.canonical(value)) for key, value in attributes.items()))


def _element_time(element):
    """The time of an event or exemplar, which SQL may show as a timestamp or as the physical nanoseconds."""
    return nanoseconds(element["time"] if "time" in element else element["time_unix_nano"])


def _bits(number):
    return None if number is None else typed.double_bits(number)


def _short(value):
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"
