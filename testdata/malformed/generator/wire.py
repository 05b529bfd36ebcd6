"""The protobuf wire format (protobuf.dev, "Encoding"), written by hand so that it shares nothing with hotspan."""

import struct

VARINT, FIXED64, DELIMITED, START, END, FIXED32 = range(6)


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def long_varint(value, size):
    """A varint of more bytes than it needs."""
    septets = [value >> 7 * at & 0x7F for at in range(size)]
    return bytes([septet | 0x80 for septet in septets[:-1]] + septets[-1:])


def tag(number, kind):
    return varint(number << 3 | kind)


def uint(number, value):
    return tag(number, VARINT) + varint(value)


def sint(number, value):
    return uint(number, value << 1 if value >= 0 else (-value << 1) - 1)


def fixed64(number, value):
    return tag(number, FIXED64) + struct.pack("<Q", value & (1 << 64) - 1)


def fixed32(number, value):
    return tag(number, FIXED32) + struct.pack("<I", value)


def double(number, value):
    return tag(number, FIXED64) + struct.pack("<d", value)


def blob(number, *parts):
    """A length-delimited field: text, bytes or an inner message."""
    content = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return tag(number, DELIMITED) + varint(len(content)) + content


def packed64(number, *values):
    return blob(number, *(struct.pack("<Q", value) for value in values))


def packed_doubles(number, *values):
    return blob(number, *(struct.pack("<d", value) for value in values))


def packed_varints(number, *values):
    return blob(number, *(varint(value) for value in values))


def group(number, *parts):
    return tag(number, START) + b"".join(parts) + tag(number, END)
