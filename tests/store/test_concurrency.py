"""Transactions at the same time: of one process in SQLite, of several in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import replace
from typing import Any, cast

import pytest

from bot.errors import Reason, UserError
from bot.jobs import JobStatus, Picture, PictureKind
from bot.ledger import Account, Cost, EntryKind
from bot.periods import month_of
from bot.quotas import NotEnough, NotEnoughCredits, Quotas
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import generations, holds, jobs, ledger, pictures, settlement
from bot.store.backends import open_database
from bot.store.database import Database, Transaction, write_note
from bot.store.dialects import lock_quotas
from bot.store.pictures import Role
from tests.support.cluster import Cluster
from tests.support.rights import add_grant
from tests.support.rows import NOW, new_job, one

PRICE = 7500
AT_ONCE = 8


@pytest.fixture
async def databases(database: Database, database_url: str) -> AsyncIterator[list[Database]]:
    """Connections as those of two processes, where two may share the rows."""
    async with AsyncExitStack() as stack:
        another = database
        if database.shared:
            another = await stack.enter_async_context(open_database(database_url))
        yield [database, another]


async def test_one_of_eight_requests_gets_the_last_credit(databases: list[Database]) -> None:
    quotas = Quotas(allowance=PRICE)

    async def request(database: Database) -> bool:
        try:
            async with database.transaction() as tx:
                job = await jobs.add(tx, new_job(price=PRICE))
                await holds.hold(tx, job, quotas)
        except NotEnoughCredits:
            return False
        return True

    accepted = await asyncio.gather(*(request(databases[n % 2]) for n in range(AT_ONCE)))

    async with databases[0].reading() as view:
        assert await ledger.spent(view, "bot", month_of(NOW)) == PRICE
    assert sum(accepted) == 1


MEMBERS, REQUESTS = 40, 200
LIMIT = Allowance(amount=30 * PRICE + 1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("policy", "quotas", "fit"),
    [
        (Policy(rights=Rights(allowance=Allowance(amount=2 * PRICE + 500))), {}, 2 * MEMBERS),
        (Policy(rights=Rights(allowance=Allowance(amount=500))), {}, 3 * MEMBERS),
        (Policy(settings=ServerSettings(budget=LIMIT)), {}, 30),
        (Policy(), {"provider_budgets": {"oxen": 30 * PRICE}}, 30),
        (Policy(), {"budget": 30 * PRICE}, 30),
        (Policy(), {"allowance": 2 * PRICE}, 2 * MEMBERS),
    ],
    ids=["allowance", "grants", "server", "provider", "bot", "month"],
)
async def test_of_200_requests_of_40_members_just_those_are_held_that_fit(
    databases: list[Database],
    request: pytest.FixtureRequest,
    policy: Policy,
    quotas: dict[str, Any],
    fit: int,
) -> None:
    if "grants" in request.node.callspec.id:
        async with databases[0].transaction() as tx:
            for user in range(MEMBERS):
                await add_grant(tx, Account(user, 10), 3 * PRICE - 500, NOW)

    async def place(tx: Transaction, number: int) -> None:
        await lock_quotas(tx)
        new = replace(new_job(number % MEMBERS, price=PRICE), allowance=policy.rights.allowance)
        await holds.hold(tx, await jobs.add(tx, new), Quotas(**quotas), policy)

    # Of each process, as in bot.studio.requests: on SQLite, all wait together for a group commit.
    locks = [asyncio.Lock(), asyncio.Lock()]
    turns = locks if databases[0].shared else [nullcontext(), nullcontext()]

    async def ask(number: int) -> bool:
        try:
            async with turns[number % 2]:
                await databases[number % 2].run(lambda tx: place(tx, number), timeout=30)
        except NotEnough:
            return False
        return True

    accepted = await asyncio.gather(*(ask(number) for number in range(REQUESTS)))

    async with databases[0].reading() as view:
        spent = await ledger.spent(view, "bot", month_of(NOW))
        left = [await ledger.grants_left(view, Account(user, 10)) for user in range(MEMBERS)]
    assert sum(accepted) == fit
    assert spent == fit * PRICE
    assert set(left) == {0}


async def test_one_of_eight_jobs_moves_to_a_dearer_model_for_the_last_credits(
    databases: list[Database],
) -> None:
    moving = [await one(databases[0], replace(new_job(), model_auto=True)) for _ in range(AT_ONCE)]
    quotas = Quotas(allowance=AT_ONCE * PRICE + 5000)

    async def move(database: Database, job_id: str) -> bool:
        try:
            async with database.transaction() as tx:
                job = await jobs.get(tx, job_id)
                assert job is not None
                moved = await jobs.hand_over(
                    tx, job, model="skills", provider="skills", price=PRICE + 5000
                )
                assert moved is not None
                await holds.hold_difference(tx, moved, job, NOW, quotas)
        except UserError:
            return False
        return True

    accepted = await asyncio.gather(
        *(move(databases[n % 2], job.id) for n, job in enumerate(moving))
    )

    assert sum(accepted) == 1


async def test_a_cost_is_corrected_once_by_two_processes(databases: list[Database]) -> None:
    job = await one(databases[0])
    async with databases[0].transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        running = await jobs.start_running(tx, job.id, NOW)
        await settlement.succeed(tx, running, NOW, cost=None, pictures=[picture(1)], ends={})

    async def correct(database: Database) -> None:
        async with database.transaction() as tx:
            await settlement.correct_cost(tx, job.id, Cost(9000, {"usd": "0.09"}), NOW)

    await asyncio.gather(*(correct(database) for database in databases * 4))

    async with databases[0].reading() as view:
        entries = await ledger.entries_of(view, job.id)
    assert [each.amount for each in entries if each.kind is EntryKind.ADJUSTMENT] == [-1500]


async def test_overdue_pictures_of_two_processes_are_all_charged(
    databases: list[Database],
) -> None:
    job = await one(databases[0], new_job(price=4 * PRICE, count=4))
    async with databases[0].transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        await jobs.start_running(tx, job.id, NOW)
        made = await generations.add(tx, job.id, "oxen", ["a", "b", "c", "d"])
        failed = await jobs.move(tx, job.id, JobStatus.FAILED, settled_at=NOW)

    async def charge(tx: Transaction, number: int) -> None:
        await settlement.charge_overdue(
            tx,
            failed,
            NOW,
            cost=Cost(8000, {}),
            pictures=[picture(number)],
            generations=[made[number]],
        )

    async def charged(number: int) -> None:
        async with databases[number % 2].transaction() as tx:
            await charge(tx, number)

    await asyncio.gather(*(charged(number) for number in range(4)))

    async with databases[0].reading() as view:
        stored = await jobs.get(view, job.id)
        assert stored is not None
        assert stored.cost == 4 * 8000
        assert len(await pictures.of_job(view, job.id, Role.OUTPUT)) == 4


async def test_generations_that_two_processes_find_are_stored_once(
    databases: list[Database],
) -> None:
    job = await one(databases[0])
    async with databases[0].transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        failed = await settlement.fail_unknown(tx, job, NOW)

    async def find(database: Database) -> None:
        async with database.transaction() as tx:
            await settlement.find_unknown(tx, failed, ["a"], NOW)

    await asyncio.gather(*(find(database) for database in databases))

    async with databases[0].reading() as view:
        entries = await ledger.entries_of(view, job.id)
        assert len(await generations.of_job(view, job.id)) == 1
    assert [each.amount for each in entries if each.kind is EntryKind.LOSS] == [-PRICE, PRICE]


async def test_the_same_pictures_are_stored_at_once_in_any_order(
    databases: list[Database],
) -> None:
    made = [picture(number) for number in range(20)]
    stored = [await one(databases[0]) for _ in range(AT_ONCE)]

    async def attach(database: Database, job_id: str, reverse: bool) -> None:
        async with database.transaction() as tx:
            order = made[::-1] if reverse else made
            await pictures.attach(tx, job_id, Role.OUTPUT, order, NOW)

    await asyncio.gather(
        *(attach(databases[n % 2], job.id, bool(n % 2)) for n, job in enumerate(stored))
    )

    async with databases[0].reading() as view:
        assert await pictures.of_job(view, stored[1].id, Role.OUTPUT) == made[::-1]


async def test_pictures_in_opposite_orders_are_no_deadlock(
    own_postgres_url: str, postgres: Cluster
) -> None:
    """Each row takes a while, so that both transactions hold some of them."""
    await postgres.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END'",
        "CREATE TRIGGER wait BEFORE INSERT ON pictures FOR EACH ROW EXECUTE FUNCTION wait()",
        url=own_postgres_url,
    )
    made = [picture(number) for number in range(4)]
    async with open_database(own_postgres_url) as database:
        first, second = await one(database), await one(database)

        async def attach(job_id: str, order: list[Picture]) -> None:
            async with database.transaction() as tx:
                await pictures.attach(tx, job_id, Role.OUTPUT, order, NOW)

        await asyncio.gather(attach(first.id, made), attach(second.id, made[::-1]))


async def test_notes_are_written_at_once(databases: list[Database]) -> None:
    async def write(database: Database, value: str) -> None:
        async with database.transaction() as tx:
            await write_note(tx, "name", value)

    await asyncio.gather(*(write(databases[n % 2], str(n)) for n in range(AT_ONCE)))


async def test_a_block_is_repeated_once_after_a_conflict(database: Database) -> None:
    """Two transactions lock two rows in opposite orders, and PostgreSQL ends one of them."""
    first, second = await one(database), await one(database)
    attempts: list[str] = []
    longest = 10 if database.shared else 0.2  # a SQLite file has one writer

    async def lock_both(tx: Transaction, *ids: str) -> None:
        await jobs.lock(tx, ids[0])
        attempts.append(ids[0])
        with suppress(TimeoutError):
            async with asyncio.timeout(longest):
                while len(attempts) < 2:
                    await asyncio.sleep(0.01)
        await jobs.lock(tx, ids[1])

    await asyncio.gather(
        database.run(lambda tx: lock_both(tx, first.id, second.id)),
        database.run(lambda tx: lock_both(tx, second.id, first.id)),
    )

    assert len(attempts) == (3 if database.shared else 2)


def picture(number: int) -> Picture:
    return Picture(f"{number:064x}", PictureKind.PNG, 9, 1, 1)


class Interposed:
    """A transaction in which something else happens before one of the statements."""

    def __init__(self, tx: Transaction, number: int, event: Callable[[], Awaitable[None]]) -> None:
        self._tx = tx
        self._number = number
        self._event = event

    async def execute(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        self._number -= 1
        if self._number == 0:
            await self._event()
        return await self._tx.execute(*arguments, **options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._tx, name)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("settled", [False, True], ids=["given up", "charged"])
async def test_a_settlement_during_a_hold_frees_no_credits(
    databases: list[Database], number: int, settled: bool
) -> None:
    """A price that moves from the ledger to the reserved ones, or back, is counted all the time."""
    job = await one(databases[0], new_job(price=PRICE))

    async def give_up() -> None:
        async with databases[1].transaction() as tx:
            await settlement.fail(tx, job.id, NOW, reason=Reason.TIMEOUT)

    async def charge() -> None:
        async with databases[1].transaction() as tx:
            known = await generations.of_job(tx, job.id)
            await settlement.charge_overdue(
                tx, job, NOW, cost=Cost(PRICE), pictures=[picture(1)], generations=known
            )

    async with databases[0].transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        await jobs.start_running(tx, job.id, NOW)
        await generations.add(tx, job.id, "oxen", ["g1"])
    if settled:
        await give_up()

    with pytest.raises(NotEnoughCredits):
        async with databases[0].transaction() as tx:
            other = await jobs.add(tx, new_job(price=PRICE))
            during = Interposed(tx, number, charge if settled else give_up)
            await holds.hold(cast("Transaction", during), other, Quotas(allowance=PRICE))
