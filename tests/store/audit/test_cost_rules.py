"""All that the audit says about the cost of one job: its capture, estimates and figures."""

from dataclasses import replace

import pytest

from bot.ledger import EntryKind
from bot.store.audit.lines import ESTIMATED, Record
from bot.store.audit.money import check_money
from tests.support.books import charges
from tests.support.records import (
    CAPTURE,
    CHARGED,
    CORRECTION,
    DONE,
    ERASED,
    ESTIMATE,
    FAILED,
    LATE,
    LOSS,
    MADE,
    MUCH_LATER,
    changed,
    late,
    with_entries,
    without,
)

Case = tuple[Record, list[str]]


def found(record: Record, *rates: int) -> list[str]:
    return [*check_money(record, charges(*rates))]


def estimated(record: Record, amount: int) -> Record:
    """Return a job that has succeeded for an estimated cost."""
    capture = next(each for each in record.entries if each.kind == EntryKind.CAPTURE)
    changed_capture = replace(capture, amount=-amount, details=ESTIMATED)
    return with_entries(changed(record, cost=amount, estimated=True), changed_capture)


def reported(usd: str, *, generations: int = 1) -> Record:
    """Return a job with a cost of 7.75 by these figures of the provider."""
    made = [replace(MADE, id=number) for number in range(1, generations + 1)]
    record = with_entries(DONE, replace(CAPTURE, details={"usd": usd}))
    return replace(record, generations=made)


CAPTURES: list[Case] = [
    (
        with_entries(FAILED, replace(CAPTURE, amount=0)),
        ["has a capture of 0, and is failed"],
    ),
    (
        without(DONE, CAPTURE),
        ["has 0 capture entries where one is right", "adds up to 0 where -7.75 is right"],
    ),
    (
        with_entries(DONE, replace(CAPTURE, id=4)),
        [
            "has 2 capture entries where one is right",
            "was charged 15.5 by capture and adjustments, and cost 7.75",
            "adds up to -15.5 where -7.75 is right",
        ],
    ),
    (
        with_entries(DONE, replace(CAPTURE, reason="x", created_at=MUCH_LATER)),
        [
            "has a capture of -7.75 with the reason “x”, which Easel does not write",
            "has a capture of -7.75 at 2026-11-21 12:30:00+00:00, "
            "and the settlement was at 2026-11-21 12:01:00+00:00",
        ],
    ),
    (
        with_entries(changed(DONE, cost=-1), replace(CAPTURE, amount=1, details={"usd": "0"})),
        [
            "has a capture of 0.001, which gives instead of taking",
            "has a capture of 0.001 for a cost of -0.001, and usd 0 make 0",
        ],
    ),
    (changed(DONE, estimated=True), ["has an estimated cost, which its entries contradict"]),
    (changed(ESTIMATE, estimated=False), ["has a reported cost, which its entries contradict"]),
    (
        changed(CORRECTION, estimated=True),
        ["has an estimated cost, which its entries contradict"],
    ),
    (
        changed(DONE, cost=None),
        [
            "was charged 7.75 by capture and adjustments, and cost 0",
            "adds up to -7.75 where 0 is right",
        ],
    ),
]
COSTS: list[Case] = [
    (
        reported("0.077506"),
        ["has a capture of -7.75 for a cost of 7.75, and usd 0.077506 make 7.751"],
    ),
    (
        reported("0.077494"),
        ["has a capture of -7.75 for a cost of 7.75, and usd 0.077494 make 7.749"],
    ),
    (
        reported("0.077511", generations=2),
        ["has a capture of -7.75 for a cost of 7.75, and usd 0.077511 make 7.751"],
    ),
    (
        with_entries(DONE, replace(CAPTURE, details={"total": "7.75"})),
        ["has a capture of -7.75 without the figures of oxen"],
    ),
    (
        with_entries(DONE, replace(CAPTURE, details=None)),
        ["has a capture of -7.75 with details that cannot be read"],
    ),
    (estimated(DONE, 7_501), ["has a capture of -7.501 as an estimate where -7.5 is right"]),
    (
        estimated(changed(DONE, count=2), 7_500),
        ["has a capture of -7.5 as an estimate where -3.75 is right"],
    ),
    (
        estimated(replace(DONE, outputs=[0, 1]), 15_000),
        ["has a capture of -15 as an estimate where -7.5 is right"],
    ),
    (
        estimated(changed(ERASED, count=2), 7_000),
        ["has a capture of -7 as an estimate where -3.75 or -7.5 is right"],
    ),
    (
        estimated(replace(changed(DONE, count=3), outputs=[0, 1]), 2_500),
        ["has a capture of -2.5 as an estimate where -5 is right"],
    ),
    (
        with_entries(LATE, late(4, amount=-7_502), late(5, amount=-7_748)),
        [
            "has an adjustment of -7.502 as an estimate where -7.5 or -15 is right",
            "has an adjustment of -7.748 for a cost of 7.748, and usd 0.0775 make 7.75",
        ],
    ),
    (
        replace(LATE, outputs=[]),
        ["has an adjustment of -7.5 as an estimate where none is right"],
    ),
]


@pytest.mark.parametrize(
    ("record", "says"),
    [*CAPTURES, *COSTS],
)
def test_a_wrong_cost_has_these_findings_and_no_others(record: Record, says: list[str]) -> None:
    assert found(record) == says


@pytest.mark.parametrize(
    "record",
    [
        reported("0.077505"),  # half of a thousandth is rounded
        reported("0.077495"),
        reported("0.07751", generations=2),
        with_entries(changed(DONE, cost=0), replace(CAPTURE, amount=0, details={"usd": "0"})),
        estimated(replace(changed(DONE, count=4), outputs=[0, 1, 2]), 5_625),
        estimated(changed(ERASED, count=2), 3_750),
        estimated(changed(ERASED, count=2), 7_500),
        with_entries(CHARGED, replace(LOSS, reason="remote", details={"usd": "0.075"})),
        changed(ESTIMATE, count=0),
        with_entries(  # one of two pictures was made in time
            changed(
                estimated(replace(changed(DONE, count=3), outputs=[0, 1]), 2_500),
                cost=5_000,
                overdue_at=MUCH_LATER,
            ),
            replace(late(4), amount=-2_500, created_at=MUCH_LATER),
        ),
    ],
)
def test_what_is_rare_and_right_has_no_findings(record: Record) -> None:
    assert found(record) == []


def test_each_known_rate_is_accepted() -> None:
    record = reported("0.155")
    says = "has a capture of -7.75 for a cost of 7.75, and usd 0.155 make 15.5"

    assert found(record) == [says]
    assert found(record, 50) == []
    assert found(record, 60) == [f"{says} or 9.3"]


def test_the_figures_of_a_provider_without_rates_are_not_compared() -> None:
    record = changed(reported("1"), provider="another")
    elsewhere = [replace(each, provider="another") for each in record.entries]

    assert found(replace(record, entries=elsewhere)) == []


def test_without_the_rates_an_estimate_is_compared_all_the_same() -> None:
    assert [*check_money(reported("1"), None)] == []
    assert [*check_money(estimated(DONE, 7_400), None)] == [
        "has a capture of -7.4 as an estimate where -7.5 is right"
    ]
