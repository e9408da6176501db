"""Values that cannot be read, and all that is found because of one."""

# ruff: noqa: S608  # the statements consist of this module's constants

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bot.store.audit.lines import LARGEST
from tests.support.books import (
    GIFTED,
    QUEUED,
    REFUSED,
    REPORTED,
    alter,
    change,
    entry,
    findings,
    of,
)
from tests.support.records import CAPTURE

WORDS = "reason is none of the words that Easel stores in jobs"
NO_PROVIDER = "provider is no text of the right length"


def job(column: str, value: str) -> str:
    return f"UPDATE jobs SET {column} = {value} WHERE id = '{REPORTED}'"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (job("user_id", "'x'"), "user_id is no integer"),
        (job("account_server_id", "1.5"), "account_server_id is no integer"),
        (job("guild_id", "'x'"), "guild_id is no integer"),
        (job("provider", "x'00'"), NO_PROVIDER),
        (job("cost", "'much'"), "cost is no integer"),
        (job("reason", "x'00'"), WORDS),
        (job("settled_at", "x'00'"), "settled_at is no time"),
        (job("granted", "0.5"), "granted is no integer"),
    ],
)
async def test_a_job_with_a_value_that_cannot_be_read_is_not_compared(
    books: Path, script: str, says: str
) -> None:
    change(books, script)

    assert await findings(books) == [
        f"job {REPORTED}: {says}",
        f"job {REPORTED}: cannot be read",
    ]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("amount", "'much'", "amount is no integer"),
        ("granted", "0.5", "granted is no integer"),
        ("user_id", "'x'", "user_id is no integer"),
        ("provider", "x'00'", NO_PROVIDER),
        ("reason", "x'00'", "reason is no text of the right length"),
        ("counted_at", "5", "counted_at is no time"),
    ],
)
async def test_an_entry_with_a_value_that_cannot_be_read_counts_for_nobody(
    books: Path, column: str, value: str, says: str
) -> None:
    change(books, f"UPDATE ledger SET {column} = {value} WHERE {of(QUEUED, 'hold')}")

    found = [each for each in await findings(books) if not each.startswith("sum of ")]

    assert found == [
        f"entry 36: {says}",
        "entry 36: cannot be read",
        f"job {QUEUED}: has 0 hold entries where one of -7.5 is right",
        f"job {QUEUED}: adds up to 0 where -7.5 is right",
        "account of user 1, server 10: has a balance of -111.25 where -118.75 is right",
    ]


async def test_an_entry_of_a_job_without_a_readable_id_is_not_compared(books: Path) -> None:
    change(books, entry("", "grant", 5_000).replace("NULL", "x'00'"))

    assert "entry 54: cannot be read" in await findings(books)


async def test_details_with_a_number_that_is_no_text_cannot_be_read(books: Path) -> None:
    details = '{"usd": 0.0775}'
    change(books, f"UPDATE ledger SET details = '{details}' WHERE {of(REPORTED, 'capture')}")

    assert await findings(books) == [
        f"job {REPORTED}: has a capture of -7.75 with details that cannot be read"
    ]


@pytest.mark.parametrize("figure", [LARGEST, -LARGEST])
def test_a_figure_is_smaller_than_the_largest(figure: Decimal) -> None:
    smaller = figure - Decimal(1).copy_sign(figure)

    assert replace(CAPTURE, details={"usd": str(figure)}).figures is None
    assert replace(CAPTURE, details={"usd": str(smaller)}).figures == {"usd": smaller}


async def test_a_value_that_is_missing_is_found(books: Path) -> None:
    """Only a changed schema lets it through."""
    alter(
        books,
        "UPDATE sqlite_master SET sql = replace(sql, 'reason VARCHAR(200) NOT NULL', "
        "'reason VARCHAR(200)') WHERE name = 'ledger'",
    )
    change(books, f"UPDATE ledger SET reason = NULL WHERE {of(REFUSED, 'release')}")

    found = await findings(books)

    assert any(each.endswith(": reason is no text of the right length") for each in found)


async def test_a_stray_entry_that_is_wrong_counts_for_nobody(books: Path) -> None:
    change(books, entry("", "grant", 5_000, granted="0", user_id=str(GIFTED.user_id)))

    assert await findings(books) == [
        "entry 54: a grant of 5 with a share of grants of 0 where 5 is right",
        "account of user 4, server 10: has a balance of 2 where -3 is right",
    ]
