"""The prompt that was really drawn: stored with the job, and never logged."""

import asyncio
import logging

import pytest

from bot.observability.logs import redact
from bot.sandbox.http.faults import Answer
from tests.support.easel import Stage

FOX = "a fox in the snow"
DRAWN = f"{FOX}, in soft morning light, finely detailed, with a calm background"
REVISED = f"{FOX}. The scene is lit from the left, and every surface shows its texture."


@pytest.mark.long
async def test_the_prompt_that_skills_has_drawn_is_stored(at: Stage) -> None:
    async with at.easel():
        await at.imagine(FOX, model="skills", count=2)
        (job,) = await at.settled()

    assert job.expanded_prompt == DRAWN


@pytest.mark.long
async def test_the_prompt_that_oxen_has_drawn_is_stored_where_it_is_sent(at: Stage) -> None:
    at.oxen.revised_in_rows = True
    async with at.easel():
        await at.imagine(FOX, model="oxen", count=2)
        (job,) = await at.settled()

    assert job.expanded_prompt == REVISED


@pytest.mark.long
@pytest.mark.parametrize("model", ["skills", "oxen"])
async def test_a_prompt_that_was_drawn_as_it_is_is_not_stored_twice(at: Stage, model: str) -> None:
    at.oxen.revised_in_rows = True
    async with at.easel():
        await at.imagine(FOX, model=model, expand_prompt=False)
        (job,) = await at.settled()

    assert job.expanded_prompt is None


@pytest.mark.long
async def test_an_overdue_picture_brings_its_prompt(at: Stage) -> None:
    at.skills.manual = True
    async with at.easel(job_timeout=30):
        await at.imagine(FOX, model="skills")
        await at.said("Drawing")
        async with asyncio.timeout(30):
            while not (await at.jobs())[0].status.settled:
                at.clock.move(seconds=100)
                await asyncio.sleep(0.1)
        (failed,) = await at.settled()
        (remote_id,) = at.skills.generations
        at.skills.finish(remote_id)
        await at.skills.settled(remote_id)
        at.clock.move(minutes=6)
        await at.result(FOX)
        (job,) = await at.jobs()

    assert failed.expanded_prompt is None
    assert job.expanded_prompt == DRAWN


@pytest.mark.long
async def test_the_drawn_prompt_is_in_no_line_of_the_log(at: Stage) -> None:
    """Discord repeats the words, or a library does."""
    lines = Lines()
    logging.getLogger().addHandler(lines)
    echo = {"message": f"cannot post: {DRAWN}", "code": 0}
    at.discord.faults.add("POST", r"/api/v10/channels/\d+/messages", Answer(503, echo))
    try:
        async with at.easel():
            await at.imagine(FOX, model="skills")
            await at.settled()
            (job,) = await at.jobs()
    finally:
        logging.getLogger().removeHandler(lines)

    assert "cannot post: [prompt]" in "\n".join(lines.text)
    assert "morning light" not in "\n".join(lines.text)
    assert job.expanded_prompt == DRAWN


class Lines(logging.Handler):
    """The lines of the log, as the redaction leaves them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.text.append(redact(record.getMessage(), ()))
