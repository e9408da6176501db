"""Words from a service or a member that would become links, mentions or layout in our messages."""

import asyncio
import json
import re

import pytest

from bot.catalog import UnknownOption, check_request
from bot.errors import UserError
from bot.jobs import Attachment, GenerationRequest
from bot.pictures.inputs import InputTooLarge
from bot.providers.oxen.model import oxen_spec
from bot.sandbox.http.faults import Answer
from cogs.ui.text import listing, sentence, tidy, word
from tests.support.easel import Stage, text_of

EVIL = [
    *("https://evil.example", "[click](https://evil.example)", "<@123>", "@everyone", "# big"),
    *(
        "**bold**",
        "||hidden||",
        "`code",
        "_under_",
        "> quote",
        "~~gone~~",
        "<t:0>",
        "a\nb",
        "x" * 999,
    ),
]


def schema(values: list[str]) -> dict[str, object]:
    properties = {"prompt": {"type": "string"}, "aspect_ratio": {"enum": values}}
    return {"json_request_schema": {"properties": properties}}


@pytest.mark.parametrize("text", EVIL)
def test_a_value_in_a_sentence_is_only_text(text: str) -> None:
    shown = sentence(
        UserError("No {value}. Choose one of: {values}.", value=text, values=(text,)), None
    )

    assert "\n" not in shown
    assert len(shown) < 500
    unescaped = re.sub(r"\\.", "", shown)
    for mark in ("://", "](", "<", "@", "*", "||", "~~", "#", " _", "_ ", "`", ">"):
        assert mark not in unescaped
    assert word("snake_case 16:9 7.5 a-b") == "snake_case 16:9 7.5 a-b"


def test_a_name_in_code_does_not_end_the_code() -> None:
    attachment = Attachment(name="`](https://evil.example) **a**_.png", url="https://a/b")
    shown = sentence(InputTooLarge(attachment, 10**9), None)

    assert shown.count("`") == 2
    assert "://" not in shown


def test_a_long_list_ends_with_the_number_of_the_others() -> None:
    assert listing(["aa", "bb", "cc"], 100) == "aa, bb, cc"
    assert listing(["aa", "bb", "cc"], 6) == "aa, bb and 1 more"
    assert listing(["aa", "bb", "cc"], 1) == "aa and 2 more"


async def test_values_of_a_service_are_neither_links_nor_too_long(at: Stage) -> None:
    """100 values of 100 characters: Discord refuses a message of more than 4,000."""
    values = [*EVIL[:-2], *(f"https://evil.example/{number:02}{'x' * 70}" for number in range(90))]
    answer = Answer(200, json.dumps(schema(values)).encode(), {"Content-Type": "application/json"})
    at.oxen.faults.add("GET", r"/api/ai/models/.+", answer)
    async with at.easel() as app:
        async with asyncio.timeout(20):
            while len(app.services.catalog.values("aspect_ratio", "oxen")) < 90:
                await asyncio.sleep(0.01)
        refused = text_of(await at.imagine(model="oxen", aspect_ratio="7:7"))
        models = text_of(await at.command("models"))

    assert "Choose one of: https\\://evil" in refused
    assert refused.endswith("more.")
    assert " more\n" in models
    for text in (refused, models):
        assert "https://" not in text
        assert "<@123>" not in text


def test_refusals_of_the_catalog_are_whole_sentences() -> None:
    spec = oxen_spec(price=7500)
    request = GenerationRequest("oxen", "a fox", {"image_size": "square"})
    with pytest.raises(UnknownOption) as refused:
        check_request(request, spec)
    assert "It has: aspect_ratio, count," in sentence(refused.value, None)
    assert sentence(refused.value, None) == str(refused.value)


BLANK = {
    "Hangul fillers": "\u3164\u115f\u1160\uffa0" * 5,
    "lone marks": "\u0301\u0489\u20dd" * 5,
    "variation selectors": "\ufe0f\U000e0100" * 5,
    "joiners": "\u200d\u200b\u2060" * 5,
    "Braille": "\u2800" * 5,
    "note heads": "\U0001d159" * 5,
}


@pytest.mark.parametrize("prompt", BLANK.values(), ids=BLANK)
async def test_a_prompt_has_a_visible_character(at: Stage, prompt: str) -> None:
    async with at.easel():
        refused = text_of(await at.imagine(prompt))
        assert "1 to 2000 characters" in refused
        assert await at.jobs() == []


@pytest.mark.parametrize("prompt", ["여우", "❤\ufe0f", "क्षि", "e\u0301", "7", "?"])
def test_a_prompt_in_any_script_is_accepted(prompt: str) -> None:
    check_request(GenerationRequest("oxen", prompt), oxen_spec(price=7500))


def test_stacked_marks_are_cut() -> None:
    for mark in ("\u0489", "\U0001d165"):  # enclosing and spacing
        assert tidy("a" + mark * 900 + "b") == "a" + mark * 3 + "b"
    assert tidy("क्षि किं") == "क्षि किं"
    assert tidy("a" + ("\u0489" * 3 + "\u200d") * 99) == tidy("a" + "\u0489" * 3 + "\u200d" * 99)
    assert tidy("שָּׁ 👩\u200d👩\u200d👧 ❤\ufe0f") == "שָּׁ 👩\u200d👩\u200d👧 ❤\ufe0f"
