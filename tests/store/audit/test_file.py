"""Rows that were deleted, values of the wrong type, and a changed schema."""

# ruff: noqa: S608  # the statements consist of this module's constants

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.books import (
    EMPTY,
    ESTIMATED,
    MOVED,
    QUEUED,
    REFUSED,
    REPORTED,
    RUNNING,
    alter,
    change,
    entry,
    findings,
    of,
    verified,
)

CHANGES = [
    (
        "a deleted job",
        f"DELETE FROM jobs WHERE id = '{QUEUED}'",
        f"entry 36: a hold of -7.5 for job {QUEUED}, which is missing",
    ),
    (
        "a deleted job with its entries",
        f"DELETE FROM ledger WHERE job_id = '{QUEUED}'; DELETE FROM jobs WHERE id = '{QUEUED}'",
        "entry 37: 1 row that was stored before is missing",
    ),
    (
        "two deleted entries",
        f"DELETE FROM ledger WHERE {of(REPORTED, 'release')} OR {of(REPORTED, 'capture')}",
        "entry 4: 2 rows that were stored before are missing",
    ),
    (
        "the first of all entries deleted",
        f"DELETE FROM ledger WHERE {of(REPORTED, 'hold')}",
        "entry 2: 1 row that was stored before is missing",
    ),
    (
        "all entries deleted",
        "DELETE FROM ledger",
        "ledger: the newest 53 entries are missing",
    ),
    (
        "a gap in the jobs",
        f"DELETE FROM ledger WHERE job_id = '{QUEUED}'; DELETE FROM jobs WHERE id = '{QUEUED}'",
        f"job {MOVED}: 1 row that was stored before is missing",
    ),
    (
        "a deleted job with a generation",
        f"DELETE FROM jobs WHERE id = '{RUNNING}'",
        "row 13 of generations: belongs to a row of jobs that is missing",
    ),
    (
        "a deleted generation",
        f"DELETE FROM generations WHERE job_id = '{EMPTY}'",
        "generation 9: 1 row that was stored before is missing",
    ),
    (
        "a deleted picture",
        f"DELETE FROM pictures WHERE sha256 = '{30:064x}'",
        "row 8 of job_pictures: belongs to a row of pictures that is missing",
    ),
    (
        "an entry that is older than those before it",
        entry("", "grant", 5, created_at="'2026-11-20 12:00:00.000000'"),
        "entry 54: has an earlier time than entry 53 before it",
    ),
    (
        "a text amount",
        f"UPDATE ledger SET amount = 'much' WHERE {of(QUEUED, 'hold')}",
        "entry 36: amount is no integer",
    ),
    (
        "a part of a thousandth",
        f"UPDATE ledger SET amount = -7500.5 WHERE {of(QUEUED, 'hold')}",
        "entry 36: amount is no integer",
    ),
    (
        "a text price",
        f"UPDATE jobs SET price = 'much' WHERE id = '{QUEUED}'",
        f"job {QUEUED}: price is no integer",
    ),
    (
        "a time that is none",
        f"UPDATE ledger SET created_at = '2026-02-30 12:00:00.000000' WHERE {of(QUEUED, 'hold')}",
        "entry 36: created_at is no time",
    ),
    (
        "a time that is a number",
        f"UPDATE jobs SET settled_at = 5 WHERE id = '{REPORTED}'",
        f"job {REPORTED}: settled_at is no time",
    ),
    *(
        (
            f"the time {moment}",
            f"UPDATE ledger SET created_at = '{moment}' WHERE {of(QUEUED, 'hold')}",
            "entry 36: created_at is no time",
        )
        for moment in (
            "2026-11-21 12:60:00.000000",
            "2026-11-21 12:00:61.000000",
            "2026-11-21T12:00:00.000000",
            "2026-11-21 12:00",
        )
    ),
    (
        "a time that only SQLite reads",
        f"UPDATE ledger SET created_at = '2026-11-21 24:00:00' WHERE {of(QUEUED, 'hold')}",
        "entry 36: cannot be read",
    ),
    (
        "a position that is text",
        f"UPDATE job_pictures SET position = 'x' WHERE job_id = '{REPORTED}'",
        f"row {REPORTED}, output, x of job_pictures: position is no integer",
    ),
    (
        "a long id of a service",
        f"UPDATE generations SET remote_id = printf('%.*c', 201, 'x') WHERE job_id = '{EMPTY}'",
        "generation 8: remote_id is no text of the right length",
    ),
    (
        "options that are a list",
        f"UPDATE jobs SET options = '[1]' WHERE id = '{QUEUED}'",
        f"job {QUEUED}: cannot be read",
    ),
    (
        "no pictures asked for",
        f"UPDATE jobs SET options = '{{\"count\": 0}}' WHERE id = '{ESTIMATED}'",
        f"job {ESTIMATED}: asks for 0 pictures",
    ),
    (
        "broken JSON",
        f"UPDATE ledger SET details = '{{' WHERE {of(QUEUED, 'hold')}",
        "entry 36: details is no JSON",
    ),
    (
        "a reason that is none",
        f"UPDATE jobs SET reason = 'mood' WHERE id = '{REFUSED}'",
        f"job {REFUSED}: reason is none of the words that Easel stores in jobs",
    ),
    (
        "a number where text is right",
        f"UPDATE ledger SET reason = x'00' WHERE {of(QUEUED, 'hold')}",
        "entry 36: reason is no text of the right length",
    ),
    (
        "a deleted change of a manager",
        "DELETE FROM changes WHERE id = 1",
        "row 2 of changes: 1 row that was stored before is missing",
    ),
    (
        "an allowance for a strange period",
        f"UPDATE jobs SET allowance_period = 'year' WHERE id = '{QUEUED}'",
        f"job {QUEUED}: allowance_period is none of the words that Easel stores in jobs",
    ),
    (
        "a switch that is neither",
        f"UPDATE jobs SET private = 7 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: private is neither 0 nor 1",
    ),
]


@pytest.mark.parametrize(
    ("script", "says"), [pytest.param(*plant[1:], id=plant[0]) for plant in CHANGES]
)
async def test_a_row_that_was_changed_by_hand_is_found(books: Path, script: str, says: str) -> None:
    change(books, script)

    assert says in await findings(books)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP TRIGGER ledger_refuses_update", "schema: trigger ledger_refuses_update on ledger "),
        ("DROP TRIGGER ledger_refuses_delete", "schema: trigger ledger_refuses_delete on ledger "),
        (
            "UPDATE sqlite_master SET sql = replace(sql, 'BEFORE', 'AFTER') "
            "WHERE name = 'ledger_refuses_delete'",
            "schema: trigger ledger_refuses_delete on ledger ",
        ),
        (
            "UPDATE sqlite_master SET sql = replace(sql, '''grant''', '''gift''') "
            "WHERE name = 'ledger'",
            "schema: check ck_ledger_kind ",
        ),
        ("ALTER TABLE pictures DROP COLUMN size", "schema: column pictures.size BIGINT NOT NULL "),
    ],
)
async def test_a_guard_that_is_gone_is_found(books: Path, statement: str, says: str) -> None:
    alter(books, statement)

    found = await findings(books)

    assert f"{says}is missing or changed" in found


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            f"DELETE FROM generations WHERE id = 15; DELETE FROM jobs WHERE id = '{RUNNING}'; "
            f"INSERT INTO generations VALUES (15, '{RUNNING}', 'oxen', 'x', NULL)",
            "row 15 of generations: belongs to a row of jobs that is missing",
        ),
        (
            f"DELETE FROM jobs WHERE id = '{QUEUED}'",
            f"entry 36: a hold of -7.5 for job {QUEUED}, which is missing",
        ),
    ],
)
async def test_a_row_without_its_parent_is_found_once(books: Path, script: str, says: str) -> None:
    change(books, script)

    found = await findings(books)

    assert found.count(says) == 1
    assert not [each for each in found if "of ledger: belongs to" in each]


@pytest.mark.parametrize(("ago", "is_found"), [("-3599 seconds", False), ("-3601 seconds", True)])
async def test_a_clock_may_be_set_back_by_an_hour(books: Path, ago: str, is_found: bool) -> None:
    newest = "(SELECT max(created_at) FROM ledger)"
    moment = f"strftime('%Y-%m-%d %H:%M:%S.000000', {newest}, '{ago}')"
    change(books, entry("", "grant", 5_000, created_at=moment, counted_at=moment))

    found = await findings(books)

    says = "entry 54: has an earlier time than entry 53 before it"
    assert found == ([says] if is_found else [])


async def test_the_longest_texts_and_all_times_of_a_day_are_right(books: Path) -> None:
    longest = (
        f"UPDATE generations SET remote_id = printf('%.*c', 200, 'x') WHERE job_id = '{EMPTY}'"
    )
    change(books, longest)
    moments = ("2028-02-29 23:59:59.999999", "2026-11-21 00:00:00.000000")
    change(books, f"UPDATE jobs SET running_at = '{moments[0]}' WHERE id = '{REPORTED}'")
    change(books, f"UPDATE jobs SET delivered_at = '{moments[1]}' WHERE id = '{REPORTED}'")

    assert await findings(books) == []


async def test_what_analyze_stores_is_no_finding(books: Path) -> None:
    with closing(sqlite3.connect(books)) as connection:
        connection.execute("ANALYZE")
        connection.commit()

    assert await findings(books) == []


async def test_a_foreign_trigger_is_found(books: Path) -> None:
    alter(books, "CREATE TRIGGER gift AFTER INSERT ON ledger BEGIN SELECT 1; END")

    assert await findings(books) == ["schema: trigger gift on ledger is none of Easel's"]


async def test_a_damaged_index_is_found(books: Path) -> None:
    """An index whose rows differ from the table's: a query by the index misses entries."""
    alter(
        books,
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master "
        "WHERE name = 'ix_jobs_user_id_created_at') WHERE name = 'ix_ledger_server_id_counted_at'",
    )

    found = await findings(books)

    assert any(each.startswith("file: ") and "index" in each for each in found)


async def test_a_damaged_file_is_a_finding(books: Path) -> None:
    with closing(sqlite3.connect(books)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # all pages in the file
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'ledger'"
        (root,) = connection.execute(query).fetchone()
    with books.open("rb+") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)

    found = await verified(books)

    (says,) = [str(each) for each in found.findings]
    assert says == "file: cannot be read any further: database disk image is malformed"
    assert found.summary == "0 entries, 0 jobs, 0 accounts: 1 finding"
