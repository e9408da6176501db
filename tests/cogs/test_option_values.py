"""Options as Discord's clients send them: labels, other cases, and those of another model."""

import pytest

from bot.sandbox.discord import Interaction
from tests.support.easel import Stage, text_of


@pytest.mark.long
async def test_labels_and_other_cases_are_understood(at: Stage) -> None:
    async with at.easel() as app:
        title = app.services.catalog.get("oxen").title
        await at.imagine("a fox", model=title, aspect_ratio="4:3 (default)")
        await at.imagine("a hen", model="SKILLS", image_size="Portrait_4_3", output_format="WEBP")
        hen, fox = await at.settled(2)

    assert (fox.request.model, fox.request.options) == ("oxen", {"aspect_ratio": "4:3"})
    assert hen.request.options == {"image_size": "portrait_4_3", "output_format": "webp"}
    assert at.created()[0]["aspect_ratio"] == "4:3"


@pytest.mark.long
async def test_a_refusal_names_the_model_that_has_the_option(at: Stage) -> None:
    async with at.easel():
        answers: list[Interaction] = [
            await at.imagine("a fox", model="oxen", image_size="square"),
            await at.imagine("a fox", model="skills", aspect_ratio="2:1"),
            await at.imagine("a fox", image_size="square", seed=1, aspect_ratio="2:1"),
        ]
        assert await at.jobs() == []

    told = [text_of(each) for each in answers]
    assert told[0] == (
        "Oxen.ai has no option image_size. skills.video has image_size: choose model skills."
    )
    assert told[1] == (
        "skills.video has no aspect_ratio 2:1. Oxen.ai has aspect_ratio 2:1: choose model oxen."
    )
    assert "Choose one of: 1:1, 16:9" in told[2]  # no model takes all of them


@pytest.mark.long
async def test_completion_follows_a_model_that_was_typed(at: Stage) -> None:
    async with at.easel():
        offered = await at.discord.complete(
            at.ada, at.channel, "imagine", {"model": "OXEN", "image_size": ""}, "image_size"
        )

    assert offered == []
