"""The largest file of a result: fixed with the route at the request."""

import pytest

from bot.sandbox.http.faults import Answer
from bot.store.tables import jobs
from tests.cogs.test_delivery import RESULT
from tests.support.easel import Stage
from tests.support.files import picture

MIB = 1024 * 1024
SHRUNK = "Shrunk to fit the upload limit"


def draw_large(at: Stage) -> None:
    """Let the next picture have 11 MiB."""
    data = picture(size=(96, 64)).ljust(11 * MIB, b"\0")
    at.oxen.faults.add("GET", RESULT, Answer(200, data, {"Content-Type": "image/png"}))


async def test_a_post_has_the_limit_of_the_server(at: Stage) -> None:
    at.ada.upload_limit = 500 * MIB  # a member's own limit does not hold for a post of the bot
    at.discord.set_upload_limit(at.server, 50 * MIB)
    draw_large(at)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert job.route.upload_limit == 50 * MIB
    assert SHRUNK not in result.text()


async def test_a_response_has_the_limit_of_its_interaction(at: Stage) -> None:
    at.ada.upload_limit = 50 * MIB
    draw_large(at)
    async with at.easel():
        await at.imagine("a fox", model="oxen", private=True)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert job.route.upload_limit == 50 * MIB
    assert SHRUNK not in result.text()
    assert result.ephemeral_to is at.ada


async def test_where_only_the_member_installed_the_bot_the_interaction_decides(at: Stage) -> None:
    at.ada.upload_limit = 50 * MIB
    foreign = at.discord.add_channel(at.discord.add_guild("Foreign", bot=False), "art")
    async with at.easel(user_install=True):
        await at.command("imagine", where=foreign, user_install_only=True, prompt="a fox")
        (job,) = await at.settled()

    assert job.route.upload_limit == 50 * MIB


@pytest.mark.long
async def test_direct_messages_have_no_limit_of_their_own(at: Stage) -> None:
    at.ada.upload_limit = 50 * MIB
    async with at.easel():
        await at.command("imagine", where=at.discord.dm_channel(at.ada), prompt="a fox")
        (job,) = await at.settled()

    assert job.route.upload_limit is None


@pytest.mark.long
@pytest.mark.parametrize(("limit", "shrunk"), [(None, False), (10 * MIB, True)])
async def test_a_stored_limit_comes_before_that_of_the_server(
    at: Stage, limit: int | None, shrunk: bool
) -> None:
    """A job of an older version has none, and takes that of the server."""
    at.discord.set_upload_limit(at.server, 50 * MIB)
    at.oxen.manual = True
    draw_large(at)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.oxen.created()
        async with at.database() as database, database.transaction() as tx:
            await tx.execute(jobs.update().values(upload_limit=limit))
        await at.finish()
        result = await at.result("a fox")
        await at.settled()

    assert (SHRUNK in result.text()) is shrunk
