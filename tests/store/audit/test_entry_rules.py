"""All that the audit says about the entries of one job."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.ledger import Account
from bot.store.audit.lines import ESTIMATED, Record
from bot.store.audit.money import check_money
from bot.store.settlement import CORRECTED, FOUND, OVERDUE, UNKNOWN_OUTCOME
from tests.support.books import charges
from tests.support.records import (
    ADJUSTMENT,
    CANCELED,
    CHARGED,
    CORRECTION,
    DONE,
    DOUBTFUL,
    FAILED,
    FOUND_LATER,
    HOLD,
    LATE,
    LATER,
    LOSS,
    MOVED,
    MUCH_LATER,
    OPEN,
    QUEUED,
    REFUND,
    RELEASE,
    RUNNING,
    changed,
    late,
    with_entries,
    without,
)
from tests.support.rows import NOW

Case = tuple[Record, list[str]]


def found(record: Record) -> list[str]:
    return [*check_money(record, charges())]


HOLDS: list[Case] = [
    (
        replace(QUEUED, entries=[HOLD, replace(HOLD, id=2)]),
        [
            "has 2 hold entries where one of -7.5 is right",
            "adds up to -15 where -7.5 is right",
        ],
    ),
    (
        replace(QUEUED, entries=[]),
        [
            "has 0 hold entries where one of -7.5 is right",
            "adds up to 0 where -7.5 is right",
        ],
    ),
    (
        with_entries(QUEUED, replace(HOLD, amount=-7_000)),
        ["has a hold of -7 where -7.5 is right", "adds up to -7 where -7.5 is right"],
    ),
    (
        with_entries(changed(QUEUED, price=-1), replace(HOLD, amount=1)),
        ["has a hold of 0.001, which gives instead of taking"],
    ),
    (
        with_entries(QUEUED, replace(HOLD, details={"usd": "1"})),
        ["has a hold of -7.5 with details"],
    ),
    (
        with_entries(QUEUED, replace(HOLD, created_at=LATER)),
        [
            "has a hold of -7.5 at 2026-11-21 12:01:00+00:00, "
            "and the request was at 2026-11-21 12:00:00+00:00"
        ],
    ),
    (
        with_entries(MOVED, replace(MOVED.entries[1], created_at=MUCH_LATER)),
        [
            "has a hold of 7.5 with the reason “moved from oxen at 2026-11-21 12:01:00 UTC”, "
            "which Easel does not write"
        ],
    ),
]
RELEASES: list[Case] = [
    (
        with_entries(RUNNING, replace(RELEASE, amount=0)),
        ["has a release of 0, and is running"],
    ),
    (
        with_entries(FAILED, replace(RELEASE, id=3)),
        ["has 2 release entries where one of 7.5 is right", "adds up to 7.5 where 0 is right"],
    ),
    (
        without(CANCELED, RELEASE),
        ["has 0 release entries where one of 7.5 is right", "adds up to -7.5 where 0 is right"],
    ),
    (
        with_entries(FAILED, replace(RELEASE, amount=7_501)),
        ["has a release of 7.501 where 7.5 is right", "adds up to 0.001 where 0 is right"],
    ),
    (
        with_entries(FAILED, replace(RELEASE, created_at=NOW, reason="x", details=ESTIMATED)),
        [
            "has a release of 7.5 with details",
            "has a release of 7.5 at 2026-11-21 12:00:00+00:00, "
            "and the settlement was at 2026-11-21 12:01:00+00:00",
            "has a release of 7.5 with the reason “x”, which Easel does not write",
        ],
    ),
]
ADJUSTMENTS: list[Case] = [
    (
        with_entries(RUNNING, replace(ADJUSTMENT, amount=0, reason=CORRECTED)),
        ["has an adjustment of 0, and is running"],
    ),
    (
        with_entries(CORRECTION, replace(ADJUSTMENT, amount=-251, reason=CORRECTED)),
        [
            "has an adjustment of -0.251 for a cost of 7.751, and usd 0.0775 make 7.75",
            "was charged 7.751 by capture and adjustments, and cost 7.75",
            "adds up to -7.751 where -7.75 is right",
        ],
    ),
    (
        with_entries(DONE, replace(ADJUSTMENT, amount=0, reason="x")),
        ["has an adjustment of 0 with the reason “x”, which Easel does not write"],
    ),
    (
        with_entries(LATE, late(5, reason=f"{OVERDUE}remote-3")),
        [
            "has an adjustment “made after the time-out: remote-3”, "
            "and no such generation has succeeded"
        ],
    ),
    (
        changed(LATE, overdue_at=LATER),
        [
            "has an overdue result at 2026-11-21 12:01:00+00:00, "
            "and a charge for one at 2026-11-21 12:30:00+00:00"
        ],
    ),
    (
        changed(LATE, overdue_at=None),
        ["has an overdue result never, and a charge for one at 2026-11-21 12:30:00+00:00"],
    ),
    (
        changed(FAILED, overdue_at=LATER),
        ["has an overdue result at 2026-11-21 12:01:00+00:00, and a charge for one never"],
    ),
    (changed(LATE, cost=15_251), ["adds up to -15.25 where -15.251 is right"]),
]
LOSSES: list[Case] = [
    (
        with_entries(RUNNING, replace(LOSS, reason="remote")),
        ["has a loss of -7.5, and is running"],
    ),
    (
        with_entries(CHARGED, replace(LOSS, reason="remote", amount=-7_499)),
        ["has a loss of -7.499 as an estimate where -7.5 is right"],
    ),
    (
        replace(
            CHARGED,
            generations=[*CHARGED.generations, replace(OPEN, id=2), replace(OPEN, id=3)],
        ),
        ["has a loss of -7.5 as an estimate where -2.5 is right"],
    ),
    (
        with_entries(CHARGED, replace(LOSS, reason="remote", amount=0, details={"usd": "0"})),
        ["has a loss of 0, which gives instead of taking"],
    ),
    (
        with_entries(CHARGED, replace(LOSS, reason="other")),
        ["has a loss of -7.5 with the reason “other”, which Easel does not write"],
    ),
    (
        with_entries(DOUBTFUL, replace(LOSS, reason=UNKNOWN_OUTCOME, amount=-7_499)),
        ["has a loss of -7.499 of an unknown outcome where -7.5 is right"],
    ),
    (
        with_entries(DOUBTFUL, replace(LOSS, reason=UNKNOWN_OUTCOME, details={})),
        ["has a loss of -7.5 of an unknown outcome where -7.5 is right"],
    ),
    (
        with_entries(FOUND_LATER, replace(LOSS, id=6, amount=7_501, reason=FOUND)),
        ["has a loss of 7.501 of an unknown outcome where 7.5 is right"],
    ),
    (
        changed(DOUBTFUL, reason=Reason.REJECTED),
        ["has a loss of an unknown outcome, and is failed with the reason rejected"],
    ),
    (
        replace(DOUBTFUL, generations=[OPEN]),
        ["has generations of an unknown outcome, and its losses contradict them"],
    ),
    (
        replace(FOUND_LATER, generations=[]),
        ["has generations of an unknown outcome, and its losses contradict them"],
    ),
    (
        without(FOUND_LATER, LOSS),
        ["has generations of an unknown outcome, and its losses contradict them"],
    ),
]
PLACES: list[Case] = [
    (
        with_entries(QUEUED, replace(HOLD, account=Account(2, 10))),
        ["has a hold in the account of user 2, server 10"],
    ),
    (
        with_entries(CHARGED, replace(LOSS, reason="remote", account=Account(1, 10))),
        ["has a loss in the account of user 1, server 10"],
    ),
    (
        with_entries(CHARGED, replace(LOSS, reason="remote", account=Account(0, 0))),
        ["has a loss in the account of user 0, server 0"],
    ),
    (
        with_entries(DONE, replace(REFUND, account=Account(2, 10))),
        ["has a grant in the account of user 2, server 10"],
    ),
    (
        with_entries(CORRECTION, replace(CORRECTION.entries[3], counted_at=MUCH_LATER)),
        [
            "has an adjustment that counts at 2026-11-21 12:30:00+00:00, "
            "and was requested at 2026-11-21 12:00:00+00:00"
        ],
    ),
    (
        with_entries(QUEUED, replace(HOLD, id=2, kind="gift", amount=0)),
        ["has a gift of 0, and is queued"],
    ),
]


@pytest.mark.parametrize(
    ("record", "says"),
    [*HOLDS, *RELEASES, *ADJUSTMENTS, *LOSSES, *PLACES],
)
def test_wrong_entries_have_these_findings_and_no_others(record: Record, says: list[str]) -> None:
    assert found(record) == says


def test_the_time_of_a_hold_for_another_model_is_part_of_its_reason() -> None:
    """By the second: the reason has no fractions."""
    entry = MOVED.entries[2]
    later = replace(entry, created_at=entry.created_at + timedelta(microseconds=999_999))

    assert found(with_entries(MOVED, later)) == []


def test_a_hold_of_nothing_is_right_for_a_price_of_nothing() -> None:
    assert found(with_entries(changed(QUEUED, price=0), replace(HOLD, amount=0))) == []
