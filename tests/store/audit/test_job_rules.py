"""All that the audit says about the columns, pictures and generations of one job."""

from dataclasses import replace

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import Account
from bot.store.audit.lines import Record
from bot.store.audit.money import check_money
from bot.store.audit.outcome import check_outcome
from tests.support.books import charges
from tests.support.records import (
    CANCELED,
    DONE,
    ERASED,
    FAILED,
    LATE,
    LATER,
    MADE,
    OPEN,
    QUEUED,
    RIGHT,
    RUNNING,
    SUBMITTING,
    changed,
)
from tests.support.rows import NOW

IN_DIRECT_MESSAGES = Account(1, 0)
LOST = replace(MADE, state="lost")


@pytest.mark.parametrize("record", RIGHT.values(), ids=[*RIGHT])
def test_a_right_job_has_no_findings(record: Record) -> None:
    assert [*check_outcome(record), *check_money(record, charges())] == []
    assert [*check_money(record, None)] == []


@pytest.mark.parametrize(
    "record",
    [
        changed(DONE, guild_id=10),
        changed(DONE, account=IN_DIRECT_MESSAGES, guild_id=10),  # by a user install
        changed(DONE, account=IN_DIRECT_MESSAGES),
        replace(DONE, outputs=[1, 0]),
        replace(DONE, generations=[OPEN, MADE, replace(MADE, state="failed")]),
        changed(CANCELED, reason=Reason.UNAVAILABLE),  # of a submit that was postponed
        replace(changed(FAILED, reason=Reason.NO_PICTURE), generations=[MADE]),
        replace(FAILED, generations=[OPEN]),
        changed(DONE, delivered_at=LATER),
        changed(QUEUED, count=2),
    ],
)
def test_what_is_rare_and_right_has_no_findings(record: Record) -> None:
    assert [*check_outcome(record)] == []


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (changed(DONE, status="lost"), ["“lost” is no status"]),
        (changed(DONE, count=0), ["asks for 0 pictures"]),
        (changed(DONE, guild_id=11), ["counts in server 10, and was asked for in 11"]),
        (
            changed(DONE, account=Account(1, 1), guild_id=10),
            ["counts in server 1, and was asked for in 10"],
        ),
        (replace(DONE, outputs=[1]), ["has pictures at the positions 1"]),
        (replace(DONE, outputs=[2, 0]), ["has pictures at the positions 0, 2"]),
        (replace(DONE, outputs=[0, 0]), ["has pictures at the positions 0, 0"]),
        (
            changed(RUNNING, provider="skills"),
            ["runs at skills, and has generation 1 at oxen"],
        ),
        (
            replace(DONE, generations=[MADE, replace(LOST, id=2)]),
            ["has generation 2 with the end “lost”, which is none"],
        ),
        (
            replace(RUNNING, generations=[OPEN, replace(MADE, id=2)]),
            ["is running, and has generation 2 that is succeeded"],
        ),
        (changed(QUEUED, settled_at=NOW), ["is queued, and has a time of settlement"]),
        (changed(RUNNING, cost=1), ["is running, and has a cost"]),
        (changed(SUBMITTING, delivered_at=NOW), ["is submitting, and has a time of delivery"]),
        (changed(QUEUED, overdue_at=NOW), ["is queued, and has an overdue result"]),
        (replace(RUNNING, outputs=[0]), ["is running, and has pictures"]),
        (replace(RUNNING, generations=[]), ["is running without a generation"]),
        (changed(RUNNING, running_at=None), ["is running since no time"]),
        (
            replace(SUBMITTING, generations=[replace(OPEN, id=7), replace(OPEN, id=8)]),
            ["is submitting, and has generation 7"],
        ),
        (changed(QUEUED, running_at=NOW), ["is queued, and was running before"]),
        (changed(DONE, settled_at=None), ["is succeeded without a time of settlement"]),
        (changed(CANCELED, settled_at=None), ["is canceled without a time of settlement"]),
        (changed(FAILED, reason=None), ["has failed without a reason"]),
        (changed(DONE, reason="rejected"), ["has succeeded with the reason rejected"]),
        (replace(DONE, outputs=[]), ["has succeeded without a picture"]),
        (
            replace(DONE, generations=[replace(MADE, state="failed")]),
            ["has succeeded without a generation that has succeeded"],
        ),
        (changed(DONE, cost=None), ["has succeeded without a cost"]),
        (replace(ERASED, outputs=[0]), ["belongs to a deleted member, and has pictures"]),
        (replace(LATE, outputs=[]), ["has an overdue result without a picture"]),
        (
            replace(LATE, generations=[]),
            ["has an overdue result without a generation that has succeeded"],
        ),
        (changed(LATE, cost=None), ["has an overdue result without a cost"]),
        (replace(FAILED, outputs=[0, 1]), ["has 2 pictures, and is failed"]),
        (
            replace(FAILED, generations=[replace(MADE, state="failed"), replace(MADE, id=2)]),
            ["has generation 2 that has succeeded, and is failed"],
        ),
        (changed(CANCELED, cost=0), ["has a cost, and is canceled"]),
        (
            changed(CANCELED, status=JobStatus.SUCCEEDED),
            [
                "has succeeded without a picture",
                "has succeeded without a generation that has succeeded",
                "has succeeded without a cost",
            ],
        ),
    ],
)
def test_a_wrong_job_has_these_findings_and_no_others(record: Record, says: list[str]) -> None:
    assert [*check_outcome(record)] == says
