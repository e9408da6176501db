"""The streams of single submits, each followed by a task beside the jobs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.precedence import Precedence
from bot.store.database import Database
from bot.worker.leases import Leases
from bot.worker.streams import Streams
from bot.worker.tasks import Tasks
from tests.support import cluster
from tests.support.rows import NOW
from tests.support.services import services_on
from tests.support.streams import HeldStream


@pytest.fixture(params=["sqlite"])  # nothing is stored
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


class Reports:
    """Streams, and the reports to their owner."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.over: list[str] = []
        self.streams = Streams(self.ended.append, over=self.over.append)


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
async def tasks(database: Database, tmp_path: Path) -> AsyncIterator[Tasks]:
    leases = Leases(services_on(database, tmp_path, lambda: NOW))
    async with Tasks(
        leases, Precedence(), wake=lambda: None, ended=lambda: None, goes_on=lambda _: False
    ) as made:
        yield made


async def soon() -> None:
    """Let the tasks run that are due."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_ends_of_a_stream_are_reported_until_it_is_over(
    reports: Reports, tasks: Tasks
) -> None:
    stream = HeldStream("gen_1", "gen_2", is_over=True)
    reports.streams.hold("job", stream)
    assert reports.streams.follow("job", tasks)
    await soon()

    assert (reports.ended, reports.over, stream.closed) == (["gen_1", "gen_2"], ["job"], 1)
    assert reports.streams.follow("job", tasks) is False


async def test_a_job_without_a_stream_is_followed_by_no_task(
    reports: Reports, tasks: Tasks
) -> None:
    assert reports.streams.follow("job", tasks) is False
    reports.streams.close("job")
    reports.streams.close_unfollowed("job")
    await soon()

    assert reports.over == []


async def test_a_stream_that_is_closed_is_over_once(reports: Reports, tasks: Tasks) -> None:
    stream = HeldStream("gen_1")
    reports.streams.hold("job", stream)
    reports.streams.follow("job", tasks)
    await soon()
    assert (reports.ended, reports.over) == (["gen_1"], [])
    reports.streams.close("job")
    assert stream.closed == 1
    await soon()

    assert reports.over == ["job"]
    assert reports.streams.follow("job", tasks) is False


async def test_only_a_stream_that_no_task_follows_is_closed_with_its_submit(
    reports: Reports, tasks: Tasks
) -> None:
    followed, left = HeldStream(), HeldStream()
    reports.streams.hold("followed", followed)
    reports.streams.hold("left", left)
    reports.streams.follow("followed", tasks)
    await soon()
    for job_id in ("followed", "left"):
        reports.streams.close_unfollowed(job_id)
    assert (followed.closed, left.closed) == (0, 1)
    reports.streams.close("followed")


async def test_a_stop_closes_what_is_followed_and_follows_no_more(
    reports: Reports, tasks: Tasks
) -> None:
    """A submit that is still on the way closes its own stream."""
    followed, held = HeldStream(), HeldStream()
    reports.streams.hold("followed", followed)
    reports.streams.follow("followed", tasks)
    reports.streams.hold("held", held)
    await soon()
    reports.streams.stop()
    assert (followed.closed, held.closed) == (1, 0)

    assert reports.streams.follow("held", tasks) is False
    assert held.closed == 1
    await soon()
    assert reports.over == ["followed"]


async def test_an_error_of_a_stream_is_logged_and_ends_nothing_else(
    reports: Reports, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stream = HeldStream("gen_1", ValueError("nonsense"))
    reports.streams.hold("job", stream)
    reports.streams.follow("job", tasks)
    await soon()

    assert (reports.ended, reports.over, stream.closed) == (["gen_1"], ["job"], 1)
    (line,) = [each for each in caplog.records if each.name == "bot.worker.streams"]
    assert line.getMessage() == "event stream of job job failed, polling"
    assert line.exc_info is not None


async def test_a_later_stream_of_the_job_outlives_the_earlier_one(
    reports: Reports, tasks: Tasks
) -> None:
    first, second = HeldStream(is_over=True), HeldStream()
    reports.streams.hold("job", first)
    reports.streams.follow("job", tasks)
    reports.streams.hold("job", second)
    await soon()
    assert (first.closed, second.closed) == (1, 0)

    reports.streams.close("job")
    assert second.closed == 1
