"""Files and packets made to harm: a mark, or a refusal, in little time and memory."""

import json
import random
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pictures.marks import Recipe, Unmarkable, marked_pieces, recipe_in
from tests.support.files import picture
from tests.support.marks import (
    FILES,
    FOREIGN,
    MARK_WITH_RECIPE,
    RECIPE,
    jpeg_segment,
    marked,
    png_chunk,
    riff_chunk,
    webp_of,
    with_xmp,
)

MIB = 1024 * 1024
EASEL = "urn:x-easel:recipe/1/"


def try_to_mark(data: bytes) -> None:
    """Mark a file, unless refused; a marked one is read, and marked again without a change."""
    assert isinstance(recipe_in(data), Recipe | None)
    with suppress(Unmarkable):
        made = marked(data, MARK_WITH_RECIPE)
        if made != data:
            assert recipe_in(made) == RECIPE
        assert marked(made, MARK_WITH_RECIPE) == made


@pytest.mark.long
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_that_was_cut(data: bytes) -> None:
    made = marked(data, MARK_WITH_RECIPE)
    for file in (data, made):
        for end in {*range(0, len(file), 31), *range(min(len(file), 200))}:
            try_to_mark(file[:end])


@pytest.mark.long
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_with_other_bytes(data: bytes) -> None:
    chance = random.Random(4)
    made = marked(data, MARK_WITH_RECIPE)
    for file in (data, made):
        for at in {*range(0, len(file), 41), *range(min(len(file), 60))}:
            changed = bytearray(file)
            changed[at] = chance.choice((0, 0xFF, changed[at] ^ 1, chance.randrange(256)))
            try_to_mark(bytes(changed))


@settings(max_examples=300)
@given(st.data())
def test_a_packet_with_pieces_changed(drawn: st.DataObject) -> None:
    packet = bytearray(FOREIGN.replace(b" " * 2000, b""))
    pieces = st.sampled_from(
        [
            b"",
            b"<",
            b">",
            b"/>",
            b"</",
            b'"',
            b"&",
            b"]]>",
            b"<!--",
            b"<a:b/>",
            b"\0",
            b"\xff",
            b" ",
        ]
    )
    for _ in range(drawn.draw(st.integers(1, 4))):
        at = drawn.draw(st.integers(0, len(packet)))
        packet[at : at + drawn.draw(st.integers(0, 40))] = drawn.draw(pieces)
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
    data = picture("PNG")

    made = marked(data[:33] + chunk + data[33:], MARK_WITH_RECIPE)

    assert recipe_in(made) == RECIPE
    assert marked(made, MARK_WITH_RECIPE) == made


def test_entities_are_not_expanded() -> None:
    laughs = b"".join(
        b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"ha") for n in range(10)
    )
    packet = FOREIGN.replace(b"<x:xmpmeta", b"<!DOCTYPE x [" + laughs + b"]><x:xmpmeta").replace(
        b"Another model", b"&a9;"
    )
    began = time.process_time()

    made = marked(with_xmp("PNG", packet), MARK_WITH_RECIPE)

    assert b"ENTITY" not in made
    assert time.process_time() - began < 1


def test_a_compressed_packet_that_bursts_is_refused() -> None:
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(100 * MIB))
    data = picture("PNG")
    bomb = data[:33] + png_chunk(b"iTXt", body) + data[33:]
    tracemalloc.start()

    with pytest.raises(Unmarkable, match="compressed"):
        marked(bomb, MARK_WITH_RECIPE)

    assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    tracemalloc.stop()


RDF = (
    b'<x xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:RDF>'
    b'<r:Description xmlns:a="a"%s>%s</r:Description></r:RDF></x>'
)
SLOW = {
    "elements": RDF % (b"", b"<a:a/>" * 40_000),
    "depth": RDF % (b"", b"<a:a>" * 20_000 + b"</a:a>" * 20_000),
    "attributes": RDF % (b"".join(b" a:b%d=''" % n for n in range(20_000)), b""),
    "spaces in a tag": RDF % (b" " * 250_000, b""),
    "spaces": RDF % (b"", b" " * 250_000),
    "spaces before the end": b" " * 250_000 + b"<?xpacket end",
    "an attribute": RDF % (b" a:b='" + b"<" * 250_000, b""),
    "quotes": RDF % (b"", b"'\"" * 120_000),
}


@pytest.mark.parametrize("packet", SLOW.values(), ids=SLOW)
def test_no_packet_takes_long(packet: bytes) -> None:
    assert len(packet) < 256 * 1024
    data = picture("PNG")
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
    began = time.process_time()

    with suppress(Unmarkable):  # no room for the mark
        marked(data[:33] + chunk + data[33:], MARK_WITH_RECIPE)
    with suppress(Unmarkable):
        marked(with_xmp("JPEG", packet[:65_000]), MARK_WITH_RECIPE)

    assert time.process_time() - began < 3


MANY = {
    "chunks of a png": picture("PNG")[:33] + png_chunk(b"teXt", b"") * MIB,
    "packets of a png": picture("PNG")[:33]
    + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + FOREIGN) * 1000
    + picture("PNG")[33:],
    "segments of a jpeg": b"\xff\xd8" + jpeg_segment(0xE1, b"") * MIB,
    "fill bytes of a jpeg": b"\xff\xd8" + b"\xff" * 10 * MIB,
    "packets of a jpeg": b"\xff\xd8"
    + jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + FOREIGN) * 1000
    + picture("JPEG")[2:],
    "chunks of a webp": webp_of(picture("WEBP")[12:], riff_chunk(b"none", b"") * MIB),
    "packets of a webp": webp_of(picture("WEBP")[12:], riff_chunk(b"XMP ", FOREIGN) * 1000),
}


@pytest.mark.parametrize("data", MANY.values(), ids=MANY)
def test_a_file_of_many_parts_is_refused(data: bytes) -> None:
    began = time.process_time()

    with pytest.raises(Unmarkable):
        marked(data, MARK_WITH_RECIPE)

    assert recipe_in(data) is None
    assert time.process_time() - began < 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_large_file_is_never_in_memory(kind: str, tmp_path: Path) -> None:
    path, size = tmp_path / "large", 40 * MIB
    path.write_bytes(picture(kind).ljust(size, b"\0"))
    tracemalloc.start()

    made = sum(len(each) for each in marked_pieces(path, MARK_WITH_RECIPE))

    assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    tracemalloc.stop()
    assert made - size < 4096


RECIPES = {
    "not JSON": "{",
    "a list": "[]",
    "no prompt": '{"model": "oxen"}',
    "an empty prompt": '{"model": "oxen", "prompt": ""}',
    "a long prompt": json.dumps({"model": "oxen", "prompt": "x" * 6001}),
    "a long option": json.dumps({"model": "m", "prompt": "p", "options": {"a": "x" * 6001}}),
    "many options": json.dumps(
        {"model": "m", "prompt": "p", "options": {str(n): 1 for n in range(33)}}
    ),
    "a nested option": '{"model": "m", "prompt": "p", "options": {"a": {"b": 1}}}',
    "a fraction": '{"model": "m", "prompt": "p", "options": {"a": 1.5}}',
    "a huge number": '{"model": "m", "prompt": "p", "options": {"a": 1%s}}' % ("0" * 5000),
    "half a character": '{"model": "m", "prompt": "\\ud800"}',
    "NUL": '{"model": "m", "prompt": "a\\u0000"}',
    "another id": '{"model": "m", "prompt": "p", "job": "../../../../../.."}',
    "depth": '{"model": "m", "prompt": "p", "options": %s' % ("[" * 50_000),
    "much text": '{"model": "m", "prompt": "p"' + " " * 70_000 + "}",
}


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_is_none_is_not_read(text: str) -> None:
    assert recipe_in(with_recipe(text)) is None


def test_a_recipe_of_another_program_is_read() -> None:
    found = recipe_in(with_recipe('{"model": "m", "prompt": "@everyone", "more": [1]}'))

    assert found == Recipe(model="m", prompt="@everyone")


def with_recipe(text: str) -> bytes:
    block = f'<e:Recipe xmlns:e="{EASEL}"><![CDATA[{text}]]></e:Recipe>'
    return with_xmp("PNG", FOREIGN.replace(b"<ext:AddlModelInfo/>", block.encode()))
