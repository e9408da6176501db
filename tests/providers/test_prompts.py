"""The prompts that were drawn, wherever an answer has them (apis.md, Tolerance)."""

import aiohttp
import pytest

from bot.providers.base import Finished
from bot.providers.parsing import JsonObject, prompts
from tests.providers.clients import oxen_at, skills_at
from tests.providers.server import Service

URL = "https://cdn.example.com/output/cat.png"


async def test_skills_reports_the_prompt_in_its_data(
    session: aiohttp.ClientSession, api_service: Service
) -> None:
    data = {"type": "image", "n": 1, "actual_prompt": "a cat, by night", "images": [{"url": URL}]}
    api_service.answers({"id": "gen_123", "status": "COMPLETED", "data": data})

    update = await skills_at(session, api_service.url).fetch("gen_123")

    assert update == Finished((URL,), None, ("a cat, by night",))
    assert "by night" not in repr(update)


async def test_oxen_may_report_the_prompt_in_a_row(
    session: aiohttp.ClientSession, api_service: Service
) -> None:
    row = {"generation_id": "g1", "status": "succeeded", "result_url": URL, "prompt": "a cat"}
    api_service.answers(row | {"revised_prompt": "a cat, by night"})

    update = await oxen_at(session, api_service.url).fetch("g1")

    assert update == Finished((URL,), None, ("a cat, by night",))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"actual_prompt": "one"}, ("one",)),
        ({"revised_prompt": "one"}, ("one",)),
        ({"data": {"actual_prompt": "one"}, "actual_prompt": "two"}, ("one", "two")),
        (
            {"data": {"images": [{"revised_prompt": "one"}, {"revised_prompt": "two"}]}},
            ("one", "two"),
        ),
        ({"data": [{"b64_json": "", "revised_prompt": "one"}]}, ("one",)),
        ({"result": {"actual_prompt": "one"}}, ("one",)),
        ({"output": [{"revised_prompt": "one"}]}, ("one",)),
        ({"images": [{"revised_prompt": "one"}] * 9}, ("one",)),
        ({"images": [{"revised_prompt": str(number)} for number in range(9)]}, tuple("0123")),
        ({"actual_prompt": " o\0ne\n"}, ("one",)),
        ({"actual_prompt": "一只\ud83d猫"}, ("一只猫",)),
        ({"actual_prompt": "x" * 10_000}, ("x" * 10_000,)),
        ({"actual_prompt": "x" * 10_001}, ()),
        ({"actual_prompt": ""}, ()),
        ({"actual_prompt": " \0"}, ()),
        ({"actual_prompt": None, "revised_prompt": ["one"]}, ()),
        ({"actual_prompt": {"text": "one"}, "data": 7, "images": "one"}, ()),
        ({"prompt": "one", "input": {"actual_prompt": "one"}}, ()),  # of the request
    ],
)
def test_a_prompt_is_read_wherever_it_is(body: JsonObject, found: tuple[str, ...]) -> None:
    assert prompts(body) == found
