import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Reason, StartupError
from bot.jobs import SETTLED, JobStatus, Picture, PictureKind
from bot.ledger import Account, Cost, EntryKind
from bot.quotas import Quotas
from bot.store import jobs, ledger, settlement
from bot.store.audit import EntryLine, JobLine, Verification, audit, verify
from bot.store.database import REVISION, Database, inspected
from tests.support.command_line import easel
from tests.support.easel import Stage
from tests.support.rows import NOW, new_job, one

COST = Cost(8000)
PICTURE = Picture("e" * 64, PictureKind.PNG, 9, 1, 1)
SUCCEEDED, QUEUED, FAILED = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"


@pytest.fixture
async def books(tmp_path: Path) -> Path:
    """A succeeded job with an adjustment, a queued one, a failed one, and a grant."""
    path = tmp_path / "easel.db"
    async with Database(path) as database:
        done = await one(database, replace(new_job(price=9000), id=SUCCEEDED))
        await one(database, replace(new_job(), id=QUEUED))
        failed = await one(database, replace(new_job(2), id=FAILED))
        async with database.transaction() as tx:
            await jobs.move(tx, done.id, JobStatus.SUBMITTING)
            await settlement.succeed(tx, done, NOW, cost=None, pictures=[PICTURE], ends={})
            await settlement.correct_cost(tx, done.id, COST, NOW)
            await settlement.fail(tx, failed.id, NOW, reason=Reason.REJECTED)
    _change(
        path,
        "INSERT INTO ledger "
        "(user_id, server_id, kind, amount, counted_at, reason, details, created_at) "
        "VALUES (1, 10, 'grant', 5000, '2026-11-21 12:00:00.000000', '', '{}', "
        "'2026-11-21 12:00:00.000000')",
    )
    return path


def _change(path: Path, statement: str, *values: str) -> None:
    """By hand, as nothing in Easel could."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        for action in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS ledger_refuses_{action}")
        connection.execute(statement, values)
        connection.commit()


async def _verified(path: Path) -> Verification:
    async with inspected(path) as database, database.reading() as view:
        return await verify(view)


async def test_books_that_add_up_have_no_findings(books: Path) -> None:
    found = await _verified(books)

    assert found.findings == ()
    assert (found.entries, found.jobs, found.accounts) == (8, 3, 2)
    assert found.summary == "8 entries, 3 jobs, 2 accounts: it adds up"


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "UPDATE ledger SET amount = -1 WHERE job_id = 'bbbbbbbbbbbbbbbb'",
            f"job {QUEUED}: has a hold of -0.001 where -7.5 is right",
        ),
        (
            "DELETE FROM ledger WHERE job_id = 'bbbbbbbbbbbbbbbb'",
            f"job {QUEUED}: has 0 hold entries where one of -7.5 is right",
        ),
        (
            "DELETE FROM ledger WHERE job_id = 'cccccccccccccccc' AND kind = 'release'",
            f"job {FAILED}: has 0 release entries where one of 7.5 is right",
        ),
        (
            "UPDATE jobs SET status = 'running' WHERE id = 'cccccccccccccccc'",
            f"job {FAILED}: has a release of 7.5, and is running",
        ),
        (
            "UPDATE jobs SET status = 'failed' WHERE id = 'aaaaaaaaaaaaaaaa'",
            f"job {SUCCEEDED}: has a capture of -9, and is failed",
        ),
        (
            "UPDATE jobs SET cost = 9000 WHERE id = 'aaaaaaaaaaaaaaaa'",
            f"job {SUCCEEDED}: was charged 8 by capture and adjustments, and cost 9",
        ),
        (
            "UPDATE jobs SET cost = NULL WHERE id = 'aaaaaaaaaaaaaaaa'",
            f"job {SUCCEEDED}: has succeeded without a cost",
        ),
        (
            "UPDATE ledger SET kind = 'adjustment', reason = 'x' WHERE kind = 'capture'",
            f"job {SUCCEEDED}: has 0 capture entries where one is right",
        ),
        (
            "UPDATE ledger SET kind = 'gift' WHERE kind = 'adjustment'",
            f"job {SUCCEEDED}: has a gift of 1, and is succeeded",
        ),
        (
            "UPDATE ledger SET kind = 'adjustment' WHERE job_id IS NULL",
            "entry 8: an adjustment of 5 without a job; only grants have none",
        ),
        (
            "UPDATE ledger SET job_id = 'gone' WHERE kind = 'capture'",
            "entry 5: a capture of -9 for job gone, which is missing",
        ),
        (
            "UPDATE ledger SET user_id = 3 WHERE job_id = 'bbbbbbbbbbbbbbbb'",
            f"job {QUEUED}: has a hold in the account of user 3, server 10",
        ),
        (
            "UPDATE ledger SET user_id = 3 WHERE job_id = 'bbbbbbbbbbbbbbbb'",
            "account of user 3, server 10: has a balance of -7.5 where 0 is right",
        ),
        (
            "UPDATE ledger SET counted_at = '2026-12-01 00:00:00.000000' "
            "WHERE job_id = 'bbbbbbbbbbbbbbbb'",
            f"job {QUEUED}: has a hold that counts at 2026-12-01 00:00:00+00:00, and was "
            "requested at 2026-11-21 12:00:00+00:00",
        ),
        (
            "UPDATE jobs SET status = 'lost' WHERE id = 'bbbbbbbbbbbbbbbb'",
            f"job {QUEUED}: “lost” is no status",
        ),
    ],
)
async def test_what_was_changed_by_hand_is_found(books: Path, statement: str, says: str) -> None:
    _change(books, statement)

    found = await _verified(books)

    assert says in [str(finding) for finding in found.findings]


# Any books at all, and any single entry of them lost, doubled or changed.


@st.composite
def right_books(draw: st.DrawFn) -> tuple[list[JobLine], list[EntryLine]]:
    lines: list[JobLine] = []
    entries: list[EntryLine] = []

    def enter(account: Account, kind: EntryKind, amount: int, job_id: str | None = None) -> None:
        entries.append(EntryLine(len(entries) + 1, job_id, account, kind, amount, NOW))

    accounts = st.builds(Account, st.integers(1, 3), st.integers(0, 2))
    for number in range(draw(st.integers(1, 6))):
        account, status = draw(accounts), draw(st.sampled_from(JobStatus))
        price, captured = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))
        late = draw(st.integers(-(10**6), 10**6).filter(bool))
        succeeded = status is JobStatus.SUCCEEDED
        cost = captured - late if succeeded else None
        job = JobLine(f"job{number}", status, account, price, cost, NOW)
        lines.append(job)
        enter(account, EntryKind.HOLD, -price, job.id)
        if status in SETTLED:
            enter(account, EntryKind.RELEASE, price, job.id)
        if succeeded:
            enter(account, EntryKind.CAPTURE, -captured, job.id)
            enter(account, EntryKind.ADJUSTMENT, late, job.id)
    return lines, entries


def changes_of(entry: EntryLine) -> Iterator[Sequence[EntryLine]]:
    yield []
    yield [entry, entry]
    yield [replace(entry, amount=entry.amount + 1)]
    yield [replace(entry, amount=-entry.amount)]
    yield [replace(entry, counted_at=NOW - timedelta(days=30))]
    yield [replace(entry, job_id=None)]
    yield [replace(entry, job_id="gone")]
    yield [replace(entry, account=Account(entry.account.user_id, 99))]
    yield from ([replace(entry, kind=kind)] for kind in EntryKind if kind != entry.kind)


@given(books=right_books())
def test_any_one_entry_that_is_lost_doubled_or_changed_is_found(
    books: tuple[list[JobLine], list[EntryLine]],
) -> None:
    lines, entries = books
    assert audit(lines, entries).findings == ()

    for at, entry in enumerate(entries):
        for changed in changes_of(entry):
            assert audit(lines, [*entries[:at], *changed, *entries[at + 1 :]]).findings


async def test_the_command_verifies_beside_a_running_bot(at: Stage) -> None:
    async with at.easel():
        await at.imagine()
        await at.settled()

        ended = await easel(at.folder, "ledger", "verify", DATABASE_URL=f"sqlite:///{at.path}")

    assert (ended.code, ended.errors) == (0, "")
    assert ended.out == "3 entries, 1 jobs, 1 accounts: it adds up\n"


async def test_the_command_ends_with_1_where_it_does_not_add_up(books: Path) -> None:
    _change(books, "UPDATE jobs SET cost = 9000 WHERE id = 'aaaaaaaaaaaaaaaa'")

    ended = await easel(books.parent, "ledger", "verify", DATABASE_URL=f"sqlite:///{books}")

    assert (ended.code, ended.errors) == (1, "")
    assert f"job {SUCCEEDED}: was charged 8 " in ended.out
    assert ended.out.endswith("3 findings\n")


@pytest.mark.parametrize(
    ("revision", "says"),
    [("0001", "written by an older Easel .* Start this version once"), ("9999", "a newer Easel")],
)
async def test_a_file_of_another_version_is_refused_and_left_alone(
    books: Path, revision: str, says: str
) -> None:
    _change(books, "UPDATE alembic_version SET version_num = ?", revision)
    before = books.read_bytes()

    with pytest.raises(StartupError, match=says):
        await _verified(books)

    assert books.read_bytes() == before


async def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    letter, empty, missing = (tmp_path / name for name in ("letter", "empty", "missing"))
    letter.write_text("Dear reader, this is a letter and no database. " * 50)
    empty.touch()

    for path, says in ((letter, "not a database"), (empty, "of Easel"), (missing, "no file")):
        with pytest.raises(StartupError, match=says):
            await _verified(path)

    assert not missing.exists()


async def test_a_start_refuses_a_file_of_a_newer_version(books: Path) -> None:
    _change(books, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StartupError, match=rf"newer Easel \(revision 9999.*{REVISION}"):
        async with Database(books):
            pass


async def test_a_job_that_goes_to_another_model_and_back_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    async with Database(path) as database:
        job = await one(database, replace(new_job(), model_auto=True))
        for minute, (model, price) in enumerate(
            (("skills", 20_000), ("oxen", 7500), ("skills", 20_000))
        ):
            async with database.transaction() as tx:
                moved = await jobs.hand_over(tx, job, model=model, provider=model, price=price)
                assert moved is not None
                at = NOW + timedelta(minutes=minute)
                await ledger.hold_difference(tx, moved, job.price, at, Quotas())
            job = moved
        async with database.reading() as view:
            assert (await verify(view)).findings == ()
            usage = await ledger.usage_of(view, 1, NOW, None)
        assert (usage.jobs, usage.held) == (1, 20_000)

        async with database.transaction() as tx:
            await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
    assert (await _verified(path)).findings == ()
    _change(path, "DELETE FROM ledger WHERE reason LIKE 'moved to oxen%'")
    says = [str(finding) for finding in (await _verified(path)).findings]
    assert f"job {job.id}: has a hold of -32.5 where -20 is right" in says
