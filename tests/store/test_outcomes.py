"""What each outcome of a job writes: costs, losses, shares of grants, ends of generations."""

from dataclasses import replace

import pytest

from bot.errors import Reason
from bot.jobs import Generation, Job, JobStatus
from bot.ledger import Account, Cost, EntryKind, LedgerEntry
from bot.quotas import Quotas
from bot.rights import Allowance, Policy, Rights
from bot.store import generations, holds, jobs, ledger, pictures, settlement
from bot.store.database import Database, Transaction
from bot.store.pictures import Role
from tests.support.books import LATER, MUCH_LATER, picture
from tests.support.pseudonyms import pseudonymise
from tests.support.rights import add_grant
from tests.support.rows import NOW, new_job

ACCOUNT = Account(1, 10)  # of new_job
OF_LOSSES = Account(0, 10)
FAILED, SUCCEEDED, CANCELED = JobStatus.FAILED, JobStatus.SUCCEEDED, JobStatus.CANCELED


async def running(
    tx: Transaction, price: int = 15_000, count: int = 2, allowance: int | None = None
) -> tuple[Job, list[Generation]]:
    """Return a job that runs as two generations; grants pay what exceeds the allowance."""
    new = new_job(price=price, count=count)
    policy = Policy()
    if allowance is not None:
        await add_grant(tx, ACCOUNT, price, NOW)
        policy = Policy(rights=Rights(allowance=Allowance(amount=allowance)))
        new = replace(new, allowance=policy.rights.allowance)
    job = (await holds.hold(tx, await jobs.add(tx, new), Quotas(), policy)).job
    await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
    job = await jobs.start_running(tx, job.id, NOW)
    return job, await generations.add(tx, job.id, "oxen", [f"a-{job.id}", f"b-{job.id}"])


async def stored(tx: Transaction, job: Job) -> Job:
    found = await jobs.get(tx, job.id)
    assert found is not None
    return found


async def entries(tx: Transaction, job: Job, kind: EntryKind) -> list[LedgerEntry]:
    return [each for each in await ledger.entries_of(tx, job.id) if each.kind is kind]


async def states(tx: Transaction, job: Job) -> list[JobStatus | None]:
    return [each.state for each in await generations.of_job(tx, job.id)]


# Ends


async def test_an_end_stores_that_of_its_generations_and_their_losses(database: Database) -> None:
    losses = {"charged": Cost(700, {"usd": "0.007"}), "free": Cost(0)}
    async with database.transaction() as tx:
        for outcome in (FAILED, CANCELED, SUCCEEDED):
            job, (first, _) = await running(tx)
            ends = {first.id: outcome}
            if outcome is FAILED:
                ended = await settlement.fail(
                    *(tx, job.id, LATER),
                    reason=Reason.REJECTED,
                    remark="why",
                    ends=ends,
                    losses=losses,
                )
            elif outcome is CANCELED:
                ended = await settlement.cancel(tx, job.id, LATER, ends=ends, losses=losses)
            else:
                ended = await settlement.succeed(
                    *(tx, replace(job, generation_ms=5), LATER),
                    cost=Cost(9_000),
                    pictures=[picture(1)],
                    ends=ends,
                    losses=losses,
                    expanded_prompt="a red fox",
                )
            assert ended == await stored(tx, job)
            assert (ended.status, ended.settled_at) == (outcome, LATER)
            assert await states(tx, job) == [outcome, None]
            (lost,) = await entries(tx, job, EntryKind.LOSS)
            assert (lost.account, lost.amount, lost.reason) == (OF_LOSSES, -700, "charged")
            assert (lost.details, lost.created_at) == ({"usd": "0.007"}, LATER)
            (released,) = await entries(tx, job, EntryKind.RELEASE)
            assert (released.account, released.amount) == (ACCOUNT, 15_000)
            assert ended.remark == ("why" if outcome is FAILED else None)
            if outcome is SUCCEEDED:
                assert (ended.cost, ended.estimated, ended.generation_ms) == (9_000, False, 5)
                assert ended.expanded_prompt == "a red fox"


@pytest.mark.parametrize(("made", "cost"), [(1, 5_000), (2, 10_000), (3, 15_000), (4, 15_000)])
async def test_an_estimate_is_the_price_of_the_pictures_that_were_made(
    database: Database, made: int, cost: int
) -> None:
    async with database.transaction() as tx:
        job, _ = await running(tx, count=3)
        found = [picture(number) for number in range(made)]
        ended = await settlement.succeed(tx, job, LATER, cost=None, pictures=found, ends={})

    assert (ended.cost, ended.estimated) == (cost, True)


@pytest.mark.parametrize(("known", "price"), [(0, 15_000), (1, 15_000), (2, 7_500), (4, 3_750)])
async def test_a_generation_may_be_charged_its_part_of_the_price(
    database: Database, known: int, price: int
) -> None:
    async with database.transaction() as tx:
        job = await jobs.add(tx, new_job(price=15_000))
        if known:
            await generations.add(tx, job.id, "oxen", [str(number) for number in range(known)])
        found = await settlement.price_of_generation(tx, job)

    assert found == Cost(price, {"estimated": "yes"})


async def test_an_end_without_a_picture_after_the_settlement_is_stored_with_its_loss(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        job, made = await running(tx)
        failed = await settlement.fail(tx, job.id, LATER, reason=Reason.TIMEOUT)
        await settlement.end_overdue(tx, failed, made[1:], MUCH_LATER, losses={"b": Cost(300)})

        assert await states(tx, job) == [None, FAILED]
        (lost,) = await entries(tx, job, EntryKind.LOSS)
    assert (lost.amount, lost.account, lost.created_at) == (-300, OF_LOSSES, MUCH_LATER)


# Corrections


async def test_a_correction_changes_the_share_of_grants_too(database: Database) -> None:
    """Of 15, the allowance pays 5: what is not used goes back to the grants first."""
    async with database.transaction() as tx:
        job, _ = await running(tx, allowance=5_000)
        await settlement.succeed(tx, job, LATER, cost=None, pictures=[picture(1)] * 2, ends={})
        assert await ledger.grants_left(tx, ACCOUNT) == 5_000
        await settlement.correct_cost(tx, job.id, Cost(7_000, {"usd": "0.07"}), MUCH_LATER)

        (entry,) = await entries(tx, job, EntryKind.ADJUSTMENT)
        corrected = await stored(tx, job)
        assert await ledger.grants_left(tx, ACCOUNT) == 13_000
    assert (entry.amount, entry.granted, entry.details) == (8_000, 8_000, {"usd": "0.07"})
    assert (corrected.cost, corrected.estimated) == (7_000, False)


async def test_only_an_estimated_cost_is_corrected(database: Database) -> None:
    async with database.transaction() as tx:
        failed, _ = await running(tx)
        await settlement.fail(tx, failed.id, LATER, reason=Reason.TIMEOUT)
        await jobs.change(tx, failed.id, estimated=True)
        paid, _ = await running(tx)
        await settlement.succeed(tx, paid, LATER, cost=Cost(9_000), pictures=[picture(1)], ends={})
        for job_id in (failed.id, paid.id, "f" * 16):
            await settlement.correct_cost(tx, job_id, Cost(7_000), MUCH_LATER)

        assert [(await stored(tx, each)).cost for each in (failed, paid)] == [None, 9_000]
        for job in (failed, paid):
            assert await entries(tx, job, EntryKind.ADJUSTMENT) == []


# Unknown outcomes


async def test_only_the_loss_of_the_unknown_outcome_is_reversed(database: Database) -> None:
    async with database.transaction() as tx:
        job = await jobs.add(tx, new_job(price=15_000))
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
        failed = await settlement.fail_unknown(tx, job, LATER)
        await settlement.lose(tx, failed, {"another": Cost(700)}, LATER)
        await settlement.find_unknown(tx, failed, ["x", "y"], MUCH_LATER)
        await settlement.find_unknown(tx, failed, ["z"], MUCH_LATER)

        found = await generations.of_job(tx, job.id)
        lost = await entries(tx, job, EntryKind.LOSS)
    assert (failed.status, failed.reason) == (FAILED, Reason.DOUBTFUL)
    assert [each.remote_id for each in found] == ["x", "y"]
    assert [(each.amount, each.reason) for each in lost] == [
        (-15_000, "unknown outcome"),
        (-700, "another"),
        (15_000, "unknown outcome, found"),
    ]


async def test_nothing_is_found_for_a_member_whose_data_is_deleted(database: Database) -> None:
    async with database.transaction() as tx:
        job = await jobs.add(tx, new_job())
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
        failed = await settlement.fail_unknown(tx, job, LATER)
    await pseudonymise(database)
    async with database.transaction() as tx:
        await settlement.find_unknown(tx, failed, ["x"], MUCH_LATER)
        await settlement.find_unknown(tx, replace(failed, id="f" * 16), ["y"], MUCH_LATER)

        assert await generations.of_job(tx, job.id) == []
        assert len(await entries(tx, job, EntryKind.LOSS)) == 1


# Pictures after the time-out


@pytest.mark.parametrize(
    ("allowance", "shares"), [(0, [-6_000, -6_000]), (5_000, [-1_000, -6_000])]
)
async def test_grants_pay_their_share_of_each_overdue_picture(
    database: Database, allowance: int, shares: list[int]
) -> None:
    async with database.transaction() as tx:
        job, made = await running(tx, allowance=allowance)
        failed = await settlement.fail(tx, job.id, LATER, reason=Reason.TIMEOUT)
        for number, each in enumerate(made):
            await settlement.charge_overdue(
                *(tx, failed, MUCH_LATER),
                cost=Cost(6_000, {"usd": "0.06"}),
                pictures=[picture(2 * number), picture(2 * number + 1)],
                generations=[each],
                expanded_prompt=f"the prompt of {number}",
            )

        charged = await stored(tx, job)
        found = await entries(tx, job, EntryKind.ADJUSTMENT)
        assert await states(tx, job) == [SUCCEEDED, SUCCEEDED]
        shown = await pictures.of_job(tx, job.id, Role.OUTPUT)
    assert [(each.amount, each.granted) for each in found] == [(-6_000, each) for each in shares]
    assert shown == [picture(number) for number in range(4)]
    assert (charged.cost, charged.expanded_prompt) == (12_000, "the prompt of 0")


async def test_an_overdue_picture_without_a_reported_cost_is_charged_its_price(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        job, made = await running(tx)
        failed = await settlement.fail(tx, job.id, LATER, reason=Reason.TIMEOUT)
        await settlement.charge_overdue(
            tx, failed, MUCH_LATER, cost=None, pictures=[picture(1)], generations=made[:1]
        )
        assert (await stored(tx, job)).cost == 7_500


async def test_an_overdue_picture_is_delivered_although_the_failure_was(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        job, made = await running(tx)
        failed = await settlement.fail(tx, job.id, LATER, reason=Reason.TIMEOUT)
        await jobs.mark_delivered(tx, job.id, LATER, message_id=7, channel_id=8, error=None)
        await jobs.change(
            *(tx, job.id),
            deliver_after=MUCH_LATER,
            delivery_attempts=3,
            delivery_started_at=LATER,
        )
        await settlement.charge_overdue(
            tx, failed, MUCH_LATER, cost=Cost(1), pictures=[picture(1)], generations=made
        )
        found = await stored(tx, job)

    assert (found.overdue_at, found.delivered_at, found.result_message_id) == (
        MUCH_LATER,
        None,
        None,
    )
    assert (found.deliver_after, found.delivery_attempts) == (None, 0)
    assert found.delivery_started_at is None


async def test_an_overdue_picture_of_deleted_data_is_one_loss_and_never_shown(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        job, made = await running(tx)
        failed = await settlement.fail(tx, job.id, LATER, reason=Reason.TIMEOUT)
    await pseudonymise(database)
    async with database.transaction() as tx:
        await settlement.charge_overdue(
            tx, failed, MUCH_LATER, cost=Cost(9_000), pictures=[picture(1)], generations=made
        )

        (lost,) = await entries(tx, job, EntryKind.LOSS)
        assert (lost.amount, lost.account) == (-9_000, OF_LOSSES)
        assert lost.reason == made[0].remote_id
        assert await states(tx, job) == [FAILED, FAILED]
        assert await pictures.of_job(tx, job.id, Role.OUTPUT) == []
        assert await entries(tx, job, EntryKind.ADJUSTMENT) == []
        assert (await stored(tx, job)).cost is None


# Without a job


async def test_a_gift_is_a_grant_and_a_correction_of_an_account_is_use(database: Database) -> None:
    async with database.transaction() as tx:
        job, _ = await running(tx)
        await settlement.give(tx, ACCOUNT, 500, NOW, reason="refund", job_id=job.id)
        await settlement.correct_account(tx, ACCOUNT, -70, NOW, reason="a fee")

        assert await ledger.grants_left(tx, ACCOUNT) == 500
        assert (await ledger.usage_of(tx, 1, NOW, None)).used == 70
        (gift,) = await entries(tx, job, EntryKind.GRANT)
    assert (gift.amount, gift.granted, gift.reason) == (500, 500, "refund")


async def test_a_withdrawal_releases_the_hold_and_leaves_nothing_to_deliver(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        job = (await holds.hold(tx, await jobs.add(tx, new_job()), Quotas())).job
        withdrawn = await settlement.withdraw(tx, job.id, LATER)

        assert withdrawn == await stored(tx, job)
        (released,) = await entries(tx, job, EntryKind.RELEASE)
    assert released.amount == 7_500
    assert (withdrawn.status, withdrawn.settled_at, withdrawn.delivered_at) == (
        CANCELED,
        LATER,
        LATER,
    )
