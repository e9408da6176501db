"""The lines of the log during a press or a command: they name the job, and hold no prompt."""

from typing import Any

import pytest
import structlog

from bot.observability import logs
from bot.observability.logs import redact
from bot.rights import Allowance, Rights, Subject
from bot.sandbox.discord.permissions import MANAGE_GUILD
from bot.store import servers
from cogs._request import request_job
from cogs.credits import Credits
from cogs.history import HistoryCommands
from cogs.jobs import Jobs
from cogs.recipe import RecipeMenu
from tests.support.rows import new_job, one
from tests.support.serving import Serving

PROMPT, NEGATIVE = "a very secret fox", "no secret hens"
EXPANDED = "a drawn and secret fox"


def begin() -> None:
    """Forget what earlier steps of the test have added to the context."""
    structlog.contextvars.clear_contextvars()
    logs._hidden.set(())


def bound() -> dict[str, Any]:
    return structlog.contextvars.get_contextvars()


def is_hidden(*texts: str) -> bool:
    return all(text not in redact(f"refused: {text}.", ()) for text in texts)


def request() -> dict[str, Any]:
    return {"prompt": PROMPT, "negative_prompt": NEGATIVE}


VERBS = [
    *("more", "menu", "recipe", "originals", "lineage", "thread", "expanded"),
    *("delete", "favourite:{}:on", "favourite:{}:off", "spoiler:{}:on", "delete:{}:yes"),
]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_press_in_the_menu_names_the_job_and_hides_its_prompts(
    by: Serving, verb: str
) -> None:
    job, message = await by.result(words=request(), expanded_prompt=EXPANDED)
    begin()
    custom_id = verb.format(job.id) if "{}" in verb else f"{verb}:{job.id}"
    made = await by.press(message, f"easel:{custom_id}")

    assert bound() == {"interaction": made.id, "job": job.id}
    assert is_hidden(PROMPT, NEGATIVE, EXPANDED)


@pytest.mark.parametrize("verb", ["again", "remix", "edit", "cancel"])
async def test_a_press_under_a_result_names_the_job(by: Serving, verb: str) -> None:
    job, message = await by.result(words=request())
    begin()
    await by.press(message, f"easel:{verb}:{job.id}")

    if verb == "again":
        (made,) = [each for each in await by.recent() if each.id != job.id]
        assert bound()["job"] == made.id
        assert is_hidden(PROMPT, NEGATIVE)
    else:
        assert bound()["job"] == job.id


async def test_a_lineage_hides_the_prompts_of_all_its_jobs(by: Serving) -> None:
    above, _ = await by.result(words={"prompt": "an ancestor of the fox"})
    job, message = await by.result(words=request(), source_job_id=above.id)
    await by.result(words={"prompt": "a child of the fox"}, source_job_id=job.id)
    begin()
    await by.press(message, f"easel:lineage:{job.id}")

    assert is_hidden("an ancestor of the fox", "a child of the fox")


async def test_a_request_hides_its_words_and_names_its_job(by: Serving) -> None:
    begin()
    options = {"negative_prompt": NEGATIVE}
    interaction = by.received(by.interaction())
    await request_job(interaction, by.studio, prompt=PROMPT, options=options, model=None)
    (job,) = await by.recent()

    assert bound() == {"job": job.id}
    assert is_hidden(PROMPT, NEGATIVE)


async def test_a_job_that_is_shown_is_named_and_its_words_are_hidden(by: Serving) -> None:
    job, _ = await by.result(words=request(), expanded_prompt=EXPANDED)
    begin()
    cog: Any = HistoryCommands(by.studio)
    await cog.show.callback(cog, by.received(by.interaction()), f" {job.id.upper()} ")

    assert bound() == {"job": job.id}
    assert is_hidden(PROMPT, NEGATIVE, EXPANDED)


async def test_a_page_of_jobs_hides_the_filter_and_all_words(by: Serving) -> None:
    await by.result(words=request(), expanded_prompt=EXPANDED)
    await by.result(words={"prompt": "another secret text"})
    begin()
    cog: Any = HistoryCommands(by.studio)
    await cog.history.callback(cog, by.received(by.interaction()), text="secret fox of mine")
    assert is_hidden("secret fox of mine")
    assert not is_hidden(PROMPT)
    begin()
    await cog.history.callback(cog, by.received(by.interaction()), text="secret")

    assert is_hidden(PROMPT, NEGATIVE, EXPANDED, "another secret text")


async def test_a_recipe_names_the_job_and_hides_its_words(by: Serving) -> None:
    job, message = await by.result(words=request(), expanded_prompt=EXPANDED)
    begin()
    cog = RecipeMenu(by.studio, by.tree)
    heard = by.heard(message)
    await cog.recipe(by.received(by.interaction()), heard)

    assert bound() == {"job": job.id}
    assert is_hidden(PROMPT, NEGATIVE, EXPANDED)


async def test_a_cancel_names_the_job(by: Serving) -> None:
    job = await one(by.services.database, new_job(by.ada.id, server_id=by.server.id))
    begin()
    cog: Any = Jobs(by.studio, by.tree)
    await cog.cancel.callback(cog, by.received(by.interaction()), f" {job.id.upper()} ")

    assert bound() == {"job": job.id}


async def test_a_refund_names_the_job_and_a_grant_hides_its_reason(by: Serving) -> None:
    by.fake.set_permissions(by.server, by.ada, MANAGE_GUILD)
    job, _ = await by.result()
    async with by.services.database.transaction() as tx:
        rights = Rights(allowance=Allowance(amount=5000))
        await servers.store_rights(tx, by.server.id, Subject.DEFAULT, "", rights)
    begin()
    cog: Any = Credits(by.studio)
    await cog.refund.callback(cog, by.received(by.interaction()), f" {job.id.upper()} ")
    assert bound() == {"job": job.id}
    ben: Any = by.fake.add_user("Ben")
    reason = "a private and long reason"
    await cog.grant.callback(cog, by.received(by.interaction()), ben, "5", reason)

    assert is_hidden(reason)
