"""The edits that show a running job: later, once, and after everything else."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from bot import precedence
from bot.app import App
from bot.rest_pace import GIVE_WAY, RATE, Rank, RestPace, ranked
from bot.sandbox.http.faults import HoldBefore
from bot.worker import status_edits
from tests.support import cluster
from tests.support.easel import Stage
from tests.support.menus import until
from tests.support.replying import result, say

QUIET = status_edits.QUIET  # as it is, before tests shorten it
EDIT = re.compile(r"/api/v10/(webhooks/\d+/[^/]+|channels/\d+)/messages/\d+")


@pytest.fixture(params=["sqlite"])  # requests to Discord are tested, no new statement
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


def edits(at: Stage) -> int:
    """Return how often a status message was edited."""
    return sum(
        each.method == "PATCH" and EDIT.fullmatch(each.path) is not None
        for each in at.discord.requests
    )


def lasting(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(status_edits, "QUIET", timedelta(seconds=seconds))


def test_the_edit_waits_for_two_seconds() -> None:
    assert timedelta(seconds=2) == QUIET


@pytest.mark.long
async def test_a_job_that_ends_soon_is_not_edited(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting(monkeypatch, 5.0)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.result("a fox")
        await at.settled()
        await asyncio.sleep(5.2)

    assert edits(at) == 0


async def test_a_job_that_takes_longer_is_edited_once(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting(monkeypatch, 0.5)
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox", model="oxen")
        await at.oxen.created()
        assert asked.message is not None
        assert "Drawing" not in asked.message.text()
        await at.said("Drawing")
        await at.finish()
        await at.result("a fox")

    assert edits(at) == 1


async def test_an_edit_that_a_stop_has_prevented_follows_the_next_start(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting(monkeypatch, 30.0)
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.oxen.created()
        await asyncio.sleep(0.2)
    assert edits(at) == 0

    lasting(monkeypatch, 0.1)
    async with at.easel():
        await at.said("Drawing")


@pytest.mark.long
async def test_edits_leave_time_between_them(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    lasting(monkeypatch, 1.0)
    async with running(at, 10):
        times: list[float] = []
        while len(times) < 10:
            await asyncio.sleep(0.005)
            times += [time.monotonic()] * (edits(at) - len(times))

    assert times[-1] - times[1] >= 7 * status_edits.GAP.total_seconds()  # a request may overtake


@pytest.mark.long
async def test_edits_do_not_pile_up_while_commands_are_answered(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting(monkeypatch, 1.0)
    monkeypatch.setattr(status_edits, "GAP", timedelta(milliseconds=1))
    held = at.discord.faults.add("PATCH", EDIT.pattern, HoldBefore(), times=None)
    async with running(at, 2 * status_edits.EDITS) as app:
        with app.services.precedence.command():
            # All are due after a second, and then each may begin after LONGEST.
            await asyncio.sleep(1.0 + 2 * status_edits.EDITS * precedence.LONGEST)
        await until(lambda: edits(at) == status_edits.EDITS)
        await asyncio.sleep(0.2)
        assert edits(at) == status_edits.EDITS
        held.remove()
        await until(lambda: edits(at) == 2 * status_edits.EDITS)


@asynccontextmanager
async def running(at: Stage, number: int) -> AsyncIterator[App]:
    """Run the bot with so many running jobs."""
    at.oxen.manual = True
    async with at.easel(max_jobs="unlimited") as app:
        for each in range(number):
            await at.imagine(f"a fox, {each}", model="oxen")
        await at.oxen.created(number)
        yield app


async def hold(pace: RestPace, seconds: float) -> None:
    """Use the whole limit for so many seconds, as results do."""
    with ranked(Rank.RESULT):
        await asyncio.gather(*(pace.wait() for _ in range(int(seconds * RATE))))


@pytest.mark.long
async def test_an_edit_gives_way_to_results_and_follows_them(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status message of the bot's own counts in Discord's limit, unlike an interaction's."""
    monkeypatch.setattr(status_edits, "PAUSE", timedelta(seconds=0.3))
    async with at.easel() as app:
        source = await result(at)
        at.oxen.manual = True
        said = await say(at, source, "add snow")
        await at.oxen.created(2)
        results = asyncio.create_task(hold(app.services.pace, GIVE_WAY + 1.5))
        before = edits(at)
        await asyncio.sleep(GIVE_WAY + 0.5)
        assert (edits(at), results.done()) == (before, False)

        await at.discord.wait_for_message(
            lambda each: each.reference is said and "Drawing" in each.text()
        )
        await results
        await at.finish()
        await at.settled(2)
