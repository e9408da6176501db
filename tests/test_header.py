"""Kind and size by the first bytes: each field at its place, and files that end in any of them."""

import struct

import pytest

from bot.jobs import PictureKind
from bot.pictures import NotAPicture, header, measure, sniff
from bot.pictures.header import MAX_PASSES, MAX_SEGMENTS, foreign_kind, has_too_many_passes
from tests.support.files import jpeg_of_scans, picture
from tests.support.marks import jpeg_segment, png_chunk, riff_chunk, webp_of

FRAME = jpeg_segment(0xC0, b"\x08\x01\x02\x03\x04\x01\x01\x11\0")  # of 0x304 to 0x102 pixels
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", 0x01020304, 0x05060708)
GIF = b"GIF89a" + struct.pack("<HH", 0x0102, 0x0304)
VP8 = webp_of(b"VP8 " + struct.pack("<I", 10) + b"abc\x9d\x01\x2a" + struct.pack("<HH", 0x4102, 7))
BITS = 0x3FFE | 0x1002 << 14 | 1 << 28
VP8L = webp_of(b"VP8L" + struct.pack("<IBI", 5, 0x2F, BITS))
VP8X = webp_of(b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0\x03\x02\x01\x06\x05\x04")
HEADERS = {
    "png": (PNG, (0x01020304, 0x05060708)),
    "gif": (GIF, (0x0102, 0x0304)),
    "jpeg": (b"\xff\xd8" + FRAME[:9], (0x0304, 0x0102)),
    "lossy webp": (VP8, (0x0102, 7)),  # two bits are a scale
    "lossless webp": (VP8L, (0x3FFF, 0x1003)),
    "extended webp": (VP8X, (0x010204, 0x040507)),
}


@pytest.mark.parametrize(("data", "size"), HEADERS.values(), ids=HEADERS)
def test_the_size_is_read_as_soon_as_it_is_there(data: bytes, size: tuple[int, int]) -> None:
    assert measure(data) == measure(data + b"more") == size
    for end in range(len(data)):
        with pytest.raises(NotAPicture):
            measure(data[:end])


@pytest.mark.parametrize(
    "data",
    [
        PNG[:16] + struct.pack(">II", 0, 5),
        PNG[:16] + struct.pack(">II", 5, 0),
        GIF[:6] + struct.pack("<HH", 0, 5),
        VP8[:-4] + struct.pack("<HH", 0x4000, 5),
        VP8[:-4] + struct.pack("<HH", 5, 0xC000),
    ],
)
def test_no_picture_has_no_pixels(data: bytes) -> None:
    with pytest.raises(NotAPicture, match="zero"):
        measure(data)


@pytest.mark.parametrize("at", [12, 23, 24, 25])
def test_a_lossy_webp_without_its_start_code_is_none(at: int) -> None:
    data = bytearray(VP8)
    data[at] ^= 1

    with pytest.raises(NotAPicture, match="without a header"):
        measure(bytes(data))


def test_a_lossless_webp_without_its_signature_is_none() -> None:
    with pytest.raises(NotAPicture, match="without a header"):
        measure(VP8L.replace(b"\x2f", b"\x2e", 1))


def test_a_png_begins_with_its_header() -> None:
    with pytest.raises(NotAPicture, match="without a header"):
        measure(PNG.replace(b"IHDR", b"IDAT"))


KINDS = {
    b"\x89PNG\r\n\x1a\n": PictureKind.PNG,
    b"\xff\xd8\xff": PictureKind.JPEG,
    b"RIFF\1\2\3\4WEBP": PictureKind.WEBP,
    b"GIF87a": PictureKind.GIF,
    b"GIF89a": PictureKind.GIF,
}


@pytest.mark.parametrize(("head", "kind"), KINDS.items())
def test_a_kind_is_known_by_the_whole_of_its_beginning(head: bytes, kind: PictureKind) -> None:
    assert sniff(head) is sniff(head + b"more") is kind
    assert sniff(head[:-1]) is None
    assert sniff(head[:-1] + b"x") is None
    assert sniff(b"x" + head[1:]) is None
    assert sniff(b" " + head) is None


def test_kinds_of_other_programs_are_named() -> None:
    assert foreign_kind(b"\0\0\0\x18ftypheic\0\0\0\0") == "HEIC"
    assert foreign_kind(b"abcdftypavif") == "AVIF"
    for data in (b"\0\0\0\x18ftypisom", b"\0\0\0\x18moovheic", b"\0ftypheic", b"", b"\0\0\0\0ftyp"):
        assert foreign_kind(data) is None


def test_fill_bytes_and_bare_markers_are_passed_over() -> None:
    bare = b"\xff\x01" + b"".join(b"\xff" + bytes([each]) for each in range(0xD0, 0xD9))
    between = b"\xff\xff\xff" + jpeg_segment(0xE1, b"metadata")

    assert measure(b"\xff\xd8" + bare + between + FRAME) == (0x0304, 0x0102)


@pytest.mark.parametrize(
    ("segments", "says"),
    [
        (jpeg_segment(0xDA, b"\1") + FRAME, "without a frame"),
        (b"\xff\xd9" + FRAME, "without a frame"),
        (b"\xff\xe1\0\1" + FRAME, "cannot be followed"),
        (b"\xff\xe1\0\3" + FRAME, "cannot be followed"),
        (b"x" + FRAME, "unknown kind"),
        (jpeg_segment(0xE1, b"") + b"x" + FRAME, "cannot be followed"),
    ],
)
def test_a_jpeg_is_followed_to_its_frame_and_no_further(segments: bytes, says: str) -> None:
    with pytest.raises(NotAPicture, match=says):
        measure(b"\xff\xd8" + segments)


@pytest.mark.parametrize("data", [b"\xff\xe1\0\2", b"\xff\x01"], ids=["segment", "marker"])
def test_a_jpeg_may_have_10000_segments(data: bytes) -> None:
    assert measure(b"\xff\xd8" + data * (MAX_SEGMENTS - 1) + FRAME) == (0x0304, 0x0102)
    with pytest.raises(NotAPicture, match="too many segments"):
        measure(b"\xff\xd8" + data * MAX_SEGMENTS + FRAME)


def test_scans_behind_the_end_of_a_jpeg_do_not_count() -> None:
    plain = picture("JPEG")

    assert not has_too_many_passes(plain + jpeg_segment(0xDA, b"\1") * (MAX_PASSES + 1))
    assert has_too_many_passes(plain[:-2] + jpeg_segment(0xDA, b"\1") * (MAX_PASSES + 1))
    assert has_too_many_passes(plain[:-2] + jpeg_segment(0xDA, b"\1") * MAX_PASSES)
    assert not has_too_many_passes(plain[:-2] + jpeg_segment(0xDA, b"\1") * (MAX_PASSES - 1))


@pytest.mark.parametrize("extra", [False, True])
def test_scans_are_counted_in_10000_segments(extra: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """More are too many, whatever they are."""
    monkeypatch.setattr(header, "MAX_SEGMENTS", 300)
    scans = jpeg_segment(0xDA, b"\1") * MAX_PASSES
    hidden = jpeg_segment(0xE1, b"\xff\xda" * 10)  # so that they have to be counted
    data = b"\xff\xd8" + hidden + scans + jpeg_segment(0xE2, b"") * (198 + extra)

    assert has_too_many_passes(data) is extra


@pytest.mark.parametrize("kind", [b"ANMF", b"fcTL"])
@pytest.mark.parametrize("shift", range(5))
def test_frames_across_two_parts_of_a_file_are_counted_once(kind: bytes, shift: int) -> None:
    """The bytes are counted in parts of 64 KiB."""

    def made(frames: int) -> bytes:
        chunks = (riff_chunk if kind == b"ANMF" else png_chunk)(kind, b"") * (frames - 1)
        head = b"RIFF\0\0\0\0WEBP" if kind == b"ANMF" else PNG
        first = (head + chunks).ljust(64 * 1024 - shift, b"\0")
        return first + kind + bytes(10)

    assert not has_too_many_passes(made(MAX_PASSES))
    assert has_too_many_passes(made(MAX_PASSES + 1))


def test_each_kind_of_animation_is_counted_by_its_own_mark() -> None:
    marks = b"".join(each * (MAX_PASSES + 1) for each in (b"ANMF", b"fcTL"))

    assert not has_too_many_passes(picture("JPEG")[:-2] + marks + b"\xff\xd9")
    assert not has_too_many_passes(picture("GIF", mode="P") + marks + b"\xff\xda" * 200)
    assert has_too_many_passes(jpeg_of_scans(MAX_PASSES + 1)[:-2] + b"\xff\xd9")
    assert not has_too_many_passes(picture("PNG") + b"ANMF" * 200)
    assert not has_too_many_passes(picture("WEBP") + b"fcTL" * 200)
