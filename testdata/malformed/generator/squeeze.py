"""Compressed bodies, byte by byte: gzip (RFC 1952), zlib (RFC 1950), deflate (RFC 1951) and zstd (RFC 8878).

Python's own compressors are not used, because their output changes with the version of the library. Data is stored
uncompressed, but for runs of one byte.
"""

import struct
import zlib as checks

# Deflate.


def stored(data, final=True):
    """One stored block."""
    return bytes([final]) + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data


class Bits:
    def __init__(self):
        self.value, self.count = 0, 0

    def put(self, value, width):
        self.value |= value << self.count
        self.count += width

    def bytes(self):
        return self.value.to_bytes((self.count + 7) // 8, "little")


def zeros(count):
    """A block with dynamic codes for 1 + 258 * `count` zeros, at two bits per 258 of them."""
    bits = Bits()
    bits.put(1, 1)  # the last block
    bits.put(2, 2)  # dynamic codes
    bits.put(286 - 257, 5)
    bits.put(0, 5)  # one distance code
    # Lengths of the code for lengths, in the order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1:
    # 18 (a run of zeros) has one bit, 1 and 2 have two.
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1]
    lengths = {18: 1, 1: 2, 2: 2}
    bits.put(len(order) - 4, 4)
    for symbol in order:
        bits.put(lengths.get(symbol, 0), 3)
    # Canonical codes, as they stand in the stream (first bit lowest): 18 is 0, 1 is 10, 2 is 11.
    run, one, two = (0b0, 1), (0b01, 2), (0b11, 2)
    bits.put(*two)  # literal 0
    for skipped in (138, 117):
        bits.put(*run)
        bits.put(skipped - 11, 7)
    bits.put(*two)  # 256, the end of the block
    bits.put(*run)
    bits.put(28 - 11, 7)
    bits.put(*one)  # 285, a match of 258
    bits.put(*one)  # distance 1
    # Codes: 285 is 0, literal 0 is 10, 256 is 11; the distance is 0.
    bits.put(0b01, 2)
    bits.put(0, 2 * count)
    bits.put(0b11, 2)
    return bits.bytes()


# gzip.


def gzip_head(method=8, flags=0, more=b""):
    return bytes([0x1F, 0x8B, method, flags, 0, 0, 0, 0, 0, 255]) + more


def gzip_tail(data):
    return struct.pack("<II", checks.crc32(data), len(data))


def gzip(data, head=None, tail=None):
    return (gzip_head() if head is None else head) + stored(data) + (gzip_tail(data) if tail is None else tail)


# zlib.


def zlib_tail(data):
    return struct.pack(">I", checks.adler32(data))


def zlib(data, head=b"\x78\x01", tail=None):
    return head + stored(data) + (zlib_tail(data) if tail is None else tail)


# zstd.

ZSTD = bytes.fromhex("28b52ffd")


def zstd_head(descriptor=0, window_log=20, more=b""):
    return ZSTD + bytes([descriptor, (window_log - 10) << 3]) + more


def zstd_block(data, last=True, kind=0, size=None):
    """Kind 0 is raw, 1 a run of one byte, 3 reserved."""
    return struct.pack("<I", last | kind << 1 | (len(data) if size is None else size) << 3)[:3] + data


def zstd(*parts, head=None):
    """A frame of raw bytes and of runs, which are given as `(byte, count)`."""
    blocks = []
    for part in parts:
        if isinstance(part, bytes):
            blocks += [(part[at : at + 60_000], 0, None) for at in range(0, len(part), 60_000)]
        else:
            byte, count = part
            for at in range(0, count, 1 << 16):
                blocks.append((byte, 1, min(1 << 16, count - at)))
    frame = zstd_head() if head is None else head
    for at, (data, kind, size) in enumerate(blocks):
        frame += zstd_block(data, last=at + 1 == len(blocks), kind=kind, size=size)
    return frame


def xxh64(data):
    """XXH64 with seed 0, as its specification describes it; zstd's checksum is its low half."""
    mask = (1 << 64) - 1
    p1, p2, p3, p4, p5 = (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )

    def left(value, by):
        return (value << by | value >> (64 - by)) & mask

    def lane(into, value):
        return left((into + value * p2) & mask, 31) * p1 & mask

    at = 0
    if len(data) >= 32:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        while at + 32 <= len(data):
            words = struct.unpack_from("<4Q", data, at)
            lanes = [lane(into, word) for into, word in zip(lanes, words)]
            at += 32
        result = sum(left(into, by) for into, by in zip(lanes, (1, 7, 12, 18))) & mask
        for into in lanes:
            result = ((result ^ lane(0, into)) * p1 + p4) & mask
    else:
        result = p5
    result = (result + len(data)) & mask
    while at + 8 <= len(data):
        result = (left(result ^ lane(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & mask
        at += 8
    if at + 4 <= len(data):
        result = (left(result ^ struct.unpack_from("<I", data, at)[0] * p1 & mask, 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        result = left(result ^ byte * p5 & mask, 11) * p1 & mask
    result = (result ^ result >> 33) * p2 & mask
    result = (result ^ result >> 29) * p3 & mask
    return result ^ result >> 32
