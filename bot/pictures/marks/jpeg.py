"""XMP in JPEG: an APP1 segment (XMP Specification Part 3, 1.1.3).

Segments of extended XMP stay: the packet names their content by a hash that no change here affects.
"""

import struct
from collections.abc import Sequence

from bot.pictures.header import JPEG_BARE, JPEG_SEGMENT, MAX_SEGMENTS, Data
from bot.pictures.marks.mark import Unmarkable
from bot.pictures.marks.parts import MAX_PACKETS, Edit, Packet, Scan, removed

APP0, APP1, APP2, APP11 = 0xE0, 0xE1, 0xE2, 0xEB
END, SCAN = 0xD9, 0xDA
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXIF = b"Exif\0\0"
SEVERAL = b"MPF\0"  # CIPA DC-007: pictures behind this one, found by offsets from here
JUMBF = b"JP"  # C2PA Specification, Embedding manifests into JPEG


class Jpeg:
    longest = 65_502

    def scan(self, data: Data) -> Scan:
        """Walk the segments before the first scan."""
        at = place = 2
        packets, has_c2pa, has_offsets = list[Packet](), False, False
        for _ in range(MAX_SEGMENTS):
            found = JPEG_SEGMENT.match(data, at)
            if found is None or (marker := found[1][0]) == END:
                raise Unmarkable("a JPEG whose segments cannot be followed, or end early")
            if marker == SCAN:
                return Scan(place, tuple(packets), has_c2pa)
            start, body = at, found.end() + 2
            at = found.end() if marker in JPEG_BARE else _end(data, found.end())
            if marker == APP0 or (marker == APP1 and _begins(data, body, EXIF)):
                place = place if has_offsets else at
            elif marker == APP1 and _begins(data, body, XMP):
                packets.append(Packet(start, at, data[body + len(XMP) : at]))
                if has_offsets or len(packets) > MAX_PACKETS:
                    raise Unmarkable("a JPEG of several pictures, or of many XMP packets")
            elif marker == APP2 and _begins(data, body, SEVERAL):
                has_offsets = True
            elif marker == APP11 and _begins(data, body, JUMBF):
                has_c2pa |= b"c2pa" in data[body:at]
        raise Unmarkable("a JPEG of too many segments")

    def edits(self, data: Data, scan: Scan, packets: Sequence[bytes]) -> Sequence[Edit]:
        segments = b"".join(_segment(each) for each in packets)
        return [Edit(scan.at, scan.at, segments), *removed(scan)]


def _segment(packet: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", 2 + len(XMP) + len(packet)) + XMP + packet


def _begins(data: Data, at: int, words: bytes) -> bool:
    return data[at : at + len(words)] == words


def _end(data: Data, at: int) -> int:
    """Return the end of a segment whose length is at `at`; nothing follows one that is cut off."""
    length = int.from_bytes(data[at : at + 2])
    if length < 2:
        raise Unmarkable("a JPEG whose segments cannot be followed, or end early")
    return at + length
