"""Grants, adjustments, shares of grants, providers, sums and choices that were changed by hand."""

# ruff: noqa: S608  # the statements consist of this module's constants

from pathlib import Path

import pytest

from tests.support.books import (
    GRANTED,
    MOVED,
    OVERDUE,
    QUEUED,
    REFUSED,
    REPORTED,
    SHARED,
    change,
    entry,
    findings,
    of,
)

ENTRIES = [
    (
        "a grant that grants do not have",
        entry("", "grant", 5000, granted="0"),
        "entry 54: a grant of 5 with a share of grants of 0 where 5 is right",
    ),
    (
        "a grant of a negative amount",
        entry("", "grant", -5000),
        "entry 54: a grant of -5, which gives nothing",
    ),
    ("a grant of nothing", entry("", "grant", 0), "entry 54: a grant of 0, which gives nothing"),
    (
        "a grant of 10^12",
        entry("", "grant", 10**12),
        "entry 54: a grant of 1000000000, which is no amount that Easel takes",
    ),
    (
        "a grant to nobody",
        entry("", "grant", 5000, user_id="0"),
        "entry 54: a grant of 5 to user 0, who is nobody",
    ),
    (
        "a grant at a provider",
        entry("", "grant", 5000, provider="'oxen'"),
        "entry 54: a grant of 5 at oxen, which has no part in it",
    ),
    (
        "a grant for another time",
        entry("", "grant", 5000, counted_at="'2026-11-21 12:00:00.000000'"),
        "entry 54: a grant of 5 that counts at 2026-11-21 12:00:00+00:00, "
        "and was made at 2026-11-21 12:30:00+00:00",
    ),
    (
        "a grant with strange details",
        entry("", "grant", 5000, details="'[1]'"),
        "entry 54: a grant of 5 with details that cannot be read",
    ),
    (
        "an adjustment without a reason",
        entry("", "adjustment", 5000),
        "entry 54: an adjustment of 5 without a reason",
    ),
    (
        "an adjustment of nothing",
        entry("", "adjustment", 0, reason="'x'"),
        "entry 54: an adjustment of 0, which is no amount that Easel takes",
    ),
    (
        "an adjustment that grants pay",
        entry("", "adjustment", -5000, reason="'x'", granted="-5000"),
        "entry 54: an adjustment of -5 with a share of grants of -5 where 0 is right",
    ),
    (
        "a capture without a job",
        entry("", "capture", -5000),
        "entry 54: a capture of -5 without a job",
    ),
    (
        "a refund for another reason",
        entry(REPORTED, "grant", 5000, reason="'mood'"),
        f"job {REPORTED}: has a grant of 5 with the reason “mood”, which Easel does not write",
    ),
    (
        "a refund of more than the cost",
        entry(REPORTED, "grant", 7751, reason="'refund'"),
        f"job {REPORTED}: has a grant of 7.751, and had cost 7.75",
    ),
    (
        "a refund before the charge",
        f"UPDATE ledger SET id = 60 WHERE {of(GRANTED, 'capture')}",
        f"job {GRANTED}: has a grant of 3, and had cost 0",
    ),
    (
        "a refund of a job that cost nothing",
        entry(REFUSED, "grant", 1, reason="'refund'"),
        f"job {REFUSED}: has a grant of 0.001, and had cost 0",
    ),
    (
        "a refund of a job that is not settled",
        entry(QUEUED, "grant", 1, reason="'refund'"),
        f"job {QUEUED}: has a grant of 0.001, and is queued",
    ),
    (
        "a second refund",
        entry(GRANTED, "grant", 1, reason="'again'"),
        f"job {GRANTED}: has 2 grants where one is possible",
    ),
    (
        "a refund in the account of another",
        f"UPDATE ledger SET user_id = 3 WHERE {of(GRANTED, 'grant')}",
        f"job {GRANTED}: has a grant in the account of user 3, server 10",
    ),
    (
        "a deleted grant",
        "DELETE FROM ledger WHERE kind = 'grant' AND reason = 'contest'",
        "entry 43: 1 row that was stored before is missing",
    ),
]
SHARES = [
    (
        "a hold that grants pay more of",
        f"UPDATE ledger SET granted = -3000 WHERE {of(GRANTED, 'hold')}",
        f"job {GRANTED}: has a hold of -7.5 with a share of grants of -3 where -2.5 is right",
    ),
    (
        "a release that grants get less of",
        f"UPDATE ledger SET granted = 0 WHERE {of(GRANTED, 'release')}",
        f"job {GRANTED}: has a release of 7.5 with a share of grants of 0 where 2.5 is right",
    ),
    (
        "a capture that grants pay less of",
        f"UPDATE ledger SET granted = 0 WHERE {of(GRANTED, 'capture')}",
        f"job {GRANTED}: has a capture of -7.75 with a share of grants of 0 where -2.5 is right",
    ),
    (
        "a correction that grants get nothing of",
        f"UPDATE ledger SET granted = 0 WHERE {of(SHARED, 'adjustment')}",
        f"job {SHARED}: has an adjustment of 2 with a share of grants of 0 where 2 is right",
    ),
    (
        "an overdue charge that grants pay",
        f"UPDATE ledger SET granted = -1 WHERE {of(OVERDUE, 'adjustment')}",
        f"job {OVERDUE}: has an adjustment of -7.75 with a share of grants of -0.001 "
        "where 0 is right",
    ),
    (
        "another share of the job",
        f"UPDATE jobs SET granted = 1 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a hold of -7.5 with a share of grants of 0 where -0.001 is right",
    ),
    (
        "a share above the price",
        f"UPDATE jobs SET granted = 7501 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a price of 7.5, of which grants pay 7.501",
    ),
    (
        "a share below zero",
        f"UPDATE jobs SET granted = -1 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a price of 7.5, of which grants pay -0.001",
    ),
    (
        "another share of a hold that was given back",
        f"UPDATE ledger SET granted = 7000 WHERE job_id = '{SHARED}' AND reason LIKE 'moved from%'",
        f"job {SHARED}: has a hold of 7.5 “moved from oxen at 2026-11-21 12:01:00 UTC”, "
        "which is not that of the hold before",
    ),
    (
        "a hold that was given back elsewhere",
        f"UPDATE ledger SET provider = 'skills' "
        f"WHERE job_id = '{MOVED}' AND reason LIKE 'moved from%'",
        f"job {MOVED}: has a hold of 7.5 “moved from oxen at 2026-11-21 12:01:00 UTC”, "
        "which is not that of the hold before",
    ),
    (
        "a hold that was not given back",
        f"DELETE FROM ledger WHERE job_id = '{SHARED}' AND reason LIKE 'moved from%'",
        f"job {SHARED}: has a hold of -20 “moved to skills at 2026-11-21 12:01:00 UTC”, "
        "and the hold before was not given back",
    ),
    (
        "a hold at another provider",
        f"UPDATE ledger SET provider = 'skills' WHERE {of(QUEUED, 'hold')}",
        f"job {QUEUED}: has a hold of -7.5 at skills, and runs at oxen",
    ),
    (
        "a release at another provider",
        f"UPDATE ledger SET provider = 'oxen' WHERE {of(SHARED, 'release')}",
        f"job {SHARED}: has a release of 20 at oxen, and runs at skills",
    ),
]
SUMS = [
    (
        "a sum of the bot",
        "UPDATE sums SET amount = amount + 1000 WHERE scope = 'bot' AND begins_at LIKE '%12:00:%'",
        "sum of bot at 2026-11-21 12:00: is -151 where -152 is right",
    ),
    (
        "a sum of a provider",
        "UPDATE sums SET begins_at = '2026-11-21 11:45:00.000000' WHERE scope = 'provider:skills'",
        "sum of provider:skills at 2026-11-21 11:45: is -61 where 0 is right",
    ),
    (
        "a deleted sum",
        "DELETE FROM sums WHERE scope = 'server:10'",
        "sum of server:10 at 2026-11-21 12:30: is 0 where -0.25 is right",
    ),
    (
        "a sum of another server",
        "INSERT INTO sums VALUES ('server:99', '2026-11-21 12:00:00.000000', -5)",
        "sum of server:99 at 2026-11-21 12:00: is -0.005 where 0 is right",
    ),
    (
        "an entry that no trigger has counted",
        entry("", "adjustment", 5000, reason="'x'"),
        "sum of bot at 2026-11-21 12:30: is -0.25 where 4.75 is right",
    ),
]
CHOICES = [
    (
        "rights that cannot be read",
        "UPDATE rights SET rights = '{\"pictures\": 11}' WHERE subject = 'role'",
        "row 10, role, 77 of rights: has rights that cannot be read",
    ),
    (
        "rights of nothing known",
        "UPDATE rights SET subject = 'planet' WHERE subject = 'role'",
        "row 10, planet, 77 of rights: “planet” is no kind of subject",
    ),
    (
        "rights of a role without an id",
        "UPDATE rights SET name = 'artists' WHERE subject = 'role'",
        "row 10, role, artists of rights: “artists” is not the name of a role",
    ),
    (
        "settings that cannot be read",
        "UPDATE servers SET settings = '{\"zones\": 7}'",
        "row 10 of servers: has settings that cannot be read",
    ),
    (
        "settings that are no JSON",
        "UPDATE servers SET settings = '{'",
        "row 10 of servers: has settings that cannot be read",
    ),
    (
        "a time zone that does not exist",
        "UPDATE servers SET settings = replace(settings, 'Asia/Tokyo', 'Asia/Atlantis')",
        "row 10 of servers: has the time zone “Asia/Atlantis”, which does not exist",
    ),
    (
        "time zones in disorder",
        'UPDATE servers SET settings = \'{"zones": [["2026-11-21T12:00:00Z", "UTC"], '
        '["2026-11-20T12:00:00Z", "UTC"]]}\'',
        "row 10 of servers: has time zones in disorder",
    ),
]


@pytest.mark.parametrize(
    ("script", "says"),
    [pytest.param(*each[1:], id=each[0]) for each in (*ENTRIES, *SHARES, *SUMS, *CHOICES)],
)
async def test_a_change_by_hand_is_found(books: Path, script: str, says: str) -> None:
    change(books, script)

    assert says in await findings(books)


async def test_right_entries_of_a_person_add_up(books: Path) -> None:
    """A right entry needs nothing but the sums that the triggers have counted."""
    change(books, entry("", "grant", 5000))

    assert await findings(books) == []


async def test_a_move_before_revision_0011_adds_up(books: Path) -> None:
    """A single entry has the difference; the migration gave it the job's later provider."""
    change(
        books,
        f"DELETE FROM ledger WHERE job_id = '{MOVED}' AND reason LIKE 'moved from%'; "
        f"UPDATE ledger SET amount = -12500 WHERE job_id = '{MOVED}' AND reason != ''; "
        f"UPDATE ledger SET provider = 'skills' WHERE job_id = '{MOVED}'",
    )

    found = await findings(books)

    assert [each for each in found if each.startswith(f"job {MOVED}")] == []
