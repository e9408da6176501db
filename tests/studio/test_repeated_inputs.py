"""Input pictures of jobs that are repeated: from the store, by whoever may edit them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.jobs import Job, Picture
from bot.quotas import Member, OthersPicture, Quotas
from bot.services import Services
from bot.store import jobs, pictures
from bot.store.database import Database
from bot.store.pictures import Role
from bot.studio.results import PicturesRemoved, Results
from tests.support.rows import NOW, new_job
from tests.support.studio import ADA, BEN, CAT, CHANNEL, on_disk, posted, remix, remove, succeeded


def allowing(services: Services) -> Results:
    """Return the use cases of an operator who lets members edit pictures of others."""
    return Results(replace(services, quotas=Quotas(edit_others=True)))


async def with_inputs(database: Database, stored: Sequence[Picture], user_id: int = 1) -> Job:
    """Store a posted job with these input pictures."""
    new = replace(new_job(user_id), inputs=(CAT,) * len(stored))
    job = await posted(database, new)
    async with database.transaction() as tx:
        await pictures.attach(tx, job.id, Role.INPUT, stored, NOW)
    return job


async def test_own_inputs_are_repeated_from_the_store(
    database: Database, services: Services, results: Results
) -> None:
    one, two = [await on_disk(services) for _ in range(2)]
    job = await with_inputs(database, [one, two])
    expected = tuple(replace(CAT, url="", copied=False, sha256=each.sha256) for each in (one, two))

    assert (await results.again(ADA, CHANNEL, job)).inputs == expected
    assert (await results.remix(ADA, 0, job, remix())).inputs == expected
    remove(services, two)
    with pytest.raises(PicturesRemoved):
        await results.again(ADA, CHANNEL, job)


async def test_inputs_that_were_never_stored_are_removed_ones(
    database: Database, services: Services, results: Results
) -> None:
    one = await on_disk(services)
    job = await with_inputs(database, [one])
    job = replace(job, inputs=(CAT, CAT))

    with pytest.raises(PicturesRemoved):
        await results.again(ADA, CHANNEL, job)


async def test_inputs_of_others_are_repeated_by_the_setting_alone(
    database: Database, services: Services, results: Results
) -> None:
    job = await with_inputs(database, [await on_disk(services)])

    with pytest.raises(OthersPicture):
        await results.again(BEN, CHANNEL, job)
    assert len((await allowing(services).again(BEN, CHANNEL, job)).inputs) == 1


async def test_a_result_as_input_is_repeated_where_it_is_seen(
    database: Database, services: Services, results: Results
) -> None:
    """Ada's result, edited by Ben; it is also a result of a later job that others do not see."""
    shown = await on_disk(services)
    source = await posted(database, outputs=[shown])
    route = replace(new_job().route, private=True)
    later = replace(new_job(3, at=NOW + timedelta(hours=1)), route=route)
    hidden = await succeeded(database, later, outputs=[shown])
    job = await with_inputs(database, [shown], user_id=2)
    cleo = Member(4, server_id=10)

    for member in (ADA, BEN, cleo):
        assert len((await results.again(member, CHANNEL, job)).inputs) == 1
    assert len((await results.again(BEN, 0, job)).inputs) == 1  # the own input, anywhere
    with pytest.raises(OthersPicture):
        await results.again(cleo, CHANNEL + 1, job)
    with pytest.raises(OthersPicture):  # the setting is about other pictures
        await allowing(services).again(cleo, CHANNEL + 1, job)

    async with database.transaction() as tx:
        await jobs.hide(tx, source.id, NOW)
    assert len((await results.again(BEN, CHANNEL, job)).inputs) == 1  # one is not deleted
    with pytest.raises(OthersPicture):
        await results.again(cleo, CHANNEL, job)
    async with database.transaction() as tx:
        await jobs.hide(tx, hidden.id, NOW)
    with pytest.raises(OthersPicture):
        await results.again(BEN, CHANNEL, job)
