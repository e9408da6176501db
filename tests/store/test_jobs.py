from dataclasses import fields, replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from bot.errors import Reason
from bot.jobs import NEXT, Attachment, Job, JobStatus, NewJob, Notify, Route
from bot.periods import PeriodKind
from bot.rights import Allowance
from bot.store import claims, generations, jobs, leases, queue
from bot.store.database import Database, Transaction
from bot.store.jobs import MoveRefused
from bot.store.leases import Terms
from bot.store.tables import jobs as table
from tests.support.rows import NOW, add, new_job, one

LEASE = NOW + timedelta(minutes=3)
LONG_AGO = NOW - timedelta(days=1)


async def claim(tx: Transaction, now: datetime) -> Job | None:
    return await claims.claim(tx, "oxen", terms(now), created_after=LONG_AGO)


def terms(now: datetime) -> Terms:
    return Terms("this process", now, LEASE)


async def test_a_job_comes_back_as_it_was_stored(database: Database) -> None:
    new = new_job(count=2, aspect_ratio="2:1", expand_prompt=False)

    stored = await one(database, new, message_id=None)

    async with database.reading() as view:
        assert await jobs.get(view, new.id) == stored
        assert await jobs.get(view, "nothing") is None
    assert (stored.status, stored.request, stored.route) == (
        JobStatus.QUEUED,
        new.request,
        new.route,
    )
    assert "interaction-token" not in repr(stored)


async def test_what_the_insert_returns_is_what_the_row_holds(database: Database) -> None:
    usual = new_job()
    attachment = Attachment("1.png", "https://cdn.discordapp.com/1.png", 5, 6, 7)
    unusual = replace(
        usual,
        route=replace(
            usual.route,
            postable=False,
            private=True,
            guild_id=5,
            parent_id=6,
            upload_limit=8,
            reply_to_id=9,
            notify=Notify.SILENT,
        ),
        request=replace(usual.request, inputs=(attachment.url,)),
        inputs=(attachment,),
        model_auto=True,
        origin_id=7,
        source_job_id="a" * 16,
        allowance=Allowance(amount=5, period=PeriodKind.WEEK),
        allowed_models=frozenset({"oxen", "skills"}),
        locale="de",
    )
    optional = {each.name: each.default for each in (*fields(NewJob), *fields(Route))}
    assert [
        name
        for name, default in optional.items()
        if getattr(unusual, name, getattr(unusual.route, name, None)) == default
    ] == ["status_message_id"]  # it is stored when Discord has confirmed the reply

    async with database.transaction() as tx:
        stored = [await jobs.add(tx, new) for new in (usual, replace(unusual, id="other"))]

    async with database.reading() as view:
        assert [await jobs.get(view, each.id) for each in stored] == stored


@pytest.mark.parametrize(("source", "target"), list(product(JobStatus, JobStatus)))
async def test_only_legal_moves_are_made(
    database: Database, source: JobStatus, target: JobStatus
) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await tx.execute(table.update().values(status=source))

    async with database.transaction() as tx:
        if target in NEXT[source]:
            moved = await jobs.move(tx, job.id, target)
            assert moved.status is target
        else:
            with pytest.raises(MoveRefused):
                await jobs.move(tx, job.id, target)


async def test_only_answered_jobs_are_claimed(database: Database) -> None:
    await one(database, message_id=None)

    async with database.transaction() as tx:
        assert await claims.providers_with_work(tx, NOW, LONG_AGO) == {}
        assert await claim(tx, NOW) is None


async def test_claims_go_round_by_member(database: Database) -> None:
    """Ada asked four times before Ben and Cleo asked once each."""
    async with database.transaction() as tx:
        for minute, user_id in enumerate([1, 1, 1, 1, 2, 3]):
            await add(tx, new_job(user_id, at=NOW + timedelta(minutes=minute)))

    served = []
    for second in range(6):
        now = NOW + timedelta(hours=1, seconds=second)
        async with database.transaction() as tx:
            job = await claim(tx, now)
        served.append(job and job.user_id)

    assert served == [1, 2, 3, 1, 1, 1]


async def test_a_job_is_claimed_once(database: Database) -> None:
    job = await one(database)

    async with database.transaction() as tx:
        first = await claim(tx, NOW)
        second = await claim(tx, NOW)

    assert first is not None
    assert (first.id, first.status, second) == (job.id, JobStatus.SUBMITTING, None)


async def test_a_job_sent_back_waits_for_its_time(database: Database) -> None:
    job = await one(database)
    later = NOW + timedelta(seconds=30)
    async with database.transaction() as tx:
        await claim(tx, NOW)
        await jobs.requeue(tx, job.id, submit_after=later, reason=None)

    async with database.transaction() as tx:
        assert await queue.next_wake(tx, NOW) == later
        assert await claim(tx, NOW) is None
        assert await claim(tx, later) is not None


async def test_unconfirmed_and_expired_jobs_are_found_when_they_are_due(
    database: Database,
) -> None:
    unconfirmed = await one(database, message_id=None)
    confirmed = await one(database)
    before = NOW - timedelta(microseconds=1)
    async with database.transaction() as tx:
        assert await queue.unconfirmed(tx, before) == await queue.expired(tx, before) == []
        assert await queue.unconfirmed(tx, NOW) == [unconfirmed]
        assert await queue.expired(tx, NOW) == [confirmed]


async def test_an_estimate_is_found_while_the_settlement_is_young(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        done = await jobs.move(tx, job.id, JobStatus.SUCCEEDED, settled_at=NOW, estimated=True)

        assert await queue.estimated(tx, NOW - timedelta(microseconds=1), providers=["oxen"]) == [
            done
        ]
        assert await queue.estimated(tx, NOW, providers=["oxen"]) == []


async def test_a_submitting_job_is_found_when_its_lease_ends(database: Database) -> None:
    await one(database)
    async with database.transaction() as tx:
        claimed = await claim(tx, NOW)

        assert await queue.unleased(tx, NOW, providers=["oxen"]) == []
        if database.shared:  # the clock of PostgreSQL decides, whatever the process believes
            assert await queue.unleased(tx, LEASE, providers=["oxen"]) == []
            await tx.execute(table.update().values(lease_until=LONG_AGO))
        assert await queue.unleased(tx, LEASE, providers=["oxen"]) == [claimed]


async def test_after_a_start_every_lease_is_over(database: Database) -> None:
    await one(database)
    async with database.transaction() as tx:
        claimed = await claim(tx, NOW)
        await leases.clear(tx)

        assert await queue.unleased(tx, NOW, providers=["oxen"]) == [claimed]


async def test_settled_jobs_are_deliverable_until_delivered(database: Database) -> None:
    job = await one(database)
    later = NOW + timedelta(seconds=9)
    async with database.transaction() as tx:
        assert await queue.deliverable(tx, NOW, limit=10) == []

        await jobs.move(tx, job.id, JobStatus.FAILED, settled_at=NOW)
        assert [each.id for each in await queue.deliverable(tx, NOW, limit=10)] == [job.id]

        await jobs.change(tx, job.id, deliver_after=later)
        assert await queue.deliverable(tx, NOW, limit=10) == []
        assert await queue.next_wake(tx, NOW) == later

        await jobs.change(tx, job.id, delivered_at=later)
        assert await queue.deliverable(tx, later, limit=10) == []


async def test_tokens_are_erased_when_discord_forgets_them(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await queue.erase_tokens(tx, job.route.token_expires_at - timedelta(seconds=1))
        assert await jobs.get(tx, job.id) == job

        await queue.erase_tokens(tx, job.route.token_expires_at)
        erased = await jobs.get(tx, job.id)

    assert erased == replace(job, route=replace(job.route, interaction_token=None))


async def test_a_remote_id_belongs_to_one_job(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        made = await generations.add(tx, job.id, "oxen", ["b", "a"])

        assert [each.remote_id for each in made] == ["b", "a"]
        assert await generations.of_job(tx, job.id) == made
        assert await generations.owned(tx, "oxen", ["a", "z"]) == {"a"}
        assert await generations.owned(tx, "skills", ["a"]) == frozenset()


async def test_rivals_are_those_whose_generations_it_could_take_for_its_own(
    database: Database,
) -> None:
    """Whatever their options: the prompt, the time and that nobody knows what they made."""
    window = timedelta(minutes=3)

    async def sent(tx: Transaction, new: NewJob, after: timedelta = timedelta(0)) -> Job:
        job = await add(tx, new)
        return await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW + after)

    async with database.transaction() as tx:
        job = await sent(tx, new_job(1))
        twin = await sent(tx, new_job(2, count=1))
        larger = await sent(tx, new_job(3, count=2), window)
        lost = await sent(tx, new_job(4), -window)
        await jobs.move(tx, lost.id, JobStatus.FAILED, reason=Reason.DOUBTFUL)
        await sent(tx, new_job(5, prompt="a hare"))
        await sent(tx, new_job(6), window * 2)
        await sent(tx, replace(new_job(7), request=replace(new_job().request, model="skills")))
        refused = await sent(tx, new_job(8))
        await jobs.move(tx, refused.id, JobStatus.FAILED, reason=Reason.REJECTED)
        begun = await sent(tx, new_job(9))
        await jobs.move(tx, begun.id, JobStatus.RUNNING)
        await add(tx, new_job(10))

        found = await queue.rivals(tx, job, window)

    assert {each.id for each in found} == {twin.id, larger.id, lost.id}


async def test_what_was_asked_for_too_long_ago_is_not_claimed(database: Database) -> None:
    """A backup that was brought back may hold jobs for which nobody waits any more."""
    await one(database)
    async with database.transaction() as tx:
        assert await claims.providers_with_work(tx, NOW, NOW) == {}
        assert await claims.claim(tx, "oxen", terms(NOW), created_after=NOW) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"model_auto": False},
        {"model": "skills"},
        {"status": JobStatus.SUBMITTING},
        {"cancel_requested_at": NOW},
    ],
    ids=str,
)
async def test_a_job_that_has_changed_is_not_handed_over(
    database: Database, changes: dict[str, object]
) -> None:
    job = await one(database, replace(new_job(), model_auto=True))
    async with database.transaction() as tx:
        await tx.execute(table.update().values(**changes))
        assert (
            await jobs.hand_over(tx, job, model="skills", provider="skills", price=20_000) is None
        )
