"""The addresses of input pictures: which of them a provider gets, and when there is none."""

import base64
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.delivery import InputsGone, NotDelivered
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import Attachment, Job, JobStatus
from bot.store import jobs
from bot.store import pictures as picture_rows
from bot.store.pictures import Role
from bot.worker import inputs as module
from bot.worker.inputs import ADDRESS_MARGIN, Inputs
from bot.worker.leases import Leases
from tests.support.files import picture
from tests.support.outcomes import Outcomes
from tests.support.parts import Parts, Served, unwritable
from tests.support.rows import NOW, new_job, one

SECOND = timedelta(seconds=1)
FRESH = timedelta(minutes=10)
CAT = "https://cdn.discordapp.com/ephemeral-attachments/1/2/cat.png"
DOG = "https://cdn.discordapp.com/ephemeral-attachments/1/3/dog.png"
ELSEWHERE = "https://example.com/cat.png"
DATA = picture(size=(20, 20))


@pytest.fixture
def discord() -> Outcomes:
    return Outcomes(copies=[DOG])


@pytest.fixture
def inputs(made: Served, discord: Outcomes) -> Inputs:
    services = replace(made.services, delivery=discord)
    return Inputs(services, Leases(services))


async def requested(
    made: Served,
    *attachments: Attachment,
    age: timedelta = timedelta(0),
    provider: str = "skills",
    token_until: datetime | None = None,
    by_message: bool = False,
) -> Job:
    """Store a job whose pictures are stored."""
    at = NOW - age
    urls = tuple(each.url for each in attachments)
    new = new_job(at=at)
    route = replace(
        new.route,
        token_expires_at=at if by_message else token_until or new.route.token_expires_at,
        reply_to_id=5 if by_message else None,
    )
    request = replace(new.request, model=provider, inputs=urls)
    job = await one(
        made.database,
        replace(new, provider=provider, route=route, request=request, inputs=attachments),
    )
    stored = await made.services.pictures.store(DATA)
    async with made.database.transaction() as tx:
        await picture_rows.attach(tx, job.id, Role.INPUT, [stored] * len(attachments), at)
        assert await jobs.mark_inputs_stored(tx, job.id, size=stored.size)
    return await made.job(job)


def cat(url: str = CAT, *, copied: bool = False) -> Attachment:
    return Attachment("cat.png", url, copied=copied)


async def addresses(inputs: Inputs, job: Job) -> Sequence[str]:
    async with AsyncExitStack() as room:
        found = await inputs.addressed(job, room)
    return found.request.inputs


@pytest.mark.parametrize(("age", "url"), [(FRESH - SECOND, CAT), (FRESH, DOG)])
async def test_a_file_of_a_command_is_used_for_ten_minutes(
    made: Served, inputs: Inputs, age: timedelta, url: str
) -> None:
    job = await requested(made, cat(), age=age)

    assert await addresses(inputs, job) == (url,)


async def test_copies_are_used_however_old_the_request_is(
    made: Served, inputs: Inputs, discord: Outcomes
) -> None:
    copied = await requested(made, cat(copied=True), cat(DOG, copied=True), age=2 * FRESH)
    assert await addresses(inputs, copied) == (CAT, DOG)
    in_part = await requested(made, cat(), cat(DOG, copied=True), age=2 * FRESH)
    discord.copies = ["https://cdn.discordapp.com/a", "https://cdn.discordapp.com/b"]

    assert await addresses(inputs, in_part) == tuple(discord.copies)
    stored = (await made.job(in_part)).inputs
    assert [(each.url, each.copied) for each in stored] == [(url, True) for url in discord.copies]


async def test_an_address_that_is_not_of_discord_is_copied_at_once(
    made: Served, inputs: Inputs, discord: Outcomes
) -> None:
    discord.copies = [CAT, DOG]
    job = await requested(made, cat(), cat(ELSEWHERE))

    assert await addresses(inputs, job) == (CAT, DOG)


@pytest.mark.parametrize(("more", "url"), [(0, None), (-1, DOG)])
async def test_a_file_of_a_message_is_used_until_ten_minutes_before_its_end(
    made: Served, inputs: Inputs, more: int, url: str | None
) -> None:
    end = int((NOW + ADDRESS_MARGIN).timestamp()) + more
    own = f"{CAT}?ex={end:x}&is=1&hm=2"
    job = await requested(made, cat(own), age=2 * FRESH, by_message=True)

    assert timedelta(minutes=10) == ADDRESS_MARGIN
    assert await addresses(inputs, job) == (url or own,)


async def test_a_provider_that_takes_data_gets_the_pictures_themselves(
    made: Served, inputs: Inputs
) -> None:
    job = await requested(made, cat(), cat(DOG), age=FRESH, provider="oxen")
    limit = made.services.downloader.in_flight
    async with AsyncExitStack() as room:
        found = await inputs.addressed(job, room)
        assert limit.used == 4 * 2 * len(DATA)

    data = f"data:image/png;base64,{base64.b64encode(DATA).decode()}"
    assert found == replace(job, request=replace(job.request, inputs=(data, data)))
    assert limit.used == 0
    assert await made.job(job) == job  # a data address is not stored


async def test_too_many_bytes_in_flight_put_the_job_back(
    made: Served, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM_SECONDS", 0.02)
    job = await requested(made, cat(), age=FRESH, provider="oxen")
    limit = made.services.downloader.in_flight
    async with limit.take(job.user_id, 10**9):
        with pytest.raises(ProviderError) as caught:
            await addresses(inputs, job)

    assert (caught.value.reason, caught.value.detail, caught.value.taken) == (
        *(Reason.INPUT, "too many bytes in flight", Taken.NO),
    )


async def test_pictures_that_are_not_read_in_time_put_the_job_back(
    made: Served, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.0)
    job = await requested(made, cat(), age=FRESH, provider="oxen")
    with pytest.raises(ProviderError) as caught:
        await addresses(inputs, job)

    assert (caught.value.reason, caught.value.detail, caught.value.taken) == (
        *(Reason.INPUT, "inputs not read in time", Taken.NO),
    )


@pytest.mark.parametrize(
    ("error", "token_left", "by_message", "taken"),
    [
        (NotDelivered("busy"), SECOND, False, Taken.NO),
        (NotDelivered("busy"), timedelta(0), False, Taken.REFUSED),
        (NotDelivered("busy"), timedelta(0), True, Taken.NO),
        (InputsGone("deleted"), SECOND, False, Taken.REFUSED),
        (InputsGone("deleted"), timedelta(0), True, Taken.REFUSED),
    ],
)
async def test_a_job_fails_when_no_copy_will_ever_be_possible(
    made: Served,
    inputs: Inputs,
    discord: Outcomes,
    caplog: pytest.LogCaptureFixture,
    error: NotDelivered,
    token_left: timedelta,
    by_message: bool,
    taken: Taken,
) -> None:
    discord.copies = error
    expired = f"{CAT}?ex=1&is=1&hm=2"
    job = await requested(
        made, cat(expired), age=FRESH, token_until=NOW + token_left, by_message=by_message
    )
    with pytest.raises(ProviderError) as caught:
        await addresses(inputs, job)

    assert (caught.value.reason, caught.value.detail, caught.value.taken) == (
        *(Reason.INPUT, "no address for its inputs", taken),
    )
    assert caplog.messages == [f"inputs not copied for the service: {error}"]


@pytest.mark.usefixtures("short_waits")
async def test_a_job_whose_new_addresses_cannot_be_stored_is_put_back(
    made: Served, discord: Outcomes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stored before the request, which can then be found again by them."""
    parts = Parts(replace(made.services, delivery=discord), made.clock)
    job = await parts.claimed(await requested(made, cat(), age=FRESH))
    async with AsyncExitStack() as blocked:
        await blocked.enter_async_context(unwritable(tmp_path / "easel.db"))

        async def sleep(_: float) -> None:
            await blocked.aclose()

        monkeypatch.setattr("bot.worker.submit.asyncio", SimpleNamespace(sleep=sleep))
        assert await parts.submitter.submit(job) is None

    found = await made.job(job)
    assert (found.status, found.inputs) == (JobStatus.QUEUED, job.inputs)
    assert made.skills.requests == []
