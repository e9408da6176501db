"""The worker's tasks by themselves: one for each job, and what follows their ends."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.contextvars import get_contextvars

from bot.errors import NotNow
from bot.jobs import Job
from bot.observability.logs import redact
from bot.precedence import Precedence
from bot.store import leases
from bot.store.database import Database
from bot.worker import tasks as tasks_module
from bot.worker.leases import Leases
from bot.worker.tasks import Tasks
from tests.support import cluster
from tests.support.parts import lease_end
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on


class Owner:
    """An owner of tasks, which notes their reports."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.calls: list[str] = []
        self.going_on: set[str] = set()
        self.leases = Leases(services_on(database, folder, lambda: NOW))
        self.precedence = Precedence()
        self.tasks = Tasks(
            self.leases,
            self.precedence,
            wake=lambda: self.calls.append("wake"),
            ended=lambda: self.calls.append("ended"),
            goes_on=lambda job_id: job_id in self.going_on,
        )


@pytest.fixture(params=["sqlite"])  # nothing is stored
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def owner(database: Database, tmp_path: Path) -> AsyncIterator[Owner]:
    made = Owner(database, tmp_path)
    async with made.tasks:
        yield made


async def soon(owner: Owner) -> None:
    """Let all tasks end."""
    async with asyncio.timeout(20):
        while owner.tasks.busy:
            await asyncio.sleep(0.001)


async def nothing() -> None:
    return


async def until(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_job_has_one_task_at_a_time(database: Database, owner: Owner) -> None:
    job, other = await one(database), await one(database, new_job(2))
    ends = asyncio.Event()
    assert owner.tasks.start(job, until(ends))
    second = nothing()
    assert owner.tasks.start(job, second) is False
    assert inspect.getcoroutinestate(second) == inspect.CORO_CLOSED
    assert owner.tasks.start(other, nothing())
    assert owner.tasks.is_busy(job)
    assert {*owner.tasks.busy} == {job.id, other.id}
    ends.set()
    await soon(owner)

    assert owner.calls == ["ended", "ended"]
    assert not owner.tasks.is_busy(job)
    assert owner.tasks.start(job, nothing())


async def test_of_two_methods_that_are_due_for_a_job_the_first_is_called(
    database: Database, owner: Owner
) -> None:
    job, busy = await one(database), await one(database, new_job(2))
    ends, called = asyncio.Event(), list[str]()

    async def first(job: Job) -> None:
        called.append(f"first {job.user_id}")

    async def second(job: Job) -> None:
        called.append(f"second {job.user_id}")

    owner.tasks.start(busy, until(ends))
    await owner.tasks.start_all([(first, job), (first, busy), (second, job), (second, busy)])
    async with asyncio.timeout(20):
        while owner.tasks.is_busy(job):
            await asyncio.sleep(0.001)
    assert called == ["first 1"]
    assert owner.calls == ["wake", "ended"]
    ends.set()


@pytest.mark.parametrize("goes_on", [False, True])
async def test_the_lease_ends_with_the_task_unless_the_job_is_polled(
    database: Database, tmp_path: Path, goes_on: bool
) -> None:
    owner, job = Owner(database, tmp_path), await one(database)
    async with database.transaction() as tx:
        (taken,) = await leases.take(tx, [job], owner.leases.claim_terms())
    owner.leases.hold(taken, 0.0)
    if goes_on:
        owner.going_on.add(job.id)
    async with owner.tasks:
        owner.tasks.start(taken, nothing())

    assert (await lease_end(database, job) is not None) is goes_on


@pytest.mark.parametrize(
    ("error", "line", "level"),
    [
        (NotNow(), "job waits for the database or the pictures, retrying", logging.WARNING),
        (ValueError("x"), "unexpected error in a job, retrying", logging.ERROR),
    ],
    ids=["NotNow", "ValueError"],
)
async def test_the_next_attempt_follows_an_error_after_a_while(
    database: Database,
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    line: str,
    level: int,
) -> None:
    assert tasks_module.COOL_DOWN == 5.0
    monkeypatch.setattr(tasks_module, "COOL_DOWN", 0.02)
    job = await one(database)

    async def fail() -> None:
        raise error

    owner.tasks.start(job, fail())
    await asyncio.sleep(0)
    assert owner.tasks.is_busy(job)
    await soon(owner)

    assert owner.calls == ["wake", "ended"]  # the job has its task until then
    (record,) = [each for each in caplog.records if each.name == "bot.worker.tasks"]
    assert (record.getMessage(), record.levelno) == (line, level)


async def test_the_words_of_a_job_are_in_no_line_of_its_task(
    database: Database, owner: Owner
) -> None:
    job = await one(database, new_job(prompt="a very secret fox"))
    lines: list[tuple[str, object]] = []

    async def work() -> None:
        lines.append((redact("drew a very secret fox", []), get_contextvars().get("job")))

    owner.tasks.start(job, work())
    await soon(owner)
    ((line, bound),) = lines
    assert "secret" not in line
    assert bound == job.id


async def test_a_task_gives_way_to_commands(database: Database, owner: Owner) -> None:
    job, ran = await one(database), list[bool]()

    async def work() -> None:
        ran.append(True)

    with owner.precedence.command():
        owner.tasks.start(job, work())
        for _ in range(5):
            await asyncio.sleep(0)
        assert ran == []
    await soon(owner)
    assert ran == [True]


async def test_an_error_of_work_without_a_job_ends_all_tasks(
    database: Database, tmp_path: Path
) -> None:
    made = Owner(database, tmp_path)

    async def fail() -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup):
        async with made.tasks:
            task = made.tasks.spawn(until(asyncio.Event()), name="beside")
            assert task.get_name() == "beside"
            made.tasks.spawn(fail(), name="broken")
    assert task.cancelled()


async def test_a_cancel_of_a_job_without_a_task_does_nothing(owner: Owner) -> None:
    owner.tasks.cancel("unknown")
    await asyncio.sleep(0)
    assert owner.calls == []
