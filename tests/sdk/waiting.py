"""Waiting for a condition, and what a case says when it went wrong."""

import http.client
import time

EVERY_S = 0.05


class Wrong(Exception):
    """A case failed; the lines say how."""

    def __init__(self, lines):
        super().__init__("\n".join(lines))
        self.lines = lines


def until(what, deadline_s, probe):
    """The first answer of `probe` that counts as true. No answer is "not yet": servers start, and are killed."""
    end = time.monotonic() + deadline_s
    seen = None
    while time.monotonic() < end:
        try:
            seen = probe()
            if seen:
                return seen
        except (OSError, http.client.HTTPException) as error:
            seen = error
        time.sleep(EVERY_S)
    raise Wrong([f"not within {deadline_s} s: {what}; last: {seen!r}"])
