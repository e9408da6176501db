"""The place in the queue: shown by the turns of the members, seldom, and after all else."""

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from bot import health
from bot.app import App
from bot.health import Circuit
from bot.jobs import JobStatus
from bot.sandbox.discord import Channel, Message, User
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store.coordination import Role
from bot.worker import waiting
from tests.support.delivery import REPLIES
from tests.support.easel import Stage, text_of, worker_of

QUEUE = "/api/ai/queue"
NEXT = "Place 1 in the queue: this job is next."
SECOND = "Place 2 in the queue: 1 job is ahead."
THIRD = "Place 3 in the queue: 2 jobs are ahead."
BEHIND = "At least 10 jobs are ahead in the queue."
LATER = 35  # seconds, after which a status message may be edited in any case
TURNS = 4.5  # seconds: two turns of the housekeeping, after which no edit will come


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> "Submits":
    return Submits(monkeypatch)


class Submits:
    """The number of requests that are on their way to a provider at once; none at first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.allow(0)

    def allow(self, number: int) -> None:
        self._monkeypatch.setitem(health.SLOTS, Circuit.CLOSED, number)


async def queued(
    at: Stage,
    prompt: str,
    by: User | None = None,
    where: Channel | None = None,
    **options: Any,  # noqa: ANN401
) -> Message:
    """Request a picture; return the status message."""
    asked = await at.command("imagine", by=by, where=where, prompt=prompt, model="oxen", **options)
    assert asked.message is not None
    return asked.message


async def shows(message: Message, text: str, *, timeout: float = 30.0) -> None:
    async with asyncio.timeout(timeout):
        while text not in message.text():
            await asyncio.sleep(0.02)


def edits(at: Stage) -> Counter[str]:
    """Return the number of edits of each status message, by its path."""
    return Counter(each.path for each in at.discord.requests if each.method == "PATCH")


async def test_the_places_are_the_turns_of_the_members(at: Stage, slots: Submits) -> None:
    cleo = at.discord.add_user("Cleo")
    async with at.easel() as app:
        one, two = await queued(at, "one"), await queued(at, "two")
        new = await queued(at, "new", cleo)
        at.clock.move(seconds=LATER)
        await shows(one, NEXT)
        await shows(new, SECOND)
        await shows(two, THIRD)
        slots.allow(1)
        worker_of(app).wake()
        await at.settled(2)

    assert [each["prompt"] for each in at.created()] == ["one", "new", "two"]


@pytest.mark.long
async def test_a_job_that_is_requested_behind_ten_others_says_that(
    at: Stage, slots: Submits
) -> None:
    async with at.easel():
        found = [await queued(at, f"fox {number}") for number in range(12)]
        at.clock.move(seconds=LATER)
        for message in found[10:]:
            await shows(message, BEHIND)
        await shows(found[9], "Place 10 in the queue: 9 jobs are ahead.")
        new = await queued(at, "new", at.ben)
        at.clock.move(seconds=31)
        await shows(new, SECOND)
        await shows(found[9], BEHIND)


@pytest.mark.long
async def test_nothing_is_edited_that_has_not_changed_and_nothing_twice_in_30_seconds(
    at: Stage, slots: Submits
) -> None:
    async with at.easel():
        one, two = await queued(at, "one"), await queued(at, "two")
        at.clock.move(seconds=LATER)
        await shows(one, NEXT)
        await shows(two, SECOND)
        before = edits(at)
        at.clock.move(minutes=1)
        await asyncio.sleep(TURNS)
        assert edits(at) == before

        new = await queued(at, "new", at.ben)
        at.clock.move(seconds=4)
        await shows(two, THIRD)
        await shows(new, SECOND)
        before = edits(at)
        (job,) = [each for each in await at.jobs() if each.request.prompt == "one"]
        await at.command("cancel", job=job.id)
        at.clock.move(seconds=20)
        await asyncio.sleep(TURNS)
        assert THIRD in two.text()
        at.clock.move(seconds=10)
        await shows(two, NEXT)
        assert SECOND in new.text()

    assert sum((edits(at) - before).values()) == 2  # the end of one job, the place of another


@pytest.mark.long
async def test_after_a_restart_30_seconds_pass_before_a_place_changes(
    at: Stage, slots: Submits
) -> None:
    async with at.easel():
        one, two = await queued(at, "one"), await queued(at, "two")
        at.clock.move(seconds=LATER)
        await shows(one, NEXT)
        await shows(two, SECOND)
    async with at.easel():
        before = edits(at)
        new = await queued(at, "new", at.ben)
        at.clock.move(seconds=15)
        await asyncio.sleep(TURNS)
        assert SECOND in two.text()
        assert sum((edits(at) - before).values()) <= 1  # of the new one
        at.clock.move(seconds=31)
        await shows(two, THIRD)
        await shows(new, SECOND)


async def test_a_place_that_was_on_the_way_at_a_kill_does_not_stay(
    at: Stage, slots: Submits
) -> None:
    held = at.discord.faults.add("PATCH", REPLIES, HoldBefore(), times=None)
    async with at.easel():
        one = await queued(at, "one")
        at.clock.move(seconds=LATER)
        await held.reached()
    held.remove()
    slots.allow(4)
    async with at.easel():
        await at.result("one")
        await at.settled()
        held.release()
        await at.command("usage")

    assert one.deleted


@pytest.mark.long
async def test_while_discord_does_not_answer_few_edits_are_tried(at: Stage, slots: Submits) -> None:
    async with at.easel():
        found = [await queued(at, f"fox {number}") for number in range(8)]
        rule = at.discord.faults.add("PATCH", REPLIES, Answer(503), times=None)
        at.clock.move(seconds=LATER)
        await rule.reached()
        await asyncio.sleep(TURNS)
        at.clock.move(seconds=20)
        await asyncio.sleep(TURNS)
        assert len(edits(at)) == waiting.EDITS
        rule.remove()
        at.clock.move(seconds=31)
        for place, message in enumerate(found, start=1):
            await shows(message, f"Place {place} ")


async def test_an_edit_that_discord_refuses_holds_no_other_back(at: Stage, slots: Submits) -> None:
    refused = Answer(404, {"code": 10008, "message": "Unknown Message"})
    async with at.easel():
        await queued(at, "one")
        rule = at.discord.faults.add("PATCH", REPLIES, refused)
        at.clock.move(seconds=LATER)
        await rule.reached()
        two = await queued(at, "two")
        at.clock.move(seconds=LATER)
        await shows(two, SECOND)


@pytest.mark.long
async def test_where_a_result_waits_for_the_rate_limit_no_place_changes(
    at: Stage, slots: Submits
) -> None:
    """Discord takes one message in 20 s there, and one has just arrived."""
    limits = at.discord.limits
    limits.enabled, limits.messages, limits.seconds = True, 1, 20.0
    elsewhere = at.discord.add_channel(at.server, "sketches")
    slots.allow(4)
    async with at.easel():
        await at.imagine("a fox")
        await at.result("a fox")
        slots.allow(0)
        here, there = await queued(at, "here"), await queued(at, "there", where=elsewhere)
        at.clock.move(seconds=LATER)
        await shows(there, SECOND)
        await asyncio.sleep(TURNS)
        assert "Place" not in here.text()
        await shows(here, NEXT)


@pytest.mark.long
async def test_while_the_service_is_down_no_place_is_shown(at: Stage) -> None:
    unavailable = Answer(503, {"error": {"message": "Service temporarily unavailable"}})
    at.oxen.faults.add("GET", "/api/ai/models/.*", unavailable, times=None)
    at.oxen.faults.add("POST", QUEUE, unavailable, times=None)
    async with at.easel():
        members = [at.ada, at.ben, at.discord.add_user("Cleo")]
        found = [await queued(at, f"fox {number}", by=each) for number, each in enumerate(members)]
        for message in found:
            await shows(message, "does not work at the moment")
        at.clock.move(seconds=31)
        await asyncio.sleep(TURNS)
        assert not [each for each in found if "Place" in each.text()]
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.result("fox 0")


@pytest.mark.parametrize("user_install_only", [False, True])
@pytest.mark.parametrize("private", [False, True])
async def test_every_status_message_shows_a_place(
    at: Stage, slots: Submits, *, private: bool, user_install_only: bool
) -> None:
    async with at.easel(user_install=True):
        asked = await at.command(
            "imagine", prompt="a fox", private=private, user_install_only=user_install_only
        )
        assert asked.message is not None
        at.clock.move(seconds=LATER)
        await shows(asked.message, NEXT)
        if private:
            assert NEXT in text_of(asked)


@pytest.mark.long
async def test_a_status_message_that_was_edited_for_the_last_time_shows_no_other_place(
    at: Stage, slots: Submits
) -> None:
    async with at.easel():
        status = await queued(at, "a fox", private=True)
        at.clock.move(minutes=14, seconds=5)
        await shows(status, "will be sent to you by direct message")
        before = edits(at)
        await queued(at, "a hare", at.ben)
        at.clock.move(seconds=40)
        await asyncio.sleep(TURNS)
        assert "Place" not in status.text()
        assert not [path for path in edits(at) - before if path.endswith(str(status.id))]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.long
async def test_of_several_processes_one_shows_places(at: Stage, slots: Submits) -> None:
    async with at.easel(), another(at) as worker:
        running = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(20):
                while worker.services.coordination.workers < 2:
                    await asyncio.sleep(0.05)
            found = [await queued(at, f"fox {number}") for number in range(4)]
            at.clock.move(seconds=LATER)
            for place, message in enumerate(found, start=1):
                await shows(message, f"Place {place} ")
            await asyncio.sleep(TURNS)
            assert set(edits(at).values()) == {1}
            assert {job.status for job in await at.jobs()} == {JobStatus.QUEUED}
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def another(at: Stage) -> AbstractAsyncContextManager[App]:
    return at.app(role=Role.WORKER)
