"""Attribute values with their OTLP types, read back from the JSON text that hotspan answers.

The text's rules are those of docs/format/attributes.md (model/src/attr.rs); the outcome has the senders' form
`{"type": "int", "value": "9007199254740993"}`, so that the two sides compare as plain Python values.
"""

import json
import struct


class _Int(str):
    """A JSON number without point or exponent, digits as written."""


class _Double(str):
    """A JSON number with point or exponent."""


def decode_all(text):
    """A map of attributes from its JSON text; nothing for null and empty text. Raises `ValueError` for other text."""
    if text in (None, ""):
        return {}
    if not isinstance(text, str):
        raise ValueError(f"expected JSON text, found {text!r}")
    decoded = json.loads(text, parse_int=_Int, parse_float=_Double, object_pairs_hook=_Pairs)
    if not isinstance(decoded, _Pairs):
        raise ValueError(f"attributes are not a JSON object: {text[:200]}")
    return {key: _value(item) for key, item in decoded}


def canonical(value):
    """The value with doubles as bits, so that NaN equals NaN and 0.0 differs from -0.0."""
    kind, inner = value["type"], value["value"]
    if kind == "double":
        return (kind, double_bits(inner))
    if kind == "array":
        return (kind, tuple(canonical(item) for item in inner))
    if kind == "kvlist":
        return (kind, tuple(sorted((key, canonical(item)) for key, item in inner.items())))
    return (kind, inner)


def double_bits(text):
    number = float(text)
    return "NaN" if number != number else struct.pack(">d", number).hex()


class _Pairs(list):
    """A JSON object as written, repeated keys and all."""


def _value(item):
    if item is None:
        return {"type": "null", "value": None}
    if isinstance(item, bool):
        return {"type": "bool", "value": item}
    if isinstance(item, _Int):
        return {"type": "int", "value": str(item)}
    if isinstance(item, _Double):
        return {"type": "double", "value": str(item)}
    if isinstance(item, str):
        return {"type": "string", "value": item}
    if isinstance(item, _Pairs):
        return _object(item)
    return {"type": "array", "value": [_value(inner) for inner in item]}


def _object(pairs):
    if len(pairs) == 1:
        key, inner = pairs[0]
        if key == "@double":
            return {"type": "double", "value": inner}
        if key == "@bytes":
            return {"type": "bytes", "value": inner}
        if key.startswith("@") and key.lstrip("@") in ("bytes", "double"):
            return {"type": "kvlist", "value": {key[1:]: _value(inner)}}
    return {"type": "kvlist", "value": {key: _value(inner) for key, inner in pairs}}
