"""Marks in files: AI-generated, by which model, and the recipe, as XMP. No pixel is touched.

Metadata is written into PNG, JPEG and WebP beside the compressed pixels, which stay byte for byte.
The same mark twice changes nothing, so that equal results stay one picture. Everything here is
blocking: call in a thread.
"""

import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bot.jobs import PictureKind
from bot.pictures.header import Data, sniff
from bot.pictures.marks.jpeg import Jpeg
from bot.pictures.marks.mark import Mark, Recipe, SourceType, Unmarkable, mark_of
from bot.pictures.marks.outline import Unreadable
from bot.pictures.marks.parts import Edit, Format, pieces_of
from bot.pictures.marks.png import Png
from bot.pictures.marks.webp import WebP
from bot.pictures.marks.xmp import (
    fitted,
    is_marked,
    names_a_manifest,
    new_packet,
    properties_of,
    recipe_of,
    values_in,
    without_recipe,
)

__all__ = [
    "Mark",
    "Recipe",
    "SourceType",
    "Unmarkable",
    "mark_of",
    "marked_pieces",
    "packet_for_copy",
    "pieces_of",
    "recipe_in",
]

PACKET_SHARE = 4  # a packet has this part of a copy at most

FORMATS: Mapping[PictureKind, Format] = {
    PictureKind.PNG: Png(),
    PictureKind.JPEG: Jpeg(),
    PictureKind.WEBP: WebP(),
}


def marked_pieces(path: Path, mark: Mark) -> Iterator[bytes]:
    """Return the parts of a file with the mark, in every XMP packet that it has, or in a new one.

    A file with C2PA data, whose signature a change would break, stays as it is. Raises Unmarkable.
    """
    if not path.stat().st_size:  # which cannot be mapped
        raise Unmarkable("neither PNG, JPEG nor WebP: unknown")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        edits = _edits(data, mark)
    return pieces_of(path, edits)


def _edits(data: Data, mark: Mark) -> Sequence[Edit]:
    """Return the changes that mark a file; none for one with C2PA data. Raises Unmarkable."""
    form = _format_of(data)
    scan = form.scan(data)
    found = [each.data.rstrip(b"\0") for each in scan.packets]
    if scan.has_c2pa or any(names_a_manifest(each) for each in found):
        return ()
    properties = properties_of(mark)
    former: Sequence[bytes | None] = found or [None]
    packets = [fitted(each, properties, form.longest) for each in former]
    return form.edits(data, scan, packets)


def recipe_in(data: bytes) -> Recipe | None:
    """Return the recipe in the bytes of a file, by anybody; None if there is none.

    At most MAX_PARTS headers and MAX_PACKETS packets of MAX_PACKET bytes are read.
    """
    try:
        return recipe_of(each.data.rstrip(b"\0") for each in _format_of(data).scan(data).packets)
    except Unmarkable:
        return None


def packet_for_copy(path: Path, mark: Mark | None, size: int) -> bytes | None:
    """Return the XMP packet for a re-encoded copy of a file: that of a marked file, or a new one.

    None for a file without a mark if `mark` is None. The packet fits a JPEG, and leaves most of
    the `size` of the copy in bytes to the pixels: without other properties, or recipe, if need be.
    """
    longest = min(Jpeg.longest, size // PACKET_SHARE)
    for packet, values in _marked_packets(path):
        forms = (packet, new_packet(values), new_packet(without_recipe(values)))
        return next((each for each in forms if len(each) <= longest), forms[-1])
    return None if mark is None else new_packet(properties_of(mark))


def _marked_packets(path: Path) -> Sequence[tuple[bytes, Mapping[str, str]]]:
    """Return the packets with a mark, beside its properties."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            scan = _format_of(data).scan(data)
        packets = [each.data.rstrip(b"\0") for each in scan.packets]
        found = [(each, values_in(each)) for each in packets]
    except (Unmarkable, Unreadable, OSError, ValueError):  # ValueError: an empty file
        return []
    return [(packet, values) for packet, values in found if is_marked(values)]


def _format_of(data: Data) -> Format:
    kind = sniff(data[:16])
    form = FORMATS.get(kind) if kind else None
    if form is None:
        raise Unmarkable(f"neither PNG, JPEG nor WebP: {kind or 'unknown'}")
    return form
