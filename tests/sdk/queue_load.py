"""Spans of services whose capacity is known: each operation is a queue with so many servers, under rising load.

A queue of `servers` servers that each take 20 ms (exponentially distributed) lets 50 requests per second and server
through; the load rises to 92 % of that. So the limit, and with it the rule, differs by operation. The same seed makes
the same spans. Sent as OTLP/JSON with times in the past, so nothing waits for a run.
"""

import heapq
import json
import random
import urllib.request

SERVICE_TIME_S = 0.02
STEPS = [0.2, 0.4, 0.6, 0.8, 0.92]
STEP_S = 20
DURATION_S = STEP_S * len(STEPS)
NEW_YEAR = 1_767_225_600  # 2026-01-01T00:00:00Z
SPANS_PER_EXPORT = 2000


class Queue:
    """An operation of a service; `rising` is False for one whose load stays the same."""

    def __init__(self, service, operation, servers, instances=1, rising=True):
        self.service = service
        self.operation = operation
        self.servers = servers
        self.instances = instances
        self.rising = rising

    def times(self, chance):
        """Start and end of every request, in seconds."""
        free = [0.0] * self.servers
        for step, share in enumerate(STEPS):
            rate = self.servers / SERVICE_TIME_S * (share if self.rising else STEPS[0])
            at, until = step * STEP_S, (step + 1) * STEP_S
            while True:
                at += chance.expovariate(rate)
                if at >= until:
                    break
                done = max(heapq.heappop(free), at) + chance.expovariate(1 / SERVICE_TIME_S)
                heapq.heappush(free, done)
                yield at, done


def send(otlp_http, queues):
    """Sends all spans to a server that acknowledges them; how many there were."""
    chance = random.Random(7)
    spans = {}
    for queue in queues:
        for start, end in queue.times(chance):
            instance = chance.randrange(queue.instances)
            spans.setdefault((queue.service, instance), []).append(span(queue.operation, start, end, chance))
    for (service, instance), all_of_it in spans.items():
        attributes = {"service.name": service, "service.instance.id": f"{service}-{instance}"}
        for at in range(0, len(all_of_it), SPANS_PER_EXPORT):
            export(otlp_http, attributes, all_of_it[at : at + SPANS_PER_EXPORT])
    return sum(len(all_of_it) for all_of_it in spans.values())


def span(operation, start, end, chance):
    return {
        "traceId": f"{chance.getrandbits(128) | 1:032x}",
        "spanId": f"{chance.getrandbits(64) | 1:016x}",
        "name": operation,
        "kind": 2,
        "startTimeUnixNano": str(int((NEW_YEAR + start) * 1e9)),
        "endTimeUnixNano": str(int((NEW_YEAR + end) * 1e9)),
    }


def export(otlp_http, attributes, spans):
    resource = {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()
    request = urllib.request.Request(f"http://{otlp_http}/v1/traces", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        rejected = json.load(response).get("partialSuccess", {})
    if rejected:
        raise OSError(f"the server left out spans: {rejected}")
