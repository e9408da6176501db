"""Jobs, pictures and generations that were changed by hand."""

# ruff: noqa: S608  # the statements consist of this module's constants

from pathlib import Path

import pytest

from tests.support.books import (
    CANCELED,
    DOUBTFUL,
    EMPTY,
    ESTIMATED,
    PARTIAL,
    QUEUED,
    REFUSED,
    REPORTED,
    RUNNING,
    SKILLS,
    STOPPED,
    change,
    entry,
    findings,
    of,
)

CHANGES = [
    (
        "a delivered job turned to failed",
        f"UPDATE jobs SET status = 'failed', reason = 'rejected', cost = NULL "
        f"WHERE id = '{REPORTED}'; DELETE FROM ledger WHERE {of(REPORTED, 'capture')}",
        f"job {REPORTED}: has 1 pictures, and is failed",
    ),
    (
        "a reason of a job that has succeeded",
        f"UPDATE jobs SET reason = 'rejected' WHERE id = '{REPORTED}'",
        f"job {REPORTED}: has succeeded with the reason rejected",
    ),
    (
        "a cost of a job without pictures",
        f"UPDATE jobs SET cost = 100 WHERE id = '{REFUSED}'",
        f"job {REFUSED}: has a cost, and is failed",
    ),
    (
        "with the generation turned to failed, too",
        f"UPDATE jobs SET status = 'failed', reason = 'rejected' WHERE id = '{REPORTED}'; "
        f"UPDATE generations SET state = 'failed' WHERE job_id = '{REPORTED}'",
        f"job {REPORTED}: has a capture of -7.75, and is failed",
    ),
    (
        "a failed job turned to succeeded",
        f"UPDATE jobs SET status = 'succeeded', reason = NULL, cost = 0 WHERE id = '{REFUSED}'",
        f"job {REFUSED}: has succeeded without a picture",
    ),
    (
        "a failed job that is charged",
        f"UPDATE jobs SET cost = 7500 WHERE id = '{DOUBTFUL}';"
        + entry(DOUBTFUL, "adjustment", -7500, reason="'made after the time-out: x'"),
        f"job {DOUBTFUL}: has an adjustment “made after the time-out: x”, "
        "and no such generation has succeeded",
    ),
    (
        "a job that runs again",
        f"UPDATE jobs SET status = 'running' WHERE id = '{CANCELED}'",
        f"job {CANCELED}: is running without a generation",
    ),
    (
        "a running job put back into the queue",
        f"UPDATE jobs SET status = 'queued' WHERE id = '{RUNNING}'",
        f"job {RUNNING}: is queued, and has generation 13",
    ),
    (
        "a cost without the entries",
        f"UPDATE jobs SET cost = 1 WHERE id = '{REPORTED}'",
        f"job {REPORTED}: was charged 7.75 by capture and adjustments, and cost 0.001",
    ),
    (
        "no cost",
        f"UPDATE jobs SET cost = NULL WHERE id = '{REPORTED}'",
        f"job {REPORTED}: has succeeded without a cost",
    ),
    (
        "another price",
        f"UPDATE jobs SET price = 1 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a hold of -7.5 where -0.001 is right",
    ),
    (
        "another member, and the job's entries",
        f"UPDATE jobs SET user_id = 9 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a hold in the account of user 1, server 10",
    ),
    (
        "another server than the channel's",
        f"UPDATE jobs SET guild_id = 11 WHERE id = '{QUEUED}'",
        f"job {QUEUED}: counts in server 10, and was asked for in 11",
    ),
    (
        "another month",
        f"UPDATE jobs SET created_at = '2026-10-21 12:00:00.000000' WHERE id = '{QUEUED}'",
        f"job {QUEUED}: has a hold that counts at 2026-11-21 12:00:00+00:00, and was requested at "
        "2026-10-21 12:00:00+00:00",
    ),
    (
        "an estimate called a report",
        f"UPDATE jobs SET estimated = 0 WHERE id = '{ESTIMATED}'",
        f"job {ESTIMATED}: has a reported cost, which its entries contradict",
    ),
    (
        "an overdue result that never came",
        f"UPDATE jobs SET overdue_at = settled_at WHERE id = '{EMPTY}'",
        f"job {EMPTY}: has an overdue result at 2026-11-21 12:01:00+00:00, "
        "and a charge for one never",
    ),
    (
        "a status that is none",
        f"UPDATE jobs SET status = 'lost' WHERE id = '{QUEUED}'",
        f"job {QUEUED}: “lost” is no status",
    ),
    (
        "a picture taken away",
        f"DELETE FROM job_pictures WHERE job_id = '{PARTIAL}' AND position = 0",
        f"job {PARTIAL}: has pictures at the positions 1",
    ),
    (
        "a picture taken away from the end",
        f"DELETE FROM job_pictures WHERE job_id = '{PARTIAL}' AND position = 1",
        f"job {PARTIAL}: has a capture of -15 as an estimate where -7.5 is right",
    ),
    (
        "an end turned to failed",
        f"UPDATE generations SET state = 'failed' WHERE job_id = '{SKILLS}'",
        f"job {SKILLS}: has succeeded without a generation that has succeeded",
    ),
    (
        "an end before the settlement",
        f"UPDATE generations SET state = 'failed' WHERE job_id = '{RUNNING}'",
        f"job {RUNNING}: is running, and has generation 13 that is failed",
    ),
    (
        "a generation given to another job",
        f"UPDATE generations SET job_id = '{STOPPED}' WHERE job_id = '{SKILLS}'",
        f"job {STOPPED}: runs at oxen, and has generation 12 at skills",
    ),
    (
        "an end that is none",
        f"UPDATE generations SET state = 'lost' WHERE job_id = '{REPORTED}'",
        f"job {REPORTED}: has generation 1 with the end “lost”, which is none",
    ),
    (
        "a settlement at no time",
        f"UPDATE jobs SET settled_at = NULL WHERE id = '{REFUSED}'",
        f"job {REFUSED}: is failed without a time of settlement",
    ),
    (
        "a failure for no reason",
        f"UPDATE jobs SET reason = NULL WHERE id = '{REFUSED}'",
        f"job {REFUSED}: has failed without a reason",
    ),
]


@pytest.mark.parametrize(
    ("script", "says"), [pytest.param(*plant[1:], id=plant[0]) for plant in CHANGES]
)
async def test_a_job_that_was_changed_by_hand_is_found(books: Path, script: str, says: str) -> None:
    change(books, script)

    assert says in await findings(books)
