"""Parts that the three file formats share: scans, edits, and the limits of both."""

import io
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_PARTS = 50_000  # chunks or segments of a file
MAX_PACKETS = 8  # XMP packets; one is usual
STEP = 1024 * 1024  # bytes that are copied at once; other threads run in between

Data = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Packet:
    """An XMP packet, and the place of the chunk or segment that holds it."""

    start: int
    end: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of walking a file. `at` is the place for XMP."""

    at: int
    packets: tuple[Packet, ...] = ()
    has_c2pa: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes that replace those from `start` to `end`."""

    start: int
    end: int
    data: bytes = b""


class Format(Protocol):
    """A kind of file. `longest` is the size of a packet in bytes."""

    longest: int

    def scan(self, data: Data) -> Scan:
        """Walk the parts of a file, without its pixels. Raises Unmarkable."""

    def edits(self, data: bytes, scan: Scan, packets: Sequence[bytes]) -> Sequence[Edit]:
        """Return the changes that leave these packets, and no other, in the file."""


def removed(scan: Scan) -> list[Edit]:
    return [Edit(each.start, each.end) for each in scan.packets]


def applied(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the data with the edits, which do not overlap."""
    out, view, at = io.BytesIO(), memoryview(data), 0
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        _copy(out, view[at : edit.start])
        out.write(edit.data)
        at = edit.end
    _copy(out, view[at:])
    return out.getvalue()


def _copy(out: io.BytesIO, part: memoryview) -> None:
    for at in range(0, len(part), STEP):
        out.write(part[at : at + STEP])
