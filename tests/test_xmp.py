"""XMP packets: exactly what belongs to a mark is replaced, and sizes are kept."""

from dataclasses import replace

import pytest

from bot.jobs import Attachment
from bot.pictures.marks import Mark, Recipe, SourceType, Unmarkable
from bot.pictures.marks.mark import MAX_RECIPE, mark_of
from bot.pictures.marks.outline import Unreadable
from bot.pictures.marks.xmp import (
    MAX_PACKET,
    PROMPT,
    RECIPE,
    SOURCE,
    SYSTEM,
    fitted,
    is_marked,
    merged,
    names_a_manifest,
    new_packet,
    parsed,
    properties_of,
    recipe_of,
    values_in,
    without_recipe,
)
from bot.store.database import Database
from tests.support.marks import MARK, MARK_WITH_RECIPE
from tests.support.rows import one

PLAIN = properties_of(MARK)
WITH_RECIPE = properties_of(MARK_WITH_RECIPE)
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
EXT = 'xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
PACKET = f"<x {RDF} {EXT} xmlns:a='urn:a'><rdf:RDF>%s</rdf:RDF></x>"
# What is between the quotation marks is a former mark.
FORMER = {
    "an element": (
        "<rdf:Description a:b='1'>«<ext:AISystemUsed>x</ext:AISystemUsed>»</rdf:Description>"
    ),
    "an empty element": "<rdf:Description a:b='1'>«<ext:AISystemUsed/>»</rdf:Description>",
    "an end with spaces": (
        "<rdf:Description a:b='1'>«<ext:AISystemUsed>x</ext:AISystemUsed \n>» </rdf:Description>"
    ),
    "an attribute": "<rdf:Description« ext:AISystemUsed='x'» a:b='1'/>",
    "an attribute behind others": '<rdf:Description a:b="1"« \n ext:AISystemUsed = "x>"» a:c="2"/>',
    "between declarations": (
        "<rdf:Description xmlns='urn:c' a:b='1' xmlns:d='urn:d'« ext:AISystemUsed='x'» a:e='2'/>"
    ),
    "a whole description": " «<rdf:Description rdf:about='' ext:AISystemUsed='x'/>» ",
    "a whole description of elements": (
        " «<rdf:Description><ext:AISystemUsed>x</ext:AISystemUsed>\n"
        "<ext:DigitalSourceType>y</ext:DigitalSourceType></rdf:Description>» "
    ),
    "two descriptions": (
        "<rdf:Description a:b='1'« ext:AISystemUsed='x'»/>"
        "«<rdf:Description ext:DigitalSourceType='x'></rdf:Description>»"
        "<rdf:Description><a:c/></rdf:Description>"
    ),
    "twice": (
        "<rdf:Description a:b='1'« ext:AISystemUsed='x'»>"
        "«<ext:AISystemUsed>y</ext:AISystemUsed>»</rdf:Description>"
    ),
    "a deep element stays": (
        "<rdf:Description><a:b><ext:AISystemUsed>x</ext:AISystemUsed></a:b></rdf:Description>"
    ),
    "a description inside stays": (
        "<rdf:Description><a:b><rdf:Description ext:AISystemUsed='x'/></a:b></rdf:Description>"
    ),
    "another RDF inside stays": (
        "<rdf:Description><a:b><rdf:RDF><rdf:Description ext:AISystemUsed='x'/></rdf:RDF></a:b>"
        "«<ext:AISystemUsed>y</ext:AISystemUsed>»</rdf:Description>"
    ),
    "an empty description stays": "<rdf:Description/><rdf:Description></rdf:Description>",
    "a comment stays": "<!-- <ext:AISystemUsed/> --><rdf:Description><a:b/></rdf:Description>",
}


@pytest.mark.parametrize("text", FORMER.values(), ids=FORMER)
def test_exactly_the_former_mark_goes(text: str) -> None:
    packet = (PACKET % text.replace("«", "").replace("»", "")).encode()
    kept = "".join(each.rpartition("»")[2] for each in text.split("«"))
    head, tail = (PACKET % kept).rsplit("</rdf:RDF>", 1)

    made = merged(packet, PLAIN).decode()

    assert made.startswith(head + "<rdf:Description ")
    assert made.endswith("</rdf:Description></rdf:RDF>" + tail)
    assert len(made) - len(head) - len(tail) < 500
    assert values_in(made.encode()) == PLAIN
    assert merged(made.encode(), PLAIN).decode() == made


def test_what_follows_rdf_is_no_part_of_it() -> None:
    behind = "<rdf:RDF><rdf:Description ext:AISystemUsed='y'/></rdf:RDF><a:b><a:c>z</a:c></a:b></x>"
    packet = (PACKET % "<rdf:Description ext:AISystemUsed='x'/>").replace("</x>", behind).encode()

    assert values_in(packet) == {SYSTEM: "x"}
    assert merged(packet, PLAIN).decode().endswith("</rdf:Description></rdf:RDF>" + behind)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<rdf:Description ext:AISystemUsed='a &amp; b'/>", "a & b"),
        ("<rdf:Description><ext:AISystemUsed>a<![CDATA[<b]]>c</ext:AISystemUsed>", "a<bc"),
        ("<rdf:Description><ext:AISystemUsed><a:b>x</a:b>y</ext:AISystemUsed>", "y"),
        ("<rdf:Description>z<ext:AISystemUsed/>z", ""),
    ],
)
def test_the_text_of_a_property_is_its_own(text: str, value: str) -> None:
    end = "" if text.endswith("/>") and "z" not in text else "</rdf:Description>"

    assert values_in((PACKET % (text + end)).encode()) == {SYSTEM: value}


def test_the_mark_is_about_what_the_packet_is_about() -> None:
    packet = PACKET % "<rdf:Description rdf:about='uuid:1' a:b='1'/><rdf:Description a:c='1'/>"

    assert 'rdf:about="uuid:1"' in merged(packet.encode(), PLAIN).decode()
    assert 'rdf:about=""' in merged((PACKET % "").encode(), PLAIN).decode()


@pytest.mark.parametrize(
    "packet",
    [
        PACKET % "<rdf:Bag/>",
        PACKET % "<rdf:Description/><a:b/>",
        (PACKET % "").replace("<rdf:RDF></rdf:RDF>", "<rdf:RDF/>"),
        (PACKET % "").replace("</x>", ""),
        f"<x {RDF}/>",
        "",
    ],
)
def test_a_packet_without_a_place_for_a_mark_cannot_be_read(packet: str) -> None:
    with pytest.raises(Unreadable):
        parsed(packet.encode())
    assert merged(packet.encode(), PLAIN) == new_packet(PLAIN)
    assert names_a_manifest(packet.encode()) is False
    assert recipe_of([packet.encode(), new_packet(WITH_RECIPE)]) == MARK_WITH_RECIPE.recipe


def test_a_packet_of_256_kib_is_read_and_no_larger_one() -> None:
    padded = new_packet(PLAIN).ljust(MAX_PACKET)

    assert values_in(padded) == PLAIN
    with pytest.raises(Unmarkable, match=f"an XMP packet of {MAX_PACKET + 1} bytes"):
        values_in(padded + b" ")


@pytest.mark.parametrize("packet", [None, (PACKET % "<rdf:Description a:b='1'/>").encode()])
def test_a_recipe_is_written_if_there_is_room(packet: bytes | None) -> None:
    long, short = (
        new_packet(each) if packet is None else merged(packet, each)
        for each in (WITH_RECIPE, PLAIN)
    )

    def made(longest: int) -> bytes:
        return fitted(packet, WITH_RECIPE, longest)

    assert made(len(long)) == made(10**6) == long
    assert made(len(long) - 1) == made(len(short)) == short
    with pytest.raises(Unmarkable, match=f"no room for a mark in {len(short) - 1} bytes"):
        made(len(short) - 1)
    assert without_recipe(WITH_RECIPE) == PLAIN


def test_padding_goes_only_for_want_of_room() -> None:
    trailer = b"<?xpacket end='w'?>"
    body = (PACKET % "<rdf:Description a:b='1'/>").encode()
    packet = body + b" " * 100 + trailer
    whole = merged(packet, PLAIN)

    assert fitted(packet, PLAIN, len(whole)) == whole
    assert fitted(packet, PLAIN, len(whole) - 1) == merged(body, PLAIN) + b"\n" + trailer


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "a fox"),
        ({"negative_prompt": ""}, "a fox"),
        ({"negative_prompt": "rain", "seed": 7}, "a fox\n\nNegative prompt: rain"),
    ],
)
def test_people_read_the_prompts(options: dict[str, str | int], text: str) -> None:
    recipe = Recipe(model="m", prompt="a fox", options=options)
    properties = properties_of(Mark(SourceType.GENERATED, "a", recipe))

    assert properties[PROMPT] == text
    assert "job" not in properties[RECIPE]  # which the recipe does not have


def test_a_mark_is_known_by_its_source() -> None:
    assert all(is_marked({SOURCE: str(each)}) for each in SourceType)
    assert not is_marked({SOURCE: f"{SourceType.GENERATED}s"})
    assert not is_marked({SYSTEM: "Easel"})


def test_the_first_recipe_of_several_packets_is_read() -> None:
    other = Recipe(model="m", prompt="another")
    packets = [
        new_packet(PLAIN),
        new_packet({**PLAIN, RECIPE: "{}"}),
        new_packet(properties_of(Mark(SourceType.GENERATED, "a", other))),
        new_packet(WITH_RECIPE),
    ]

    assert recipe_of(packets) == other
    assert recipe_of(packets[:2]) is None


def test_an_address_of_a_manifest_is_a_property_of_the_packet() -> None:
    terms = "xmlns:t='http://purl.org/dc/terms/'"
    for text, names in (
        (f"<rdf:Description {terms} t:provenance='https://a.example'/>", True),
        (f"<rdf:Description {terms}><t:provenance/></rdf:Description>", True),
        (f"<rdf:Description {terms}><a:b><t:provenance/></a:b></rdf:Description>", False),
        (f"<rdf:Description {terms} t:source='https://a.example'/>", False),
    ):
        assert names_a_manifest((PACKET % text).encode()) is names


def test_a_recipe_of_64_thousand_characters_is_read_and_no_longer_one() -> None:
    text = '{"model": "m", "prompt": "p"}'.ljust(MAX_RECIPE)

    assert Recipe.parse(text) == Recipe(model="m", prompt="p")
    assert Recipe.parse(text + " ") is None


def test_a_character_that_xml_excludes_is_left_out_of_texts() -> None:
    made = new_packet({SYSTEM: "a\0b\x0bc\ufffed\ud800e\n\t& <"})

    assert values_in(made) == {SYSTEM: "abcde\n\t& <"}


async def test_a_mark_says_what_the_job_was_made_from(database: Database) -> None:
    job = await one(database)

    mark = mark_of(job, "Qwen", with_recipe=True)
    assert mark == Mark(SourceType.GENERATED, "Qwen, requested by Easel", mark.recipe)
    assert mark.recipe is not None
    assert (mark.recipe.prompt, mark.recipe.job) == (job.request.prompt, job.id)
    assert mark_of(job, "Qwen").recipe is None
    cat = Attachment("cat.png", "https://example.com/cat.png")
    for with_input in (
        replace(job, inputs=(cat,)),
        replace(job, request=replace(job.request, inputs=(cat.url,))),
    ):
        assert mark_of(with_input, "Qwen").source is SourceType.COMPOSITE
