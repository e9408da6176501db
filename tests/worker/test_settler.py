"""Settlement by itself: how long costs are waited for, and which ends are losses."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bot.errors import Reason
from bot.jobs import Generation, Job, JobStatus
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished
from bot.providers.oxen.provider import Oxen
from bot.store import generations
from bot.store.database import Database
from bot.worker import settle
from bot.worker.settle import Abandoned, End, Made, expanded_prompt, report_loss
from tests.providers.clients import oxen_at
from tests.providers.server import Reply, Service, service
from tests.sandbox.raw import data_uri
from tests.support import cluster
from tests.support.books import picture
from tests.support.parts import Parts, parts_on
from tests.support.rows import new_job, one

URL = "https://cdn.example/a.png"
DOLLAR = Cost(100_000, {"usd": "1"})


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def api() -> AsyncIterator[Service]:
    async with service() as opened:
        yield opened


@pytest.fixture
async def oxen(api: Service) -> AsyncIterator[Oxen]:
    async with aiohttp.ClientSession() as session:
        yield oxen_at(session, api.url)


@pytest.fixture
def parts(database: Database, tmp_path: Path, oxen: Oxen) -> Parts:
    return parts_on(database, tmp_path, {"oxen": oxen})


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds before requests for a cost, which take no time."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    return found


async def running(parts: Parts, *remote_ids: str) -> tuple[Job, list[Generation]]:
    new = new_job(price=7500 * len(remote_ids), count=len(remote_ids))
    job = await parts.begun(await one(parts.database, new), *remote_ids)
    async with parts.database.reading() as view:
        return job, await generations.of_job(view, job.id)


def costs(*values: str | None) -> list[Reply]:
    """Answers to requests for the cost of one generation, in dollars."""
    return [Reply(200, {"status": "succeeded", "cost": each}) for each in values]


def ends_of(made: Sequence[Generation], *ends: End) -> list[tuple[Generation, End]]:
    return list(zip(made, ends, strict=True))


@pytest.mark.parametrize(
    ("told", "cost", "waited"),
    [
        (["1"], DOLLAR, [0.0]),
        ([None, "1"], DOLLAR, [0.0, 0.4]),
        (["0", "0", "0", "1"], DOLLAR, [0.0, 0.4, 0.8, 1.6]),
        ([None, None, None, None, "1"], None, [0.0, 0.4, 0.8, 1.6]),
    ],
)
async def test_a_cost_is_requested_four_times_at_most(
    parts: Parts,
    api: Service,
    waits: list[float],
    told: list[str | None],
    cost: Cost | None,
    waited: list[float],
) -> None:
    job, (made,) = await running(parts, "g1")
    api.says(*costs(*told))

    found = await parts.settler.cost(job, [Made(made, Finished((URL,)), [picture(1)], None)])
    assert (found, waits, len(api.asked)) == (cost, waited, len(waited))


async def test_only_unknown_costs_are_requested_and_all_are_added(
    parts: Parts, api: Service, waits: list[float]
) -> None:
    job, made = await running(parts, "g1", "g2")
    known, open_ = (
        Made(made[0], Finished((URL,), Cost(50_000, {"usd": "0.5"})), [], None),
        Made(made[1], Finished((URL,)), [], None),
    )
    api.says(*costs(None, "1"))
    assert await parts.settler.cost(job, [known, open_]) == Cost(150_000, {"usd": "1.5"})
    assert {each.path for each in api.asked} == {"/ai/generations/g2"}
    api.says(*costs(None))
    assert await parts.settler.cost(job, [known, open_]) is None  # not a part of the cost
    waits.clear()
    assert await parts.settler.cost(job, [known]) == Cost(50_000, {"usd": "0.5"})
    assert waits == []
    assert await parts.settler.cost(job, []) is None


async def test_a_picture_waits_for_its_cost_for_a_limited_time(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert settle.COST_TIMEOUT == 5.0
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(settle, "COST_TIMEOUT", 0.0)
    job, (made,) = await running(parts, "g1")

    assert await parts.settler.cost(job, [Made(made, Finished((URL,)), [], None)]) is None
    assert "cost not reported in time" in caplog.text


async def test_a_cost_that_cannot_be_requested_is_logged_by_its_generation(
    parts: Parts, api: Service, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    job, (made,) = await running(parts, "g1")
    api.says(Reply(401, ""), *costs("1"))
    found = await parts.settler.cost(job, [Made(made, Finished((URL,)), [], None)])

    assert found == DOLLAR
    assert caplog.text.count("cost of g1 not reported") == 1


@pytest.mark.parametrize(
    ("end", "told", "lost"),
    [
        (Failed(Reason.UNKNOWN, "", Cost(900, {"usd": "0.009"})), None, [-900]),
        (Failed(Reason.UNKNOWN), "0.01", [-1000]),
        (Failed(Reason.UNKNOWN), None, []),
        (Failed(Reason.UNKNOWN), "0", []),
        (Canceled(), "0.01", [-1000]),
        (Canceled(), None, []),
        (Abandoned(Reason.TIMEOUT, ""), "0.01", []),
    ],
    ids=str,
)
async def test_a_charge_without_a_picture_is_a_loss(
    parts: Parts, api: Service, end: End, told: str | None, lost: list[int]
) -> None:
    """The cost is requested once, if the end does not say it."""
    job, made = await running(parts, "g1")
    api.says(*costs(told))
    await parts.settler.settle(job, ends_of(made, end))

    assert await parts.losses(job) == lost
    asked = [each for each in api.asked if each.path.startswith("/ai/generations")]
    has_cost = isinstance(end, Failed) and end.cost is not None
    assert len(asked) == (0 if has_cost or isinstance(end, Abandoned) else 1)


async def test_a_success_without_a_picture_is_a_loss_of_its_price(
    parts: Parts, api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Its pictures are no images."""
    job, made = await running(parts, "g1", "g2", "g3")
    api.says(*costs(None))
    data = "data:image/png;base64,aGVsbG8="
    await parts.settler.settle(
        job, ends_of(made, Finished((data,)), Finished((data,), Cost(5, {})), Canceled())
    )

    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.NO_PICTURE)
    assert sorted(await parts.losses(job)) == [-7500, -5]
    assert caplog.text.count("oxen sent no picture") == 1
    assert caplog.text.count("not an image") == 2
    assert "oxen charged 7.5 credits for g1 without a picture; the member pays none" in caplog.text


async def test_the_first_failure_is_the_reason_of_the_job(
    parts: Parts, api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job, made = await running(parts, "g1", "g2", "g3")
    api.says(*costs(None))
    ends: list[End] = [
        Canceled(),
        Failed(Reason.REJECTED, "first"),
        Abandoned(Reason.TIMEOUT, "second"),
    ]
    settled = await parts.settler.settle(job, ends_of(made, *ends))

    assert settled == await parts.job(job)
    assert (settled.status, settled.reason) == (JobStatus.FAILED, Reason.REJECTED)
    assert "rejected: first" in caplog.text
    assert "timeout: second" in caplog.text
    assert "failed: rejected" in [each.getMessage() for each in caplog.records]
    async with parts.database.reading() as view:
        states = [each.state for each in await generations.of_job(view, job.id)]
    assert states == [JobStatus.CANCELED, JobStatus.FAILED, None]


async def test_a_job_whose_generations_were_all_canceled_is_canceled(
    parts: Parts, api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job, made = await running(parts, "g1", "g2")
    api.says(*costs(None))
    settled = await parts.settler.settle(job, ends_of(made, Canceled(), Canceled()))

    assert (settled.status, settled.cost) == (JobStatus.CANCELED, None)
    assert "canceled" in [each.getMessage() for each in caplog.records]


def made_of(text: str, pictures: int) -> Made:
    update = Finished((URL,), None, (text,) if text else ())
    return Made(
        Generation(1, "j", "g", None), update, [picture(each) for each in range(pictures)], None
    )


async def test_the_first_other_prompt_with_a_picture_was_drawn(database: Database) -> None:
    job = await one(database, new_job(prompt=" a fox "))
    assert expanded_prompt(job, []) is None
    assert expanded_prompt(job, [made_of("a fox", 1), made_of("", 1)]) is None
    found = [made_of("unseen", 0), made_of("a fox", 1), made_of("one", 1), made_of("two", 1)]
    assert expanded_prompt(job, found) == "one"


async def test_a_loss_is_logged_in_credits(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    report_loss(await one(database), "g1", Cost(12_500, {}))

    assert [each.getMessage() for each in caplog.records] == [
        "oxen charged 12.5 credits for g1 without a picture; the member pays none"
    ]


async def test_an_estimate_is_corrected_by_the_made_generations_alone(
    parts: Parts, api: Service, waits: list[float]
) -> None:
    job, made = await running(parts, "g1", "g2")
    settled = replace(job, generation_ms=1)
    api.says(*costs(None))
    ends = ends_of(made, Finished((data_uri(),)), Abandoned(Reason.TIMEOUT, ""))
    await parts.settler.settle(settled, ends)
    asked = len(api.asked)
    await parts.settler.correct_cost(job)
    assert (await parts.job(job)).estimated
    assert len(api.asked) == asked + 1
    api.says(*costs("1"))
    await parts.settler.correct_cost(job)

    stored = await parts.job(job)
    assert (stored.cost, stored.estimated) == (100_000, False)
    assert {each.path for each in api.asked} == {"/ai/generations/g1"}
    assert parts.services.catalog.about("oxen").price == 5  # follows the cost to some degree


@pytest.mark.parametrize(("cost", "logged"), [(Cost(0, {"usd": "0"}), True), (None, False)])
async def test_a_cost_of_zero_is_charged_by_the_price_and_logged(
    parts: Parts,
    api: Service,
    waits: list[float],
    caplog: pytest.LogCaptureFixture,
    cost: Cost | None,
    logged: bool,
) -> None:
    caplog.set_level(logging.INFO)
    api.says(*costs(None))
    job, made = await running(parts, "g1")
    await parts.settler.settle(job, ends_of(made, Finished((data_uri(),), cost)))

    assert "succeeded with 1 pictures" in caplog.text
    assert ("reported no cost, or zero: the price is charged" in caplog.text) is logged


async def test_only_what_has_failed_is_a_loss_beside_a_picture(parts: Parts) -> None:
    job, made = await running(parts, "g1", "g2")
    done = Finished((data_uri(),), Cost(2, {"usd": "0.00002"}))
    failed = Failed(Reason.UNKNOWN, "", Cost(900, {"usd": "0.009"}))
    settled = await parts.settler.settle(job, ends_of(made, done, failed))

    assert (settled.status, settled.cost) == (JobStatus.SUCCEEDED, 2)
    assert await parts.losses(job) == [-900]
    assert parts.services.catalog.about("oxen").price == 2  # follows the cost
