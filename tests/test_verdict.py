"""Does the verdict see what is wrong? The bot does all right; then something is done to it."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import bindparam, delete, update

from bot.app import open_app
from bot.config import Config
from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.sandbox.demo.run import settings
from bot.sandbox.discord import Message
from bot.sandbox.generations import FakeGeneration
from bot.store.sqlite import SQLiteDatabase
from bot.store.tables import generations, jobs
from tests.harness.crash import Arena, Requested, arena
from tests.harness.evidence import SHRUNK, digest, jobs_named
from tests.harness.verdict import UNKNOWN_LOGGED, UNKNOWN_REPORTED, Verdict, judge
from tests.support.files import picture

pytestmark = pytest.mark.long

CHANGE = update(jobs).where(jobs.c.id == bindparam("job_id"))
FORGET = delete(generations).where(generations.c.job_id == bindparam("job"))
EXCHANGE = (
    update(generations)
    .where(generations.c.remote_id == bindparam("old"))
    .values(remote_id=bindparam("new"))
)


@dataclass
class Scene:
    """Three requests that ended well: two public ones in the same words, and a private one."""

    arena: Arena
    jobs: list[Job]

    @property
    def first(self) -> Requested:
        return self.arena.requested[0]

    @property
    def private(self) -> Requested:
        return self.arena.requested[2]

    async def verdict(self) -> Verdict:
        return await judge(self.arena)

    def job(self, requested: Requested) -> Job:
        return next(job for job in self.jobs if job.user_id == requested.interaction.user.id)

    def result(self, requested: Requested) -> Message:
        return next(
            message
            for message in self.arena.discord.world.messages.values()
            if jobs_named(message) == {self.job(requested).id}
        )

    def generation(self, requested: Requested) -> FakeGeneration:
        shown = digest(self.result(requested).files[0].data)
        made = self.arena.oxen.generations.values()
        return next(each for each in made if digest(each.drawn[0]) == shown)

    async def change(self, requested: Requested, **values: object) -> None:
        """Falsify columns of its job."""
        async with SQLiteDatabase(self.arena.database) as database, database.transaction() as tx:
            await tx.execute(CHANGE, {"job_id": self.job(requested).id, **values})

    async def forget_outcome(
        self, requested: Requested, *, reported: bool = True, logged: bool = True
    ) -> None:
        """As if its creating request had been lost, and all looks for what it made in vain."""
        job = self.job(requested)
        assert job.settled_at is not None
        result = self.result(requested)
        words = UNKNOWN_REPORTED if reported else "It failed."
        result.tree = [
            text(f"{words} Nothing was charged: 7.5 credits are released."),
            text(f"-# job {job.id}"),
        ]
        result.files = []
        if logged:
            self.arena.log.append({"level": "error", "event": UNKNOWN_LOGGED, "job": job.id})
        async with SQLiteDatabase(self.arena.database) as database, database.transaction() as tx:
            await tx.execute(FORGET, {"job": job.id})
        await self.change(
            requested,
            status=JobStatus.FAILED,
            reason=Reason.DOUBTFUL,
            settled_at=job.settled_at + timedelta(seconds=10),
        )

    def show_again(self, message: Message, **changes: Any) -> None:  # noqa: ANN401
        world = self.arena.discord.world
        copy = replace(message, id=world.ids.next(), **changes)
        world.messages[copy.id] = copy


def text(content: str) -> dict[str, object]:
    return {"type": 10, "content": content}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with arena(tmp_path, seed=1) as made:
        async with easel(made):
            await send_requests(made)
            await made.settled(20)
        async with SQLiteDatabase(made.database) as database, database.reading() as view:
            yield Scene(made, await made.jobs(view))


async def send_requests(made: Arena) -> None:
    channel, _ = made.channels
    words = (("a red fox", False), ("a red fox", False), ("a secret owl", True))
    for user, (prompt, private) in zip(made.members, words, strict=True):
        typed = {"prompt": prompt, "model": "oxen", "private": private}
        interaction = await made.discord.command(user, channel, "imagine", typed)
        made.requested.append(Requested(prompt, "oxen", private, interaction))
    for requested in made.requested:
        await requested.interaction.answered()


@asynccontextmanager
async def easel(made: Arena) -> AsyncIterator[None]:
    """The bot, in this process."""
    given = settings(made.discord, made.oxen, made.skills)
    given["DATABASE_URL"] = f"sqlite:///{made.database}"
    made.database.parent.mkdir()
    named: Any = {name.lower(): value for name, value in given.items()}
    async with open_app(Config.load(None, named)) as app:
        running = asyncio.create_task(app.run())
        try:
            await made.discord.connected()
            await made.discord.commands_registered()
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_where_all_is_well_it_finds_nothing(scene: Scene) -> None:
    verdict = await scene.verdict()

    assert verdict.wrong == {}
    assert verdict.good
    assert verdict.fates == {"succeeded": 3}
    assert verdict.twins == 2


async def test_a_lost_result(scene: Scene) -> None:
    scene.result(scene.first).deleted = True
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"lost"}
    assert ["no result" in each for each in verdict.lost] == [True]


async def test_a_result_that_a_closed_way_has_kept_back_is_not_lost(scene: Scene) -> None:
    message = scene.private.interaction.message
    assert message is not None
    hook = f"{scene.private.interaction.application_id}/{scene.private.interaction.token}"
    scene.arena.refused.add(f"/api/v10/webhooks/{hook}/messages/{message.id}")
    direct = scene.arena.discord.dm_channel(scene.private.interaction.user)
    scene.result(scene.private).deleted = True

    assert set((await scene.verdict()).wrong) == {"lost"}

    scene.arena.refused.add(f"/api/v10/channels/{direct.id}/messages")
    assert (await scene.verdict()).good


async def test_a_doubled_message(scene: Scene) -> None:
    scene.show_again(scene.result(scene.first))
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"doubled"}
    assert ["2 results" in each for each in verdict.doubled] == [True]


async def test_a_result_that_its_requester_alone_sees_twice(scene: Scene) -> None:
    scene.show_again(scene.result(scene.private))
    verdict = await scene.verdict()

    assert verdict.good
    assert ["2 results" in each for each in verdict.doubled_alone] == [True]


async def test_a_status_message_that_outlives_its_job(scene: Scene) -> None:
    status = scene.first.interaction.message
    assert status is not None
    status.deleted = False
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"unfinished"}
    assert len(verdict.unfinished) == 1


async def test_a_result_of_no_job(scene: Scene) -> None:
    result = scene.result(scene.first)
    named = [replace(file, filename="easel-aaaaaaaaaaaaaaaa-1.png") for file in result.files]
    scene.show_again(result, files=named)

    assert set((await scene.verdict()).wrong) == {"foreign"}


async def test_a_doubled_generation(scene: Scene) -> None:
    oxen = scene.arena.oxen
    body = dict(scene.generation(scene.first).body)
    oxen.runner.take(oxen.new_generation(body, queued=True))
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"doubled"}
    assert ["made for no job" in each for each in verdict.doubled] == [True]


async def test_a_request_that_was_sent_twice(scene: Scene) -> None:
    """Once more than it may be, or after an answer by which it surely was not taken."""
    requests = scene.arena.oxen.requests
    created = [each for each in requests if each.method == "POST" and each.path == "/api/ai/queue"]
    before = replace(created[-1], at=created[0].at - 1)
    requests.append(before)
    for before.status, before.error, wrong in (
        (200, b"", {"doubled"}),
        (500, b'{"error": {}}', {"doubled"}),
        (503, b"<html>", {"doubled"}),
        (503, b'{"error": {}}', set()),
        (429, b"<html>", set()),
    ):
        assert set((await scene.verdict()).wrong) == wrong, before


async def test_a_private_result_in_a_channel(scene: Scene) -> None:
    private = scene.result(scene.private)
    scene.show_again(private, ephemeral_to=None, interaction=None)
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"leaked", "lost"}


async def test_the_words_of_a_private_request_in_a_channel(scene: Scene) -> None:
    scene.result(scene.first).tree.append(text("about a secret owl"))

    assert set((await scene.verdict()).wrong) == {"leaked"}


async def test_a_private_picture_in_the_result_of_another(scene: Scene) -> None:
    scene.result(scene.first).files[0].data = scene.result(scene.private).files[0].data

    assert set((await scene.verdict()).wrong) == {"foreign", "leaked"}


async def test_the_picture_of_a_twin(scene: Scene) -> None:
    _, twin, _ = scene.arena.requested
    scene.result(scene.first).files[0].data = scene.result(twin).files[0].data
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"foreign"}
    assert len(verdict.foreign) == 1


async def test_a_picture_that_nobody_made(scene: Scene) -> None:
    scene.result(scene.first).files[0].data = picture(size=(41, 43))

    assert set((await scene.verdict()).wrong) == {"foreign"}


def encoded_again(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "JPEG", quality=92)
    return out.getvalue()


async def test_a_picture_that_was_shrunk_is_known_by_its_looks(scene: Scene) -> None:
    _, twin, _ = scene.arena.requested
    result = scene.result(scene.first)
    result.tree.append(text(f"{SHRUNK}; the original is kept."))
    own, other = (scene.result(each).files[0].data for each in (scene.first, twin))

    result.files[0].data = encoded_again(own)
    assert (await scene.verdict()).good

    result.files[0].data = encoded_again(other)
    assert set((await scene.verdict()).wrong) == {"foreign"}


async def test_the_generation_of_another_request(scene: Scene) -> None:
    """Adopted wrongly, and then shown and charged as if it were right."""
    public, private = (scene.generation(each).id for each in (scene.first, scene.private))
    async with SQLiteDatabase(scene.arena.database) as database, database.transaction() as tx:
        for old, new in ((public, "-"), (private, public), ("-", private)):
            await tx.execute(EXCHANGE, {"old": old, "new": new})
    first, second = (scene.result(each).files[0] for each in (scene.first, scene.private))
    first.data, second.data = second.data, first.data
    verdict = await scene.verdict()

    assert len([each for each in verdict.foreign if "for another request" in each]) == 2


async def test_a_generation_that_no_service_has(scene: Scene) -> None:
    own = scene.generation(scene.first).id
    async with SQLiteDatabase(scene.arena.database) as database, database.transaction() as tx:
        await tx.execute(EXCHANGE, {"old": own, "new": "another"})
    verdict = await scene.verdict()

    assert {"foreign", "doubled", "difference"} <= set(verdict.wrong)


async def test_a_difference_of_the_ledger(scene: Scene) -> None:
    scene.generation(scene.first).charged += Decimal("0.001")
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"difference"}
    assert verdict.difference == 100


async def test_an_estimate_is_told_apart(scene: Scene) -> None:
    await scene.change(scene.first, estimated=True)
    scene.generation(scene.first).charged += Decimal("0.001")
    verdict = await scene.verdict()

    assert set(verdict.wrong) == {"findings"}  # the ledger has a reported cost
    assert verdict.difference == 0
    assert len(verdict.estimated) == 1


async def test_what_was_never_confirmed_as_delivered(scene: Scene) -> None:
    await scene.change(scene.first, delivered_at=None)

    assert set((await scene.verdict()).wrong) == {"undelivered"}


@pytest.mark.parametrize(
    ("reported", "logged", "wrong"),
    [
        (True, True, []),
        (False, True, ["the unknown outcome was not reported"]),
        (True, False, ["the unknown outcome was not logged"]),
    ],
)
async def test_a_doubt_that_was_told_to_nobody(
    scene: Scene, reported: bool, logged: bool, wrong: list[str]
) -> None:
    await scene.forget_outcome(scene.first, reported=reported, logged=logged)
    verdict = await scene.verdict()

    assert [each.rpartition(": ")[2] for each in verdict.lost] == wrong
    assert len(verdict.doubtful) == 1
    assert verdict.doubled == []
    assert verdict.doubtful_charged == 6100


async def test_a_doubt_beside_what_it_had_made(scene: Scene) -> None:
    await scene.forget_outcome(scene.private)
    verdict = await scene.verdict()

    assert len(verdict.missed) == 1
    assert "missed" in verdict.wrong


async def test_a_doubt_beside_a_twin_misses_nothing(scene: Scene) -> None:
    """Whose generation it is, nobody can tell."""
    twin, first = scene.arena.requested[1], scene.job(scene.first)
    await scene.forget_outcome(scene.first)
    await scene.change(twin, submitted_at=first.submitted_at, running_at=first.running_at)

    assert (await scene.verdict()).missed == []


async def test_a_doubt_whose_request_came_late_misses_nothing(scene: Scene) -> None:
    await scene.forget_outcome(scene.private)
    late = next(
        each
        for each in scene.arena.oxen.generations.values()
        if each.body["prompt"] == scene.private.prompt
    )
    late.enqueued_at = datetime.now(UTC).timestamp() + 10

    assert (await scene.verdict()).missed == []


async def test_an_error_in_the_log(scene: Scene) -> None:
    for event, exception, wrong in (
        ("unexpected; it is tried again", "Traceback\nKeyError: 1", {"errors"}),
        ("interaction 1 failed", "Traceback\nKeyError: 1", {"errors"}),
        ("interaction 1 failed", "Traceback\ndiscord.errors.HTTPException: 429", set()),
        ("oxen is down: nothing is submitted", "", set()),
    ):
        scene.arena.log = [{"level": "error", "event": event, "exception": exception}]
        assert set((await scene.verdict()).wrong) == wrong, event


def test_an_instant_that_was_not_reached() -> None:
    verdict = Verdict(unreached=["posted"])

    assert not verdict.good
