"""Trouble with compression: cut, damaged, followed by something, of another kind than named, and bombs.

A body is compressed as a whole: what does not end as its format says it must, or is followed by anything else, is
refused, for a part of it would otherwise be stored and acknowledged as if it were everything.
"""

import struct

from .case import Folder
from .otlp import *
from .squeeze import *
from .wire import DELIMITED, tag, varint

ROWS = ["before", "odd", "after"]
# Two requests in a row are one request with two resources: what a cut in the middle leaves is still valid.
GOOD = among_spans(span())
HALVES = (request(SPAN_BEFORE), request(span(), SPAN_AFTER))
WHOLE = b"".join(HALVES)


def gzip_bodies():
    folder = Folder("gzip", "gzip that is cut, damaged, of several members, or not gzip.")
    whole = gzip(GOOD)

    def taken(name, body, rows=ROWS):
        folder.add(name, body, rows=rows, encoding="gzip")

    def refused(name, body):
        folder.refused(name, body, ["gzip"], encoding="gzip")

    taken("whole", whole)
    taken("two-members", gzip(HALVES[0]) + gzip(HALVES[1]))
    taken("cut-between-bytes-into-members", gzip(GOOD[:50]) + gzip(GOOD[50:]))
    taken("empty-member-first", gzip(b"") + whole)
    taken("empty-member-last", whole + gzip(b""))
    taken("a-hundred-members", b"".join(gzip(GOOD[at : at + 4]) for at in range(0, len(GOOD), 4)))
    taken("only-an-empty-member", gzip(b""), rows=[])
    taken("with-name-and-comment", gzip(GOOD, head=gzip_head(flags=0x18, more=b"name\0comment\0")))
    taken("with-extra-field", gzip(GOOD, head=gzip_head(flags=4, more=b"\4\0abcd")))
    two_blocks = gzip_head() + stored(GOOD[:60], final=False) + stored(GOOD[60:]) + gzip_tail(GOOD)
    taken("two-blocks", two_blocks)
    refused("no-bytes", b"")
    refused("magic-only", whole[:2])
    refused("header-cut", whole[:7])
    refused("header-only", whole[:10])
    refused("name-without-end", gzip_head(flags=8, more=b"name"))
    refused("extra-field-cut", gzip_head(flags=4, more=b"\xff\xffab"))
    refused("block-cut", whole[:40])
    refused("block-length-cut", whole[:13])
    refused("checksum-cut", whole[:-6])
    refused("size-cut", whole[:-2])
    refused("tail-missing", whole[:-8])
    refused("last-block-missing", gzip_head() + stored(HALVES[0], final=False))
    refused("second-member-cut", gzip(HALVES[0]) + gzip(HALVES[1])[:-5])
    refused("checksum-wrong", gzip(GOOD, tail=struct.pack("<II", 1, len(GOOD))))
    refused("size-wrong", gzip(GOOD, tail=gzip_tail(GOOD)[:4] + struct.pack("<I", 1)))
    refused("method-unknown", gzip(GOOD, head=gzip_head(method=7)))
    refused("reserved-flag", gzip(GOOD, head=gzip_head(flags=0x80)))
    refused("block-type-3", gzip_head() + b"\7" + gzip_tail(b""))
    refused("stored-length-wrong", gzip_head() + b"\1\5\0\0\0hello" + gzip_tail(b"hello"))
    refused("trailing-text", whole + b"trailing")
    refused("trailing-byte", whole + b"\0")
    refused("trailing-zeros", whole + b"\0" * 512)
    refused("trailing-magic", whole + b"\x1f\x8b")
    refused("not-compressed", GOOD)
    refused("zlib", zlib(GOOD))
    refused("zstd", zstd(GOOD))
    refused("bare-deflate", stored(GOOD))
    body = gzip(j_among_spans(j_span()).encode())
    folder.add("json", body, rows=ROWS, encoding="gzip", format="json")
    folder.refused("json-cut", body[:-9], ["gzip"], encoding="gzip", format="json")
    folder.refused("twice", gzip(whole), ["not a valid OTLP request"], encoding="gzip")


def deflate_bodies():
    folder = Folder("deflate", "zlib (which HTTP calls deflate) that is cut, damaged, or followed by something.")
    whole = zlib(WHOLE)

    def refused(name, body):
        folder.refused(name, body, ["deflate"], encoding="deflate")

    folder.add("whole", whole, rows=ROWS, encoding="deflate")
    blocks = b"\x78\x01" + stored(HALVES[0], final=False) + stored(HALVES[1]) + zlib_tail(WHOLE)
    folder.add("two-blocks", blocks, rows=ROWS, encoding="deflate")
    folder.add("nothing-inside", zlib(b""), encoding="deflate")
    refused("no-bytes", b"")
    refused("header-only", whole[:2])
    refused("header-cut", whole[:1])
    refused("block-cut", whole[:50])
    # What is there of this one is a valid request, and only half of what was sent.
    refused("last-block-missing", b"\x78\x01" + stored(HALVES[0], final=False))
    refused("second-block-cut", b"\x78\x01" + stored(HALVES[0], final=False) + stored(HALVES[1])[:3])
    refused("checksum-missing", whole[:-4])
    refused("checksum-cut", whole[:-1])
    refused("checksum-wrong", zlib(WHOLE, tail=b"\0\0\0\1"))
    refused("trailing-text", whole + b"trailing")
    refused("trailing-byte", whole + b"\0")
    refused("second-stream", zlib(HALVES[0]) + zlib(HALVES[1]))
    refused("preset-dictionary", zlib(WHOLE, head=b"\x78\x20" + b"\0\0\0\1"))
    refused("method-unknown", zlib(WHOLE, head=b"\x77\x07"))
    refused("header-check-wrong", zlib(WHOLE, head=b"\x78\x02"))
    refused("window-too-large", zlib(WHOLE, head=b"\x88\x1c"))
    refused("bare-deflate", stored(WHOLE))
    refused("not-compressed", WHOLE)
    refused("gzip", gzip(WHOLE))
    body = zlib(j_among_spans(j_span()).encode())
    folder.add("json", body, rows=ROWS, encoding="deflate", format="json")
    folder.refused("json-checksum-missing", body[:-4], ["deflate"], encoding="deflate", format="json")


def zstd_bodies():
    folder = Folder("zstd", "zstd that is cut, damaged, of several frames, or wants too much memory.")
    whole = zstd(GOOD)

    def taken(name, body, rows=ROWS):
        folder.add(name, body, rows=rows, encoding="zstd")

    def refused(name, body):
        folder.refused(name, body, ["zstd"], encoding="zstd")

    skippable = struct.pack("<II", 0x184D2A50, 5) + b"hello"
    checksum = struct.pack("<I", xxh64(GOOD) & 0xFFFF_FFFF)
    sized = bytes([0xA0]) + struct.pack("<I", len(GOOD))
    taken("whole", whole)
    taken("two-frames", zstd(HALVES[0]) + zstd(HALVES[1]))
    taken("skippable-frame-first", skippable + whole)
    taken("skippable-frame-last", whole + skippable)
    taken("only-a-skippable-frame", skippable, rows=[])
    taken("with-checksum", zstd(GOOD, head=zstd_head(descriptor=4)) + checksum)
    taken("with-content-size", ZSTD + sized + zstd_block(GOOD))
    taken("window-of-8-mib", zstd(GOOD, head=zstd_head(window_log=23)))
    two_blocks = zstd_head() + zstd_block(GOOD[:60], last=False) + zstd_block(GOOD[60:])
    taken("two-blocks", two_blocks)
    taken("empty-last-block", zstd_head() + zstd_block(GOOD, last=False) + zstd_block(b""))
    refused("no-bytes", b"")
    refused("magic-cut", whole[:3])
    refused("magic-only", whole[:4])
    refused("header-only", whole[:6])
    refused("block-header-cut", whole[:8])
    refused("block-cut", whole[:40])
    refused("last-byte-cut", whole[:-1])
    refused("last-block-missing", zstd_head() + zstd_block(HALVES[0], last=False))
    refused("second-frame-cut", zstd(HALVES[0]) + zstd(HALVES[1])[:-3])
    refused("skippable-frame-cut", whole + skippable[:-2])
    refused("checksum-missing", zstd(GOOD, head=zstd_head(descriptor=4)))
    refused("checksum-wrong", zstd(GOOD, head=zstd_head(descriptor=4)) + b"\0\0\0\1")
    refused("content-size-too-small", ZSTD + bytes([0xA0]) + struct.pack("<I", len(GOOD) - 1) + zstd_block(GOOD))
    refused("content-size-too-large", ZSTD + bytes([0xA0]) + struct.pack("<I", len(GOOD) + 1) + zstd_block(GOOD))
    refused("block-type-3", zstd_head() + zstd_block(GOOD, kind=3))
    refused("block-beyond-128-kib", zstd_head() + zstd_block(b"\0", kind=1, size=(1 << 17) + 1))
    refused("reserved-bit", zstd(GOOD, head=zstd_head(descriptor=8)))
    refused("unknown-dictionary", ZSTD + bytes([1, 80, 7]) + zstd_block(GOOD))
    refused("window-of-16-mib", zstd(GOOD, head=zstd_head(window_log=24)))
    refused("window-of-2-gib", zstd(GOOD, head=zstd_head(window_log=31)))
    refused("window-of-2-tib", zstd(GOOD, head=zstd_head(window_log=41)))
    refused("trailing-text", whole + b"trailing")
    refused("trailing-byte", whole + b"\0")
    refused("not-compressed", GOOD)
    refused("gzip", gzip(GOOD))
    body = zstd(j_among_spans(j_span()).encode())
    folder.add("json", body, rows=ROWS, encoding="zstd", format="json")
    folder.refused("json-cut", body[:-1], ["zstd"], encoding="zstd", format="json")


def bombs():
    folder = Folder("bombs", "Small bodies that grow beyond the limit (1 MiB in this collection) are too large.")
    big = 3 << 20
    matches = big // 258
    zeros_tail = gzip_tail(b"\0" * (1 + 258 * matches))
    refused = {"answer": "too_large"}
    says = ["1048576"]
    folder.refused("gzip-zeros", gzip_head() + zeros(matches) + zeros_tail, says, encoding="gzip", **refused)
    one = 1 << 18
    small = gzip_head() + zeros(one // 258) + gzip_tail(b"\0" * (1 + 258 * (one // 258)))
    folder.refused("gzip-of-many-members", small * 8, says, encoding="gzip", **refused)
    folder.refused("gzip-cut-after-the-limit", gzip_head() + zeros(matches), says, encoding="gzip", **refused)
    folder.refused("deflate-zeros", b"\x78\x01" + zeros(matches) + b"\0" * 4, says, encoding="deflate", **refused)
    folder.refused("zstd-zeros", zstd((b"\0", big)), says, encoding="zstd", **refused)
    folder.refused("zstd-256-mebibytes", zstd((b"\0", 1 << 28)), says, encoding="zstd", **refused)
    folder.refused("zstd-of-many-frames", zstd((b"\0", one)) * 8, says, encoding="zstd", **refused)
    sized = ZSTD + bytes([0xC0, 80]) + struct.pack("<Q", 1 << 40)
    tebibyte = sized + zstd_block(b"\0", last=False, kind=1, size=1 << 16) * 40
    folder.refused("zstd-that-says-a-tebibyte", tebibyte, says, encoding="zstd", **refused)
    body = zstd(b"{", (b" ", big), b"}")
    folder.refused("json-white-space", body, says, encoding="zstd", format="json", **refused)
    body = zstd(b'{"resourceSpans":[', (b" ", (1 << 20) - 20), b"]}")
    folder.add("json-white-space-up-to-the-limit", body, encoding="zstd", format="json")
    for signal in ("metrics", "logs"):
        folder.refused(f"{signal}-zeros", zstd((b"\0", big)), says, encoding="zstd", signal=signal, **refused)
    # The limit itself is allowed: an unknown field fills the request up.
    rest = (1 << 20) - len(GOOD)
    filler = blob_of(rest)
    folder.add("exactly-the-limit", zstd(GOOD + filler[0], (b"\0", filler[1])), rows=ROWS, encoding="zstd")
    filler = blob_of(rest + 1)
    folder.refused("one-byte-more", zstd(GOOD + filler[0], (b"\0", filler[1])), says, encoding="zstd", **refused)


def blob_of(size):
    """The head of an unknown field that takes `size` bytes in all, and how many bytes follow it."""
    head = tag(100, DELIMITED)
    for width in range(1, 6):
        inner = size - len(head) - width
        if len(varint(inner)) == width:
            return head + varint(inner), inner
    raise ValueError(size)


def wrong_names():
    folder = Folder("encoding-names", "Compressions that are not known, and names that do not match the body.")
    for name in ("br", "snappy", "lz4", "compress", "gzip, gzip", "none", "x"):
        file = name.replace(", ", "-then-")
        folder.add(f"unknown-{file}", GOOD, answer="unknown_encoding", says=[name], encoding=name)
    folder.add("x-gzip", gzip(GOOD), rows=ROWS, encoding="x-gzip")
    folder.add("gzip-in-capitals", gzip(GOOD), rows=ROWS, encoding="GZIP")
    says = ["not a valid OTLP request"]
    folder.refused("identity-but-gzip", gzip(GOOD), says)
    folder.refused("identity-but-zlib", zlib(GOOD), says)
    body = gzip(j_among_spans(j_span()).encode())
    folder.refused("json-but-gzip", body, ["line 1 column 1"], format="json")
    folder.refused("json-named-gzip", j_among_spans(j_span()), ["gzip"], format="json", encoding="gzip")


def add_all():
    gzip_bodies()
    deflate_bodies()
    zstd_bodies()
    bombs()
    wrong_names()
