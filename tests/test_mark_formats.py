"""The structure of marked files: where XMP goes, what is refused, and the limits of both."""

import struct
import zlib
from pathlib import Path

import pytest

from bot.pictures.marks import (
    Mark,
    SourceType,
    Unmarkable,
    jpeg,
    packet_for_copy,
    parts,
    pieces_of,
    png,
    webp,
)
from bot.pictures.marks.jpeg import Jpeg
from bot.pictures.marks.parts import MAX_PACKETS, Edit
from bot.pictures.marks.png import SPARE
from bot.pictures.marks.xmp import MAX_PACKET, new_packet, properties_of, without_recipe
from bot.pictures.store import judge
from tests.support.files import picture
from tests.support.marks import (
    FOREIGN,
    GENERATED,
    JUMBF,
    MARK,
    MARK_WITH_RECIPE,
    PLAIN,
    decoded,
    jpeg_segment,
    marked,
    parts_of,
    png_chunk,
    riff_chunk,
    webp_of,
    with_xmp,
    xmp_in,
)

NEW = new_packet(properties_of(MARK))
XAP = b"http://ns.adobe.com/xap/1.0/\0"
KEYWORD = b"XML:com.adobe.xmp"
PNG, JPEG, WEBP = (picture(kind) for kind in ("PNG", "JPEG", "WEBP"))
APP0 = jpeg_segment(0xE0, b"JFIF\0more")
MPF = jpeg_segment(0xE2, b"MPF\0offsets")


def jpeg_with(*segments: bytes) -> bytes:
    """Return a JPEG with these segments before all others."""
    return JPEG[:2] + b"".join(segments) + JPEG[JPEG.index(b"\xff\xdb") :]


def png_with(*chunks: bytes) -> bytes:
    return PNG[:33] + b"".join(chunks) + PNG[33:]


def webp_with(*chunks: bytes) -> bytes:
    return webp_of(WEBP[12:], *chunks)


def text_chunk(text: bytes, *, flags: bytes = b"\0\0", language: bytes = b"\0\0") -> bytes:
    return png_chunk(b"iTXt", KEYWORD + b"\0" + flags + language + text)


def packets_in(kind: str, number: int, packet: bytes = FOREIGN) -> bytes:
    match kind:
        case "PNG":
            return png_with(*[text_chunk(packet)] * number)
        case "JPEG":
            return jpeg_with(*[jpeg_segment(0xE1, XAP + packet)] * number)
        case _:
            return webp_with(*[riff_chunk(b"XMP ", packet)] * number)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_eight_packets_are_marked_and_not_more(kind: str) -> None:
    made = marked(packets_in(kind, MAX_PACKETS), MARK)

    assert made.count(GENERATED.encode()) == MAX_PACKETS
    with pytest.raises(Unmarkable, match="many XMP packets"):
        marked(packets_in(kind, MAX_PACKETS + 1), MARK)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_packet_of_256_kib_is_marked_and_no_larger_one(kind: str) -> None:
    assert xmp_in(marked(packets_in(kind, 1, NEW.ljust(MAX_PACKET)), MARK)).startswith(NEW)
    with pytest.raises(Unmarkable, match="XMP"):
        marked(packets_in(kind, 1, NEW.ljust(MAX_PACKET + 1)), MARK)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_as_many_parts_as_the_limit_are_followed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "MAX_PARTS", 12)
    monkeypatch.setattr(webp, "MAX_PARTS", 12)
    monkeypatch.setattr(jpeg, "MAX_SEGMENTS", 12)
    own = {"PNG": 3, "WEBP": 1, "JPEG": len(parts_of(jpeg_with()))}[kind]

    def made(number: int) -> bytes:
        match kind:
            case "PNG":
                return png_with(*[png_chunk(b"teXt", b"")] * number)
            case "JPEG":
                return jpeg_with(*[jpeg_segment(0xFE, b"")] * number)
            case _:
                return webp_with(*[riff_chunk(b"none", b"")] * number)

    assert decoded(marked(made(12 - own), MARK)) == decoded(made(0))
    with pytest.raises(Unmarkable):
        marked(made(13 - own), MARK)


def test_xmp_of_a_jpeg_follows_jfif_and_exif_but_not_the_offsets_of_others() -> None:
    exif, other = jpeg_segment(0xE1, b"Exif\0\0II"), jpeg_segment(0xE1, b"other")
    xmp = jpeg_segment(0xE1, XAP + NEW)

    for segments, before in (
        ([APP0, exif, other], 2),
        ([other, exif, APP0], 3),
        ([APP0, other], 1),
        ([other, MPF], 0),
        ([APP0, MPF, exif], 1),
        ([MPF, APP0], 0),
        ([jpeg_segment(0xE2, b"ICC_PROFILE\0"), exif], 2),
        ([b"\xff\x01", b"\xff\xff\xff" + APP0], 2),
    ):
        made = marked(jpeg_with(*segments), MARK)
        assert made == jpeg_with(*segments[:before], xmp, *segments[before:])


def test_a_packet_of_a_jpeg_is_changed_before_offsets_alone() -> None:
    packet = jpeg_segment(0xE1, XAP + FOREIGN)

    assert marked(jpeg_with(packet, MPF), MARK).endswith(jpeg_with(MPF)[2:])
    with pytest.raises(Unmarkable, match="several pictures"):
        marked(jpeg_with(MPF, packet), MARK)
    with pytest.raises(Unmarkable, match="several pictures"):
        marked(jpeg_with(packet, MPF, packet), MARK)


def test_c2pa_data_of_a_jpeg_may_be_in_the_first_of_several_segments() -> None:
    others = jpeg_segment(0xEB, b"JP\0\1\0\0\0\1more")

    for segments in ([jpeg_segment(0xEB, JUMBF), others], [others, jpeg_segment(0xEB, JUMBF)]):
        assert marked(jpeg_with(*segments), MARK) == jpeg_with(*segments)
    for segment in (others, jpeg_segment(0xEB, b"no c2pa"), jpeg_segment(0xEA, JUMBF)):
        assert GENERATED.encode() in marked(jpeg_with(segment, b""), MARK)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xd9",
        jpeg_with(b"\xff\xd9"),
        jpeg_with(b"\xff\xe0\0\1"),
        jpeg_with(b"\xff\xe0\0\0"),
        jpeg_with(b"\xff\xe1\0\3"),
        jpeg_with(APP0, b"text"),
        jpeg_with()[: jpeg_with().index(b"\xff\xda")],
        JPEG[:2] + jpeg_segment(0xE1, XAP + FOREIGN)[:-1],
    ],
)
def test_a_jpeg_without_a_scan_is_refused(data: bytes) -> None:
    with pytest.raises(Unmarkable, match="cannot be followed, or end early"):
        marked(data, MARK)


def test_an_empty_segment_of_a_jpeg_is_followed() -> None:
    assert GENERATED.encode() in marked(jpeg_with(b"\xff\xe2\0\2"), MARK)


def test_other_texts_of_a_png_stay() -> None:
    other = png_chunk(b"iTXt", b"XML:com.adobe.xmq\0\0\0\0\0text")
    upper = png_chunk(b"tEXt", KEYWORD + b"\0text")
    data = png_with(other, upper)

    assert marked(data, MARK) == png_with(text_chunk(NEW), other, upper)


@pytest.mark.parametrize(
    ("chunk", "is_read"),
    [
        (text_chunk(FOREIGN), True),
        (text_chunk(FOREIGN, language=b"en\0XMP\0"), True),
        (text_chunk(FOREIGN, flags=b"\0\1"), True),  # the method of no compression
        (text_chunk(zlib.compress(FOREIGN), flags=b"\1\0"), True),
        (text_chunk(zlib.compress(FOREIGN), flags=b"\1\1"), False),
        (text_chunk(FOREIGN, flags=b"\2\0"), False),
        (text_chunk(FOREIGN, flags=b"\1\0"), False),
    ],
    ids=range(7),
)
def test_a_packet_of_a_png_is_read_if_its_compression_is_known(chunk: bytes, is_read: bool) -> None:
    found = xmp_in(marked(png_with(chunk), MARK))

    assert (b"CreatorTool" in found) is is_read
    assert is_read or found == NEW


def test_the_text_of_a_png_has_room_for_a_language() -> None:
    language = b"e" * (SPARE - 4) + b"\0\0"  # beside two bytes of flags
    chunk = text_chunk(NEW.ljust(MAX_PACKET), language=language)

    assert xmp_in(marked(png_with(chunk), MARK)).startswith(NEW)
    with pytest.raises(Unmarkable, match=f"an XMP chunk of {MAX_PACKET + SPARE + 1} bytes"):
        marked(png_with(text_chunk(NEW.ljust(MAX_PACKET), language=b"e" + language)), MARK)


def test_a_compressed_packet_has_256_kib_at_most() -> None:
    def made(size: int) -> bytes:
        return png_with(text_chunk(zlib.compress(NEW.ljust(size)), flags=b"\1\0"))

    assert xmp_in(marked(made(MAX_PACKET), MARK)).startswith(NEW)
    with pytest.raises(Unmarkable, match="compressed"):
        marked(made(MAX_PACKET + 1), MARK)


@pytest.mark.parametrize("cut", [1, 4, 11, 12, 13, 20])
def test_a_png_is_followed_to_its_end(cut: int) -> None:
    with pytest.raises(Unmarkable, match="ends early"):
        marked(PNG[:-cut], MARK)


@pytest.mark.parametrize("rest", [b"", b"x", b"behind"])
@pytest.mark.parametrize("odd", [False, True])
def test_a_webp_has_its_chunks_at_even_places(rest: bytes, odd: bool) -> None:
    mark = Mark(SourceType.GENERATED, "odd" if odd else "even")
    made = marked(WEBP + rest, mark)

    assert made.endswith(rest)
    whole = made.removesuffix(rest)
    assert parts_of(whole) == parts_of(WEBP)
    assert len(whole) % 2 == 0
    assert xmp_in(whole) == new_packet(properties_of(mark))


@pytest.mark.parametrize("end", [b"a", b"nonee", b"none\1\0\0", b"none\1\0\0\0", b"none\3\0\0\0ab"])
def test_a_webp_with_a_part_of_a_chunk_is_refused(end: bytes) -> None:
    body = b"WEBP" + WEBP[12:] + end

    with pytest.raises(Unmarkable, match="ends early"):
        marked(b"RIFF" + struct.pack("<I", len(body)) + body, MARK)


def test_a_webp_may_end_with_an_empty_chunk() -> None:
    made = marked(webp_with(b"none\0\0\0\0"), MARK)

    assert parts_of(made) == [*parts_of(WEBP), (b"none", b"")]
    assert made.endswith(b"none\0\0\0\0")
    assert made.index(b"XMP ") < made.index(b"none")


@pytest.mark.parametrize("kind", [b"VP8 ", b"VP8L", b"VP8X"])
def test_the_first_chunk_of_a_webp_has_ten_bytes(kind: bytes) -> None:
    content = {
        b"VP8 ": b"abc\x9d\x01\x2a\x10\0\x10\0",
        b"VP8L": b"\x2f\x0f\xc0\x03\0more.",
        b"VP8X": b"\0\0\0\0\x0f\0\0\x0f\0\0",
    }[kind]
    made = marked(webp_of(riff_chunk(kind, content)), MARK)

    assert made[20:24] == b"\x04\0\0\0"
    assert made[24:30] == b"\x0f\0\0\x0f\0\0"
    with pytest.raises(Unmarkable, match="without a header"):
        marked(webp_of(riff_chunk(kind, content[:-1]), riff_chunk(b"none", bytes(9))), MARK)


@pytest.mark.parametrize("packet", [FOREIGN, FOREIGN + b" "], ids=["even", "odd"])
def test_a_packet_of_a_webp_is_moved_behind_the_pixels(packet: bytes) -> None:
    exif, icc = riff_chunk(b"EXIF", b"II"), riff_chunk(b"ICCP", b"profile!")
    head = riff_chunk(b"VP8X", b"\x0c\0\0\0\x2f\0\0\x1f\0\0")
    data = webp_of(
        head, riff_chunk(b"XMP ", packet), icc, WEBP[12:], exif, riff_chunk(b"x   ", b"")
    )
    made = marked(data, MARK)

    kinds = [made.index(each) for each in (b"ICCP", b"VP8 ", b"EXIF", b"XMP ", b"x   ")]
    assert kinds == sorted(kinds)
    assert made.count(b"XMP ") == 1
    assert b"CreatorTool" in xmp_in(made)
    assert parts_of(made) == parts_of(data)


@pytest.mark.parametrize("step", [1, 3, 4, 100])
def test_a_file_is_edited_in_parts(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "STEP", step)
    (path := tmp_path / "file").write_bytes(b"0123456789")
    edits = [Edit(8, 10, b"END"), Edit(0, 0, b"A"), Edit(2, 5), Edit(2, 2, b"BC")]
    pieces = list(pieces_of(path, edits))

    assert b"".join(pieces) == b"A01BC567END"
    assert max(len(each) for each in pieces) <= max(step, 3)
    assert b"".join(pieces_of(path)) == b"0123456789"


@pytest.mark.parametrize("number", [0, 1])
def test_the_packet_of_a_copy_leaves_most_of_its_size_to_the_pixels(
    number: int, tmp_path: Path
) -> None:
    """A packet has a quarter at most, and no more than a JPEG has room for."""
    (path := tmp_path / "file").write_bytes(marked(with_xmp("PNG", FOREIGN), MARK_WITH_RECIPE))
    values = properties_of(MARK_WITH_RECIPE)
    forms = [xmp_in(path.read_bytes()), new_packet(values), new_packet(without_recipe(values))]
    size = len(forms[number]) * 4

    assert packet_for_copy(path, MARK, size) == packet_for_copy(path, MARK, size + 3)
    assert packet_for_copy(path, MARK, size) == forms[number]
    assert packet_for_copy(path, MARK, size - 1) == forms[number + 1]


@pytest.mark.parametrize(("more", "is_kept"), [(0, True), (1, False)])
def test_the_packet_of_a_copy_fits_a_jpeg(more: int, is_kept: bool, tmp_path: Path) -> None:
    packet = NEW.ljust(Jpeg.longest + more)
    (path := tmp_path / "file").write_bytes(packets_in("PNG", 1, packet))

    assert packet_for_copy(path, None, 10**7) == (packet if is_kept else NEW)


def test_the_first_packet_with_a_mark_is_that_of_a_copy(tmp_path: Path) -> None:
    first, second = (
        new_packet(properties_of(Mark(SourceType.COMPOSITE, each))) for each in ("one", "two")
    )
    (path := tmp_path / "file").write_bytes(
        png_with(text_chunk(FOREIGN), text_chunk(first + b"\0\0"), text_chunk(second))
    )

    assert packet_for_copy(path, MARK, 10**6) == first


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_a_marked_file_is_the_same_picture(data: bytes) -> None:
    before, after = judge(data), judge(marked(data, MARK))

    assert (after.kind, after.width, after.height) == (before.kind, before.width, before.height)
