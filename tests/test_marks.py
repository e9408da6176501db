"""Marks in files, read back by Pillow and by exiftool: nothing else of a file changes."""

import importlib.util
import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from bot.pictures.marks import (
    Mark,
    Recipe,
    SourceType,
    Unmarkable,
    packet_for_copy,
    recipe_in,
)
from tests.support.files import picture
from tests.support.marks import (
    COMPOSITE,
    DC,
    FILES,
    FOREIGN,
    GENERATED,
    IPTC,
    MARK,
    MARK_WITH_RECIPE,
    PLAIN,
    RDF,
    RECIPE,
    SYSTEM,
    WITH_XMP,
    decoded,
    exiftool,
    jpeg_segment,
    marked,
    needs_exiftool,
    parts_of,
    png_chunk,
    properties_in,
    riff_chunk,
    saved,
    webp_of,
    with_c2pa,
    with_xmp,
    xmp_in,
)

MIB = 1024 * 1024
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@pytest.mark.parametrize("mark", [MARK, MARK_WITH_RECIPE], ids=["plain", "with recipe"])
def test_a_file_has_the_mark_and_the_same_pixels(data: bytes, mark: Mark) -> None:
    made = marked(data, mark)

    found = properties_in(made)
    assert found[f"{IPTC}DigitalSourceType"] == [GENERATED]
    assert found[f"{IPTC}AISystemUsed"] == [SYSTEM]
    assert decoded(made) == decoded(data)
    assert parts_of(made) == parts_of(data)
    assert recipe_in(made) == mark.recipe


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@pytest.mark.parametrize("mark", [MARK, MARK_WITH_RECIPE], ids=["plain", "with recipe"])
def test_the_same_mark_twice_changes_nothing(data: bytes, mark: Mark) -> None:
    once = marked(data, mark)

    assert marked(once, mark) == once


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_another_mark_replaces_the_former(data: bytes) -> None:
    other = Mark(SourceType.COMPOSITE, "Another model")
    made = marked(marked(data, MARK_WITH_RECIPE), other)

    found = properties_in(made)
    assert found[f"{IPTC}DigitalSourceType"] == [COMPOSITE]
    assert found[f"{IPTC}AISystemUsed"] == ["Another model"]
    assert f"{IPTC}AIPromptInformation" not in found
    assert recipe_in(made) is None
    assert made == marked(data, other)


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_other_metadata_stay(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(marked(data, MARK))) as now:
        assert now.getexif() == before.getexif()
        assert set(now.info) - set(before.info) <= {"xmp", "XML:com.adobe.xmp"}
        assert now.size == before.size


@pytest.mark.parametrize("data", WITH_XMP.values(), ids=WITH_XMP)
def test_other_properties_stay_byte_for_byte(data: bytes) -> None:
    packet = xmp_in(marked(data, MARK))

    found = properties_in(marked(data, MARK))
    assert found["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == ["Another > 'tool'"]
    assert [each.strip() for each in found[f"{DC}creator"]] == ["Ada"]
    assert found[f"{IPTC}AddlModelInfo"] == [""]
    assert f"{IPTC}AIPromptInformation" not in found  # a prompt may be private
    assert set(found[f"{RDF}about"]) == {"uuid:1&2"}
    begin, creator = FOREIGN.index(b"<dc:creator"), FOREIGN.index(b"</rdf:RDF>")
    assert FOREIGN[begin:creator] in packet
    assert packet.startswith(FOREIGN[: FOREIGN.index(b"ext:DigitalSourceType") - 5])


@pytest.mark.long
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@needs_exiftool
def test_exiftool_reads_the_mark(data: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(marked(data, MARK_WITH_RECIPE))

    found = exiftool(path)

    assert found["XMP-iptcExt:DigitalSourceType"] == GENERATED
    assert found["XMP-iptcExt:AISystemUsed"] == SYSTEM
    assert found["XMP-iptcExt:AIPromptInformation"] == (
        "a fox & a <hen>,\nin “snow” 雪 \n\nNegative prompt: rain"
    )
    assert found["ExifTool:Validate"] == _validation(data, tmp_path)


def _validation(data: bytes, folder: Path) -> object:
    (path := folder / "before").write_bytes(data)
    return exiftool(path)["ExifTool:Validate"]


@pytest.mark.skipif(
    importlib.util.find_spec("defusedxml") is None, reason="Pillow reads XMP by defusedxml"
)
def test_pillow_reads_the_properties() -> None:
    for data in FILES.values():
        with Image.open(io.BytesIO(marked(data, MARK))) as image:
            assert GENERATED in str(image.getxmp())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_with_c2pa_data_is_left_as_it_is(kind: str) -> None:
    data = with_c2pa(kind)

    assert marked(data, MARK) == data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_whose_c2pa_data_are_elsewhere_is_left_as_it_is(kind: str) -> None:
    manifest = b'xmlns:t="http://purl.org/dc/terms/" t:provenance="https://a.example/m.c2pa" '
    data = with_xmp(kind, FOREIGN.replace(b"rdf:about", manifest + b"rdf:about"))

    assert marked(data, MARK) == data


def test_other_data_in_app11_are_no_c2pa_data() -> None:
    data = picture("JPEG")
    data = data[:2] + jpeg_segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x10jumbother") + data[2:]

    assert GENERATED in str(properties_in(marked(data, MARK)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"no XML",
        FOREIGN.replace(b"<x:xmpmeta", b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta'),
        FOREIGN.replace(b"rdf:RDF", b"rdf:Other"),
        FOREIGN.replace(b"xmlns:ext", b"xmlns:other"),
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Bag/></r:RDF>',
    ],
    ids=["cut", "text", "entities", "no RDF", "no namespace", "empty", "other nodes"],
)
def test_a_packet_that_nobody_can_use_is_replaced(kind: str, packet: bytes) -> None:
    data = with_xmp(kind, packet)

    assert xmp_in(marked(data, MARK)) == xmp_in(marked(picture(kind), MARK))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_file_with_a_huge_packet_is_refused(kind: str) -> None:
    data = with_xmp(kind, FOREIGN.replace(b" " * 2000, b" " * 300_000))

    with pytest.raises(Unmarkable, match="XMP"):
        marked(data, MARK)


def test_padding_makes_room_in_a_jpeg() -> None:
    filled = FOREIGN.replace(b" " * 2000, b" " * (65_502 - len(FOREIGN) + 2000))
    assert len(filled) == 65_502

    made = marked(with_xmp("JPEG", filled), MARK_WITH_RECIPE)

    assert recipe_in(made) == RECIPE
    assert len(xmp_in(made)) < 5000


def test_a_recipe_without_room_is_left_out() -> None:
    long = FOREIGN.replace(b" " * 2000, b"").replace(b"Another > 'tool'", b"x" * 64_200)
    made = marked(with_xmp("JPEG", long), MARK_WITH_RECIPE)

    assert properties_in(made)[f"{IPTC}DigitalSourceType"] == [GENERATED]
    assert recipe_in(made) is None
    assert marked(made, MARK_WITH_RECIPE) == made


def test_a_jpeg_without_room_is_refused() -> None:
    full = FOREIGN.replace(b" " * 2000, b"").replace(b"Another > 'tool'", b"x" * 64_600)

    with pytest.raises(Unmarkable, match="no room"):
        marked(with_xmp("JPEG", full), MARK)


def test_xmp_follows_the_first_segments_of_a_jpeg() -> None:
    data = FILES["jpeg with exif"]
    data = data[:2] + jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + data[2:]
    made = marked(data, MARK)

    assert made.index(b"JFIF") < made.index(b"Exif\0\0") < made.index(b"http://ns.adobe.com/xap")
    assert made.index(b"http://ns.adobe.com/xap") < made.index(b"\xff\xdb")


def test_extended_xmp_stays() -> None:
    named = FOREIGN.replace(
        b"rdf:about",
        b'xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="%s" rdf:about' % (b"A" * 32),
    )
    extension = EXTENSION + b"A" * 32 + struct.pack(">II", 5, 0) + b"<a/> "
    data = with_xmp("JPEG", named)
    data = data[:2] + jpeg_segment(0xE1, extension) + data[2:]
    made = marked(data, MARK)

    assert made.count(jpeg_segment(0xE1, extension)) == 1
    assert properties_in(made)["{http://ns.adobe.com/xmp/note/}HasExtendedXMP"] == ["A" * 32]


def test_a_jpeg_of_several_pictures_keeps_its_offsets() -> None:
    """They count from the segment, so that only changes before it are harmless."""
    data, several = with_xmp("JPEG", FOREIGN), jpeg_segment(0xE2, b"MPF\0offsets")
    plain = picture("JPEG")
    behind = plain.index(b"\xff\xdb")

    made = marked(plain[:behind] + several + plain[behind:], MARK)
    assert made.index(b"http://ns.adobe.com/xap") < made.index(b"MPF\0")
    with pytest.raises(Unmarkable, match="several pictures"):
        marked(data[:2] + several + data[2:], MARK)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("behind", [False, True], ids=["before pixels", "behind pixels"])
def test_xmp_of_a_png_is_moved_before_the_pixels(compressed: bool, behind: bool) -> None:
    text = zlib.compress(FOREIGN) if compressed else FOREIGN
    flags = b"\1\0" if compressed else b"\0\0"
    body = b"XML:com.adobe.xmp\0" + flags + b"en\0XMP\0" + text
    data = picture("PNG")
    at = len(data) - 12 if behind else 33
    made = marked(data[:at] + png_chunk(b"iTXt", body) + data[at:], MARK)

    assert made.count(b"XML:com.adobe.xmp") == 1
    assert made.index(b"XML:com.adobe.xmp") < made.index(b"IDAT")
    assert "{http://ns.adobe.com/xap/1.0/}CreatorTool" in properties_in(made)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_of_several_packets_has_the_mark(kind: str) -> None:
    data = with_xmp(kind, FOREIGN)
    match kind:
        case "PNG":
            second = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + FOREIGN)
            data = data[:33] + second + data[33:]
        case "JPEG":
            second = jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + FOREIGN)
            data = data[:2] + second + data[2:]
        case _:
            data = webp_of(data[12:], riff_chunk(b"XMP ", FOREIGN))
    made = marked(data, MARK)

    assert made.count(GENERATED.encode()) == 2
    assert b"digitalCapture" not in made
    assert decoded(made) == decoded(data)
    assert marked(made, MARK) == made


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("lossy webp", 0x04),
        ("lossless webp", 0x04),
        ("lossless webp with alpha", 0x14),
        ("lossy webp with alpha", 0x14),
        ("animated webp", 0x06),
        ("webp with exif", 0x0C),
    ],
)
def test_a_webp_has_the_header_of_the_extended_format(name: str, flags: int) -> None:
    made = marked(FILES[name], MARK)

    assert made[12:20] == b"VP8X\x0a\0\0\0"
    assert made[20] == flags
    with Image.open(io.BytesIO(FILES[name])) as image:
        width, height = image.size
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    assert made[24:30] == size


def test_a_webp_without_its_last_padding_is_marked() -> None:
    lossless = (saved("WEBP", lossless=True) for _ in range(200))
    data = next(each for each in lossless if each[16] % 2)  # the size of the only chunk
    short = b"RIFF" + struct.pack("<I", len(data) - 9) + data[8:-1]

    assert decoded(marked(short, MARK)) == decoded(data)
    assert parts_of(marked(short, MARK)) == parts_of(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_bytes_behind_the_picture_stay(kind: str) -> None:
    data = picture(kind) + b"behind"

    assert marked(data, MARK).endswith(b"behind")
    assert decoded(marked(data, MARK)) == decoded(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither PNG"),
        (b"text", "neither PNG"),
        (picture("GIF", mode="P"), "neither PNG.* gif"),
        (picture("PNG")[:-12], "ends early"),
        (picture("PNG")[:33] + png_chunk(b"IEND", b""), "without pixels"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"CgBI", b"") + picture("PNG")[8:], "without a header"),
        (picture("JPEG")[:100], "end early"),
        (picture("WEBP")[:-40], "ends early"),
        (webp_of(riff_chunk(b"ALPH", b"a" * 20), picture("WEBP")[12:]), "without a header"),
        (webp_of(riff_chunk(b"VP8L", b"x" * 20)), "without a size"),
        (webp_of(), "without a header"),
    ],
)
def test_an_odd_file_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(Unmarkable, match=says):
        marked(data, MARK)
    assert recipe_in(data) is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_copy_takes_over_the_packet_of_a_marked_file(kind: str, tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(marked(with_xmp(kind, FOREIGN), MARK_WITH_RECIPE))
    other = Mark(SourceType.COMPOSITE, "Another model")

    assert packet_for_copy(path, None, MIB) == xmp_in(path.read_bytes())
    assert packet_for_copy(path, other, MIB) == xmp_in(path.read_bytes())


def test_a_packet_that_no_jpeg_can_hold_is_made_anew_for_a_copy(tmp_path: Path) -> None:
    data = with_xmp("PNG", FOREIGN.replace(b"Another > 'tool'", b"x" * 70_000))
    (path := tmp_path / "file").write_bytes(marked(data, MARK_WITH_RECIPE))

    packet = packet_for_copy(path, None, MIB)

    assert packet == xmp_in(marked(picture("JPEG"), MARK_WITH_RECIPE))


@pytest.mark.parametrize(("size", "recipe"), [(10_000, RECIPE), (3000, None), (100, None)])
def test_a_small_copy_has_less_metadata(size: int, recipe: Recipe | None, tmp_path: Path) -> None:
    long = FOREIGN.replace(b"Another > 'tool'", b"x" * 10_000)
    (path := tmp_path / "file").write_bytes(marked(with_xmp("PNG", long), MARK_WITH_RECIPE))

    packet = packet_for_copy(path, None, size)

    mark = Mark(SourceType.GENERATED, SYSTEM, recipe)
    assert packet == xmp_in(marked(picture("PNG"), mark))


@pytest.mark.parametrize(
    "data",
    [with_c2pa("PNG"), with_xmp("PNG", FOREIGN), picture("JPEG"), picture("PNG")[:-12], b""],
    ids=["c2pa", "xmp", "plain", "cut", "empty"],
)
def test_a_copy_of_an_unmarked_file_has_the_mark_that_is_given(data: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(data)

    assert packet_for_copy(path, None, MIB) is None
    assert packet_for_copy(path, MARK, MIB) == xmp_in(marked(picture("PNG"), MARK))
