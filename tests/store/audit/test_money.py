"""Entries that were changed by hand."""

# ruff: noqa: S608  # the statements consist of this module's constants

from pathlib import Path

import pytest

from tests.support.books import (
    CORRECTED,
    DOUBTFUL,
    EMPTY,
    ESTIMATED,
    MOVED,
    OVERDUE,
    QUEUED,
    REFUSED,
    REPORTED,
    SKILLS,
    STOPPED,
    change,
    entry,
    findings,
    of,
)

CHANGES = [
    (
        "a forged adjustment that the job agrees with",
        entry(REPORTED, "adjustment", 7750, reason="'goodwill'")
        + f"; UPDATE jobs SET cost = 0 WHERE id = '{REPORTED}'",
        f"job {REPORTED}: has an adjustment of 7.75 with the reason “goodwill”, "
        "which Easel does not write",
    ),
    (
        "a second hold with its opposite",
        entry(QUEUED, "hold", -1, reason="'x'") + ";" + entry(QUEUED, "hold", 1, reason="'y'"),
        f"job {QUEUED}: has a hold of -0.001 with the reason “x”, which Easel does not write",
    ),
    (
        "a hold that gives",
        f"UPDATE ledger SET amount = 7500 WHERE {of(QUEUED, 'hold')}; "
        f"UPDATE jobs SET price = -7500 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a hold of 7.5, which gives instead of taking",
    ),
    (
        "a smaller charge that the job agrees with",
        f"UPDATE ledger SET amount = -1 WHERE {of(REPORTED, 'capture')}; "
        f"UPDATE jobs SET cost = 1 WHERE id = '{REPORTED}'",
        f"job {REPORTED}: has a capture of -0.001 for a cost of 0.001, and usd 0.0775 make 7.75",
    ),
    (
        "other details",
        f'UPDATE ledger SET details = \'{{"usd": "0.01"}}\' WHERE {of(REPORTED, "capture")}',
        f"job {REPORTED}: has a capture of -7.75 for a cost of 7.75, and usd 0.01 make 1",
    ),
    (
        "other details of skills.video",
        f'UPDATE ledger SET details = \'{{"total": "2"}}\' WHERE {of(SKILLS, "capture")}',
        f"job {SKILLS}: has a capture of -23 for a cost of 23, and total 2 make 2",
    ),
    (
        "other details of a correction",
        f'UPDATE ledger SET details = \'{{"usd": "1"}}\' WHERE {of(CORRECTED, "adjustment")}',
        f"job {CORRECTED}: has an adjustment of -0.25 for a cost of 7.75, and usd 1 make 100",
    ),
    (
        "other details of an overdue charge",
        f'UPDATE ledger SET details = \'{{"usd": "1"}}\' '
        f"WHERE {of(OVERDUE, 'adjustment')} AND reason LIKE '%overdue-1'",
        f"job {OVERDUE}: has an adjustment of -7.75 for a cost of 7.75, and usd 1 make 100",
    ),
    (
        "no details",
        f"UPDATE ledger SET details = '{{}}' WHERE {of(REPORTED, 'capture')}",
        f"job {REPORTED}: has a capture of -7.75 without the figures of oxen",
    ),
    (
        "details that are a list",
        f"UPDATE ledger SET details = '[1]' WHERE {of(REPORTED, 'capture')}",
        f"job {REPORTED}: has a capture of -7.75 with details that cannot be read",
    ),
    (
        "details that are no numbers",
        f'UPDATE ledger SET details = \'{{"usd": "much"}}\' WHERE {of(REPORTED, "capture")}',
        f"job {REPORTED}: has a capture of -7.75 with details that cannot be read",
    ),
    *(
        (
            f"details of {figure}",
            f'UPDATE ledger SET details = \'{{"usd": "{figure}"}}\' '
            f"WHERE {of(REPORTED, 'capture')}",
            f"job {REPORTED}: has a capture of -7.75 with details that cannot be read",
        )
        for figure in ("NaN", "Infinity", "1e999999")
    ),
    (
        "details of a hold",
        f'UPDATE ledger SET details = \'{{"usd": "1"}}\' WHERE {of(QUEUED, "hold")}',
        f"job {QUEUED}: has a hold of -7.5 with details",
    ),
    (
        "an estimate that is too small",
        f"UPDATE ledger SET amount = -100 WHERE {of(ESTIMATED, 'capture')}; "
        f"UPDATE jobs SET cost = 100 WHERE id = '{ESTIMATED}'",
        f"job {ESTIMATED}: has a capture of -0.1 as an estimate where -7.5 is right",
    ),
    (
        "another member in the entries",
        f"UPDATE ledger SET user_id = 3 WHERE job_id = '{QUEUED}'",
        f"job {QUEUED}: has a hold in the account of user 3, server 10",
    ),
    (
        "a sum in the wrong account",
        f"UPDATE ledger SET user_id = 3 WHERE job_id = '{QUEUED}'",
        "account of user 3, server 10: has a balance of -7.5 where 0 is right",
    ),
    (
        "another server in an entry",
        f"UPDATE ledger SET server_id = 0 WHERE {of(REPORTED, 'release')}",
        f"job {REPORTED}: has a release in the account of user 1, server 0",
    ),
    (
        "another month in an entry",
        f"UPDATE ledger SET counted_at = '2026-12-01 00:00:00.000000' "
        f"WHERE {of(REPORTED, 'capture')}",
        f"job {REPORTED}: has a capture that counts at 2026-12-01 00:00:00+00:00, and was "
        "requested at 2026-11-21 12:00:00+00:00",
    ),
    (
        "a loss in the account of a member",
        f"UPDATE ledger SET user_id = 1 WHERE {of(DOUBTFUL, 'loss')}",
        f"job {DOUBTFUL}: has a loss in the account of user 1, server 10",
    ),
    (
        "a loss of another amount",
        f"UPDATE ledger SET amount = -1 WHERE {of(DOUBTFUL, 'loss')}",
        f"job {DOUBTFUL}: has a loss of -0.001 of an unknown outcome where -7.5 is right",
    ),
    (
        "a loss for another reason",
        f"UPDATE ledger SET reason = 'gone' WHERE {of(DOUBTFUL, 'loss')}",
        f"job {DOUBTFUL}: has a loss of -7.5 with the reason “gone”, which Easel does not write",
    ),
    (
        "a loss that gives",
        f"UPDATE ledger SET amount = 7500, reason = 'empty', details = '{{\"usd\": \"0.075\"}}', "
        f"job_id = '{EMPTY}' WHERE {of(DOUBTFUL, 'loss')}",
        f"job {EMPTY}: has a loss of 7.5, which gives instead of taking",
    ),
    (
        "a loss of a job that has a known outcome",
        f"UPDATE jobs SET reason = 'rejected' WHERE id = '{DOUBTFUL}'",
        f"job {DOUBTFUL}: has a loss of an unknown outcome, and is failed with the reason rejected",
    ),
    (
        "the newest entries deleted",
        "DELETE FROM ledger WHERE id = (SELECT max(id) FROM ledger)",
        "ledger: the newest 1 entries are missing",
    ),
    (
        "another time of a hold",
        f"UPDATE ledger SET created_at = '2026-11-21 11:59:00.000000' WHERE {of(QUEUED, 'hold')}",
        f"job {QUEUED}: has a hold of -7.5 at 2026-11-21 11:59:00+00:00, "
        "and the request was at 2026-11-21 12:00:00+00:00",
    ),
    (
        "another reason",
        f"UPDATE ledger SET reason = 'x' WHERE {of(REPORTED, 'release')}",
        f"job {REPORTED}: has a release of 7.5 with the reason “x”, which Easel does not write",
    ),
    (
        "a deleted hold",
        f"DELETE FROM ledger WHERE {of(QUEUED, 'hold')}",
        f"job {QUEUED}: has 0 hold entries where one of -7.5 is right",
    ),
    (
        "a deleted hold of a change of the model",
        f"DELETE FROM ledger WHERE {of(MOVED, 'hold')} AND reason != ''",
        f"job {MOVED}: has a hold of -7.5 where -20 is right",
    ),
    (
        "a release of another amount",
        f"UPDATE ledger SET amount = 7000 WHERE {of(REFUSED, 'release')}",
        f"job {REFUSED}: has a release of 7 where 7.5 is right",
    ),
    (
        "a deleted release",
        f"DELETE FROM ledger WHERE {of(REFUSED, 'release')}",
        f"job {REFUSED}: has 0 release entries where one of 7.5 is right",
    ),
    (
        "an entry of another kind",
        f"UPDATE ledger SET kind = 'adjustment' WHERE {of(REPORTED, 'capture')}",
        f"job {REPORTED}: has 0 capture entries where one is right",
    ),
    (
        "a kind that is none",
        f"UPDATE ledger SET kind = 'gift' WHERE {of(CORRECTED, 'adjustment')}",
        f"job {CORRECTED}: has a gift of -0.25, and is succeeded",
    ),
    (
        "a generation of an unknown outcome that no loss reports",
        f"UPDATE generations SET job_id = '{DOUBTFUL}' WHERE job_id = '{STOPPED}'",
        f"job {DOUBTFUL}: has generations of an unknown outcome, and its losses contradict them",
    ),
    (
        "a loss for generations that were found, and there is none",
        f"UPDATE ledger SET reason = 'unknown outcome, found', amount = 7500 "
        f"WHERE {of(DOUBTFUL, 'loss')}",
        f"job {DOUBTFUL}: has generations of an unknown outcome, and its losses contradict them",
    ),
]


@pytest.mark.parametrize(
    ("script", "says"), [pytest.param(*plant[1:], id=plant[0]) for plant in CHANGES]
)
async def test_an_entry_that_was_changed_by_hand_is_found(
    books: Path, script: str, says: str
) -> None:
    change(books, script)

    assert says in await findings(books)
