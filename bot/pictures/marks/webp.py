"""XMP in WebP: a chunk behind the pixels, announced by a flag in the VP8X header.

https://developers.google.com/speed/webp/docs/riff_container
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bot.pictures.header import Data, NotAPicture, measure
from bot.pictures.marks.mark import Unmarkable
from bot.pictures.marks.parts import MAX_PACKETS, MAX_PARTS, Edit, Packet, Scan, removed
from bot.pictures.marks.xmp import MAX_PACKET

FIRST = 12  # the place of the first chunk
FLAGS = 20  # the place of the flags of VP8X, which is the first
XMP_FLAG, ALPHA_FLAG = 0x04, 0x10
BEFORE_XMP = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF"})


@dataclass(frozen=True, slots=True)
class Chunk:
    """`end` includes the byte that fills up an odd size, if the file has that byte."""

    kind: bytes
    start: int
    size: int
    end: int


class WebP:
    longest = MAX_PACKET

    def scan(self, data: Data) -> Scan:
        chunks = _chunks(data)
        _check_first(data, chunks)
        packets = tuple(
            Packet(each.start, each.end, _content(data, each))
            for each in chunks
            if each.kind == b"XMP "
        )
        if len(packets) > MAX_PACKETS:
            raise Unmarkable("a WebP of many XMP packets")
        place = max(each.end for each in chunks if each.kind in BEFORE_XMP)
        # C2PA Specification, Embedding manifests into RIFF-based assets
        return Scan(place, packets, any(each.kind == b"C2PA" for each in chunks))

    def edits(self, data: Data, scan: Scan, packets: Sequence[bytes]) -> Sequence[Edit]:
        made = b"".join(_chunk(b"XMP ", each) for each in packets)
        if scan.at % 2:  # every chunk begins at an even place
            made = b"\0" + made
        edits = [Edit(scan.at, scan.at, made), *removed(scan), _header(data)]
        riff = int.from_bytes(data[4:8], "little")
        grown = sum(len(each.data) - (each.end - each.start) for each in edits)
        return [*edits, Edit(4, 8, struct.pack("<I", riff + grown))]


def _chunks(data: Data) -> list[Chunk]:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise Unmarkable("a WebP that ends early")
    chunks, at = list[Chunk](), FIRST
    while at < end:
        head = data[at : at + 8]
        if at + 8 > end or len(chunks) == MAX_PARTS:
            raise Unmarkable(f"a WebP that ends early, or of more than {MAX_PARTS} chunks")
        kind, size = struct.unpack("<4sI", head)
        if at + 8 + size > end:
            raise Unmarkable("a WebP that ends early")
        after = min(at + 8 + size + size % 2, end)
        chunks.append(Chunk(kind, at, size, after))
        at = after
    return chunks


def _check_first(data: Data, chunks: Sequence[Chunk]) -> None:
    """Refuse a file whose header could only be guessed."""
    first = chunks[0] if chunks else None
    match first:
        case Chunk(kind=b"VP8X", size=size) if size >= 10:
            return
        case Chunk(kind=b"VP8 " | b"VP8L", size=size) if size >= 10:
            try:
                measure(data[:64])
            except NotAPicture as error:
                raise Unmarkable(f"a WebP without a size: {error}") from None
        case _:
            raise Unmarkable("a WebP without a header")


def _header(data: Data) -> Edit:
    """Return the change of the header that announces XMP."""
    if data[FIRST : FIRST + 4] == b"VP8X":
        return Edit(FLAGS, FLAGS + 1, bytes([data[FLAGS] | XMP_FLAG]))
    flags = XMP_FLAG
    if data[FIRST : FIRST + 4] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)  # 14 each of width and height, then alpha
        flags |= ALPHA_FLAG if bits >> 28 & 1 else 0
    width, height = measure(data[:64])
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return Edit(FIRST, FIRST, _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _content(data: Data, chunk: Chunk) -> bytes:
    if chunk.size > MAX_PACKET:
        raise Unmarkable(f"an XMP chunk of {chunk.size} bytes")
    return data[chunk.start + 8 : chunk.start + 8 + chunk.size]
