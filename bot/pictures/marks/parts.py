"""Parts that the three file formats share: scans, edits, and the limits of both."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bot.pictures.header import Data

MAX_PARTS = 50_000  # chunks or segments of a file
MAX_PACKETS = 8  # XMP packets; one is usual
STEP = 1024 * 1024  # bytes that are copied at once; other threads run in between


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

    def edits(self, data: Data, scan: Scan, packets: Sequence[bytes]) -> Sequence[Edit]:
        """Return the changes that leave these packets, and no other, in the file."""


def removed(scan: Scan) -> list[Edit]:
    return [Edit(each.start, each.end) for each in scan.packets]


def pieces_of(path: Path, edits: Iterable[Edit] = ()) -> Iterator[bytes]:
    """Yield a file with the edits, which do not overlap, in parts of at most STEP bytes.

    Read and not mapped, so that other threads run while the disk is slow.
    """
    with path.open("rb", buffering=0) as file:
        at = 0
        for edit in sorted(edits, key=lambda each: (each.start, each.end)):
            yield from _read(file, at, edit.start)
            yield edit.data
            at = edit.end
        yield from _read(file, at, path.stat().st_size)


def _read(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (part := file.read(min(STEP, end - start))):
        start += len(part)
        yield part
