"""Exported rules broken on purpose, by the reader that has to notice: what, how, and words that it has to say.

A reader that lets one of these pass would let the exporter's mistakes pass too.
"""

import re


def replaced(pattern, by, count=1):
    """A damage: the first places of a pattern with something else; a document without such a place is an error."""

    def damage(document):
        broken, places = re.subn(pattern, by, document, count=count)
        if places == 0:
            raise ValueError(f"nothing to break: no {pattern} in\n{document}")
        return broken

    return damage


SENTINEL = [
    ("a misspelt field", replaced("controlBehavior", "controlBehaviour"), "ignores the field controlBehaviour"),
    ("a negative count", replaced(r'"count": [0-9.]+', '"count": -1'), "is not valid to Sentinel"),
    ("another count", replaced(r'"count": [0-9.]+', '"count": 7'), "the report says"),
    ("a flow id of 0", replaced(r'"flowId": \d+', '"flowId": 0'), "is not valid to Sentinel"),
    ("an unknown threshold", replaced(r'"thresholdType": 1', '"thresholdType": 7'), "tokens of"),
    ("a count that is none", replaced(r'"count": [0-9.]+', '"count": "many"'), "does not read the list"),
]

MISSPELT = replaced("tokens_per_fill", "token_per_fill")
NO_TOKENS = replaced(r"tokens_per_fill: \d+", "tokens_per_fill: 0")
# The filter's bucket may be missing, a route's may not.
NO_BUCKET = replaced(r"(?s)(typed_per_filter_config:.*?)\n *token_bucket: [^\n]*", r"\1")
NO_REGEX = replaced(r"\[\^/\]\+", "[^/+")
OTHER_RATE = replaced(r"max_tokens: (\d+), tokens_per_fill: \d+", r"max_tokens: 9\1, tokens_per_fill: 9\1", count=0)
OTHER_METHOD = replaced("exact: POST", "exact: PUT")

ENVOY_TYPES = [
    ("a misspelt field", MISSPELT, 'unknown field "token_per_fill"'),
    ("a bucket never filled", NO_TOKENS, "value must be greater than 0"),
    ("a route without a bucket", NO_BUCKET, "fill_interval of 0s"),
    ("a broken expression", NO_REGEX, "error parsing regexp"),
    ("another rate", OTHER_RATE, "the report has"),
    ("another method", OTHER_METHOD, "no route takes it"),
    ("a key twice", replaced("tokens_per_fill", "max_tokens"), "already set in map"),
]

ENVOY = [
    ("a misspelt field", MISSPELT, "has unknown fields"),
    ("a bucket never filled", NO_TOKENS, "value must be greater than"),
    ("a route without a bucket", NO_BUCKET, "token bucket must be set"),
    ("a broken expression", NO_REGEX, "missing ]"),
    ("another rate", OTHER_RATE, "were let in"),
    ("another method", OTHER_METHOD, "were let in"),
]

BROKEN = {"rules/sentinel": SENTINEL, "rules/envoy": ENVOY_TYPES, "rules/envoy-server": ENVOY}
