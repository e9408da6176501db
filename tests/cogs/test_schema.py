"""A model whose schema differs from the documented one, as members see it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import Answer
from bot.sandbox.parameters import Addresses, Text
from tests.support.easel import Stage, text_of
from tests.support.files import picture

OTHER = "other-model"
FILES = [Upload(f"{name}.png", picture()) for name in "abcd"]


def offer(at: Stage, **parameters: Text | Addresses) -> None:
    at.oxen.model = OTHER
    at.oxen.parameters = {"prompt": Text(), **parameters}
    at.settings = {**at.settings, "oxen_model": OTHER, "skills_api_key": None}


@asynccontextmanager
async def described(at: Stage) -> AsyncIterator[None]:
    """Run the bot, from when it has read the model's schema."""
    async with at.easel() as app, asyncio.timeout(20):
        while not ((spec := app.services.catalog.get("oxen")).price_known or spec.problem):
            await asyncio.sleep(0.01)
        yield


async def test_only_what_the_schema_has_is_offered_and_sent(at: Stage) -> None:
    offer(at, input_images=Addresses(3), negative_prompt=Text(500))
    async with described(at):
        listed = text_of(await at.command("models"))
        ratios = await at.discord.complete(
            at.ada, at.channel, "imagine", {"aspect_ratio": "", "prompt": "a fox"}, "aspect_ratio"
        )
        seeded = text_of(await at.imagine(seed=7))
        many = text_of(await at.edit(*FILES))
        await at.edit(*FILES[:2], negative_prompt="fog")
        result = await at.result("make it blue")
        await at.settled()

    assert "`negative_prompt`" in listed
    assert "text, up to 500 characters" in listed
    assert "edits up to 3 pictures" in listed
    assert "`seed`" not in listed
    assert ratios == []
    assert "has no option seed" in seeded
    assert "takes up to 3 pictures, and you gave 4" in many
    (body,) = at.created()
    assert body.keys() == {"model", "prompt", "input_images", "negative_prompt"}
    assert len(body["input_images"]) == 2
    assert "from 2 pictures" in result.text()


async def test_a_prompt_that_is_too_long_for_the_schema_is_not_sent(at: Stage) -> None:
    offer(at)
    at.oxen.parameters = {"prompt": Text(17)}
    async with described(at):
        refused = text_of(await at.imagine("a fox in the snow…"))
        await at.imagine("a fox in the snow")
        await at.result("a fox in the snow")

    assert "The prompt has 18 characters. Describe the picture in 1 to 17" in refused
    (body,) = at.created()
    assert body["prompt"] == "a fox in the snow"


async def test_a_model_without_inputs_edits_nothing(at: Stage) -> None:
    offer(at)
    async with described(at):
        refused = text_of(await at.edit(FILES[0]))
        await at.imagine()
        await at.result("a fox in the snow")

    assert "edits no pictures" in refused
    assert len(at.created()) == 1


async def test_a_model_for_edits_alone_is_refused_to_imagine(at: Stage) -> None:
    offer(at, input_images=Addresses(1))
    at.oxen.required = ("prompt", "input_images")
    async with described(at):
        refused = text_of(await at.imagine())
        await at.edit(FILES[0])
        await at.result("make it blue")

    assert "makes no picture from a description alone" in refused
    assert len(at.created()) == 1


async def test_an_unusable_model_charges_nobody(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    offer(at)
    schema = {"properties": {"video": {"type": "string"}}}
    at.oxen.faults.add("GET", "/api/ai/models/.*", Answer(200, {"json_request_schema": schema}))
    async with described(at):
        refused = text_of(await at.imagine())
        listed = text_of(await at.command("models"))

    assert "makes no pictures at the moment" in refused
    assert "makes no pictures at the moment" in listed
    assert at.created() == []
    assert await at.balance() == 0
    assert "has no text parameter named prompt" in caplog.text
