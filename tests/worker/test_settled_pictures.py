"""Pictures at the settlement: those that cannot be downloaded, and what is stored of the others."""

import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from bot.errors import ProviderError, Reason
from bot.jobs import Generation, Job, JobStatus
from bot.observability.logs import redact
from bot.pictures import Downloader
from bot.providers.base import Failed, Finished
from bot.providers.oxen.provider import Oxen
from bot.store import generations
from bot.store.database import Database
from bot.worker.settle import End
from tests.providers.clients import oxen_at
from tests.providers.server import Reply, Service, service
from tests.sandbox.raw import data_uri
from tests.support import cluster
from tests.support.loopback import LOOPBACK
from tests.support.parts import Parts, parts_on
from tests.support.rows import new_job, one

pytestmark = pytest.mark.usefixtures("no_waits_between_attempts")


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def api() -> AsyncIterator[Service]:
    async with service() as opened:
        yield opened


@pytest.fixture
async def parts(database: Database, tmp_path: Path, api: Service) -> AsyncIterator[Parts]:
    async with (
        aiohttp.ClientSession() as session,
        Downloader(private_hosts=LOOPBACK) as downloader,
    ):
        oxen: Oxen = oxen_at(session, api.url)
        yield parts_on(database, tmp_path, {"oxen": oxen}, downloader=downloader)


async def running(parts: Parts, *remote_ids: str) -> tuple[Job, list[Generation]]:
    new = new_job(price=7500 * len(remote_ids), count=len(remote_ids))
    job = await parts.begun(await one(parts.database, new), *remote_ids)
    async with parts.database.reading() as view:
        return job, await generations.of_job(view, job.id)


def ends_of(made: Sequence[Generation], *ends: End) -> list[tuple[Generation, End]]:
    return list(zip(made, ends, strict=True))


@pytest.mark.parametrize(
    ("status", "reason"), [(404, Reason.NO_PICTURE), (500, Reason.UNAVAILABLE)]
)
async def test_pictures_that_cannot_be_downloaded_are_given_up_at_the_end(
    parts: Parts,
    api: Service,
    caplog: pytest.LogCaptureFixture,
    status: int,
    reason: Reason,
) -> None:
    """Their generation stays open, so that the pictures may come later."""
    job, made = await running(parts, "g1", "g2")
    api.answers({}, status)
    ends = ends_of(made, Finished((f"{api.url}/gone.png",)), Failed(Reason.REJECTED))
    with pytest.raises(ProviderError):
        await parts.settler.settle(job, ends)
    assert (await parts.job(job)).status is JobStatus.RUNNING
    await parts.settler.settle_anyway(job, ends)

    assert await parts.outcome(job) == (JobStatus.FAILED, reason)
    assert "pictures not downloaded in time" in caplog.text
    async with parts.database.reading() as view:
        states = [each.state for each in await generations.of_job(view, job.id)]
    assert states == [None, JobStatus.FAILED]


async def test_the_other_pictures_of_a_generation_are_enough_at_the_end(
    parts: Parts, api: Service
) -> None:
    job, made = await running(parts, "g1")
    api.answers({}, 404)
    ends = ends_of(made, Finished((data_uri(), f"{api.url}/gone.png")))
    with pytest.raises(ProviderError):
        await parts.settler.settle(job, ends)
    api.says(Reply(404), Reply(200, {"status": "succeeded", "cost": "1"}))
    await parts.settler.settle_anyway(job, ends)

    stored = await parts.job(job)
    assert (stored.status, stored.cost) == (JobStatus.SUCCEEDED, 100_000)


async def test_an_unexpected_error_of_a_download_is_no_end_of_the_job(
    parts: Parts,
    api: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def defective(base: str, url: str) -> str:
        raise IndexError

    monkeypatch.setattr("bot.pictures.download.urljoin", defective)
    api.says(Reply(302, "", {"Location": "/elsewhere.png"}))
    job, made = await running(parts, "g1")
    with pytest.raises(ProviderError, match="IndexError") as caught:
        await parts.settler.settle(job, ends_of(made, Finished((f"{api.url}/1.png",))))

    assert caught.value.reason is Reason.UNKNOWN
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert line.getMessage() == "unexpected error in a download"
    assert line.exc_info is not None


async def test_the_first_error_of_a_generation_is_its_error(parts: Parts, api: Service) -> None:
    job, made = await running(parts, "g1")
    api.says(Reply(404))
    urls = (f"{api.url}/1.png", "data:image/png;base64,aGVsbG8=", data_uri())
    (found,) = await parts.settler.store_pictures(job, ends_of(made, Finished(urls)))

    assert found.error is not None
    assert found.error.reason is Reason.NOT_FOUND
    assert len(found.pictures) == 1


async def test_a_full_disk_is_no_fault_of_the_service(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    job, made = await running(parts, "g1")
    with pytest.raises(OSError, match="No space left"):
        await parts.settler.store_pictures(job, ends_of(made, Finished((data_uri(),))))

    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [each for each in files if "easel.db" not in each.name] == []


async def test_a_drawn_prompt_is_in_no_line_of_the_log(parts: Parts) -> None:
    job, made = await running(parts, "g1")
    end = Finished((data_uri(),), None, ("a very secret hen",))
    await parts.settler.store_pictures(job, ends_of(made, end))

    assert "secret" not in redact("drew a very secret hen", [])


async def test_a_job_has_ten_pictures_at_most(parts: Parts, tmp_path: Path) -> None:
    job, made = await running(parts, "g1", "g2")
    both = ends_of(made, Finished((data_uri(),) * 7), Finished((data_uri(),) * 7))
    stored = await parts.settler.store_pictures(job, both)

    assert [len(each.pictures) for each in stored] == [7, 3]
    assert {each.error for each in stored} == {None}
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert len([each for each in files if "easel.db" not in each.name]) == 1  # no temporary one
