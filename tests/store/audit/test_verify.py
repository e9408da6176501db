# ruff: noqa: S608  # the statements consist of this module's constants

import json
import sqlite3
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Reason, StartupError
from bot.jobs import SETTLED, JobStatus
from bot.ledger import Account, EntryKind
from bot.quotas import Quotas
from bot.store import holds, jobs, ledger, settlement
from bot.store.audit import Audit, Finding, Verification, verify
from bot.store.audit.lines import ESTIMATED, EntryLine, GenerationLine, JobLine, Record
from bot.store.database import REVISION
from bot.store.settlement import OVERDUE
from bot.store.sqlite import SQLiteDatabase
from tests.support.books import REPORTED, change, findings, verified
from tests.support.command_line import easel
from tests.support.easel import Stage
from tests.support.rows import NOW, new_job, one


async def test_books_that_add_up_have_no_findings(books: Path) -> None:
    found = await verified(books)

    assert [str(each) for each in found.findings] == []
    assert found.summary == "53 entries, 18 jobs, 4 accounts: it adds up"


async def test_a_database_without_rows_adds_up(empty_file: Path) -> None:
    assert (await verified(empty_file)).summary == "0 entries, 0 jobs, 0 accounts: it adds up"


@pytest.mark.parametrize("rows", [1, 2, 18])
async def test_rows_are_the_same_on_pages_of_any_size(
    books: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    for name in ("verify", "choices"):
        monkeypatch.setattr(import_module(f"bot.store.audit.{name}"), "PAGE", rows)
    change(books, "UPDATE rights SET name = 'x' WHERE subject = 'role'")

    found = await verified(books)

    assert (found.entries, found.jobs, found.accounts) == (53, 18, 4)
    assert [str(each) for each in found.findings] == [
        "row 10, role, x of rights: “x” is not the name of a role"
    ]


@pytest.mark.parametrize(("found", "says"), [(1, "1 finding"), (2, "2 findings")])
def test_the_summary_counts_the_findings(found: int, says: str) -> None:
    findings = (Finding("entry 1", "is wrong"),) * found

    assert Verification(3, 2, 1, findings).summary == f"3 entries, 2 jobs, 1 accounts: {says}"


async def test_a_former_rate_is_accepted_if_named(books: Path) -> None:
    details = json.dumps({"usd": "0.155"})
    change(
        books, f"UPDATE ledger SET details = '{details}' WHERE details = '{{\"usd\": \"0.0775\"}}'"
    )

    found = await verified(books)

    says = "has a capture of -7.75 for a cost of 7.75, and usd 0.155 make 15.5"
    assert f"job {REPORTED}: {says}" in [str(each) for each in found.findings]
    assert (await verified(books, 50)).findings == ()


# Any books at all, and any single entry of them lost, doubled or changed.


@st.composite
def right_books(draw: st.DrawFn) -> list[Record]:
    accounts = st.builds(Account, st.integers(1, 3), st.integers(0, 2))
    prices = st.integers(1, 10**6)
    books = []
    for number in range(draw(st.integers(1, 6))):
        price, overdue = draw(st.tuples(prices, prices))
        status, granted = draw(st.sampled_from(JobStatus)), draw(st.integers(0, price))
        books.append(right_record(number, draw(accounts), status, price, overdue, granted))
    return books


def right_record(
    number: int, account: Account, status: JobStatus, price: int, overdue: int, granted: int
) -> Record:
    """Return a job with its rows; a job that has succeeded has an overdue picture, too."""
    succeeded, settled = status is JobStatus.SUCCEEDED, status in SETTLED
    job = JobLine(
        f"job{number}",
        status,
        account,
        provider="oxen",
        count=1,
        price=price,
        cost=price + overdue if succeeded else None,
        estimated=succeeded,
        reason="rejected" if status is JobStatus.FAILED else None,
        created_at=NOW,
        running_at=NOW if status is JobStatus.RUNNING else None,
        settled_at=NOW if settled else None,
        overdue_at=NOW if succeeded else None,
        granted=granted,
    )
    hold = EntryLine(
        10 * number, job.id, account, EntryKind.HOLD, -price, NOW, NOW, "oxen", -granted
    )
    release = replace(hold, id=hold.id + 1, kind=EntryKind.RELEASE, amount=price, granted=granted)
    capture = replace(hold, id=hold.id + 2, kind=EntryKind.CAPTURE, details=ESTIMATED)
    adjustment = replace(
        hold,
        id=hold.id + 3,
        kind=EntryKind.ADJUSTMENT,
        amount=-overdue,
        granted=0,  # the whole price was captured already
        reason=f"{OVERDUE}remote",
        details={"usd": f"{overdue / 10**5}"},
    )
    refund = EntryLine(
        *(hold.id + 4, job.id, account, EntryKind.GRANT, price, NOW, NOW, "", price),
        reason="refund",
    )
    charged = [capture, adjustment, refund] if succeeded else []
    entries = [hold, *([release] if settled else []), *charged]
    runs = succeeded or status is JobStatus.RUNNING
    made = GenerationLine(1, "oxen", "remote", JobStatus.SUCCEEDED if succeeded else None)
    return Record(job, entries, [made] if runs else [], [0, 1] if succeeded else [])


def audited(records: Sequence[Record], *strays: EntryLine) -> list[Finding]:
    audit = Audit()
    for record in records:
        audit.check(record)
    for entry in strays:
        audit.check_stray(entry)
    return [*audit.findings, *audit.account_findings()]


def changes_of(entry: EntryLine) -> Iterator[Sequence[EntryLine]]:
    if entry.kind == EntryKind.GRANT:
        yield [replace(entry, details=None)]
    else:
        yield []  # a lost grant leaves a gap in the ids alone
        yield [replace(entry, details={"usd": "no number"})]
    yield [entry, entry]
    yield [replace(entry, amount=entry.amount + 1)]
    yield [replace(entry, amount=-entry.amount)]
    yield [replace(entry, counted_at=NOW - timedelta(days=30))]
    yield [replace(entry, granted=entry.granted + 1)]
    yield [replace(entry, granted=entry.granted - 1)]
    yield [replace(entry, provider="skills")]
    yield [replace(entry, reason="because")]
    yield [replace(entry, account=Account(entry.account.user_id, 99))]
    yield from ([replace(entry, kind=kind)] for kind in EntryKind if kind != entry.kind)


@given(books=right_books())
def test_any_one_entry_that_is_lost_doubled_or_changed_is_found(books: list[Record]) -> None:
    assert audited(books) == []

    for at, record in enumerate(books):
        for place, entry in enumerate(record.entries):
            others = [*books[:at], *books[at + 1 :]]
            before, after = record.entries[:place], record.entries[place + 1 :]
            for changed in changes_of(entry):
                assert audited([*others, replace(record, entries=[*before, *changed, *after])])
            gone = replace(record, entries=[*before, *after])
            if entry.kind != EntryKind.GRANT:  # that may be without a job
                assert audited([*others, gone], replace(entry, job_id=None))
            assert audited([*others, gone], replace(entry, job_id="gone"))


@pytest.mark.long
async def test_twenty_thousand_entries_are_read_page_by_page(books: Path) -> None:
    _multiply(books, REPORTED, 6_666)
    tracemalloc.start()

    found = await verified(books)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.findings, found.entries) == ((), 20_051)
    assert peak < 15_000_000  # bytes; 9 for any number of entries


def _multiply(path: Path, job_id: str, times: int) -> None:
    """Store a job that has succeeded many times over, with all its rows."""
    keys = {"jobs": "id", "generations": "job_id", "job_pictures": "job_id", "ledger": "job_id"}
    with closing(sqlite3.connect(path)) as connection:
        for table, key in keys.items():
            rows = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", [job_id])
            names = [name for name, *_ in rows.description]
            copied = rows.fetchall()
            for number in range(times):
                new: dict[str, str | None] = {
                    key: f"job{number:013}",
                    "remote_id": f"copy-{number}",
                }
                if table in ("ledger", "generations"):
                    new["id"] = None  # the next number
                connection.executemany(
                    f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})",
                    [[new.get(*pair) for pair in zip(names, row, strict=True)] for row in copied],
                )
        connection.commit()


@pytest.mark.long
async def test_the_command_verifies_beside_a_running_bot(at: Stage) -> None:
    async with at.easel():
        await at.imagine()
        await at.settled()

        ended = await easel(at.folder, "ledger", "verify", DATABASE_URL=f"sqlite:///{at.path}")

    assert (ended.code, ended.errors) == (0, "")
    assert ended.out == "3 entries, 1 jobs, 1 accounts: it adds up\n"


@pytest.mark.long
async def test_the_command_ends_with_1_where_it_does_not_add_up(books: Path) -> None:
    change(books, f"UPDATE jobs SET cost = 9000 WHERE id = '{REPORTED}'")

    ended = await easel(books.parent, "ledger", "verify", DATABASE_URL=f"sqlite:///{books}")

    assert (ended.code, ended.errors) == (1, "")
    assert f"job {REPORTED}: was charged 7.75 " in ended.out
    assert ended.out.endswith("3 findings\n")


@pytest.mark.parametrize(
    ("revision", "says"),
    [("0001", "written by an older Easel .* Start this version once"), ("9999", "a newer Easel")],
)
async def test_a_file_of_another_version_is_refused_and_left_alone(
    books: Path, revision: str, says: str
) -> None:
    change(books, f"UPDATE alembic_version SET version_num = '{revision}'")
    before = books.read_bytes()

    with pytest.raises(StartupError, match=says):
        await verified(books)

    assert books.read_bytes() == before


async def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    letter, empty, missing = (tmp_path / name for name in ("letter", "empty", "missing"))
    letter.write_text("Dear reader, this is a letter and no database. " * 50)
    empty.touch()

    for path, says in ((letter, "not a database"), (empty, "of Easel"), (missing, "no file")):
        with pytest.raises(StartupError, match=says):
            await verified(path)

    assert not missing.exists()


async def test_a_start_refuses_a_file_of_a_newer_version(books: Path) -> None:
    change(books, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StartupError, match=rf"newer Easel \(revision 9999.*{REVISION}"):
        async with SQLiteDatabase(books):
            pass


async def test_a_job_that_goes_to_another_model_and_back_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    async with SQLiteDatabase(path) as database:
        job = await one(database, replace(new_job(), model_auto=True))
        for minute, (model, price) in enumerate(
            (("skills", 20_000), ("oxen", 7500), ("skills", 20_000))
        ):
            async with database.transaction() as tx:
                moved = await jobs.hand_over(tx, job, model=model, provider=model, price=price)
                assert moved is not None
                at = NOW + timedelta(minutes=minute)
                await holds.hold_difference(tx, moved, job, at, Quotas())
            job = moved
        async with database.reading() as view:
            assert (await verify(view)).findings == ()
            usage = await ledger.usage_of(view, 1, NOW, None)
        assert (usage.jobs, usage.held) == (1, 20_000)

        async with database.transaction() as tx:
            await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
    assert (await verified(path)).findings == ()
    change(path, "DELETE FROM ledger WHERE reason LIKE 'moved to oxen%'")
    assert f"job {job.id}: has a hold of -12.5 where -20 is right" in await findings(path)
