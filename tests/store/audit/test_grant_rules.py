"""All that the audit says about grants, their shares, and entries without a job."""

from dataclasses import replace

import pytest

from bot.ledger import Account, EntryKind
from bot.rights import MOST_CREDITS
from bot.store.audit.grants import check_grants, check_shares, check_stray
from bot.store.audit.lines import EntryLine, Record
from bot.store.settlement import CORRECTED
from tests.support.records import (
    ADJUSTMENT,
    CAPTURE,
    CHARGED,
    DONE,
    FAILED,
    HOLD,
    LATER,
    LOSS,
    MEMBER,
    MOVED,
    QUEUED,
    REFUND,
    RELEASE,
    RUNNING,
    changed,
    with_entries,
    without,
)
from tests.support.rows import NOW

GRANT = EntryLine(1, None, MEMBER, EntryKind.GRANT, 5_000, NOW, NOW, granted=5_000)
FIX = EntryLine(1, None, MEMBER, EntryKind.ADJUSTMENT, -250, NOW, NOW, reason="a mistake")
# Grants pay 2.5 of 7.5.
SHARED = with_entries(
    changed(DONE, granted=2_500),
    replace(HOLD, granted=-2_500),
    replace(RELEASE, granted=2_500),
    replace(CAPTURE, granted=-2_500),
)
# A correction to 6 gives 1.5 back to the grants: the allowance pays the first 5.
CHEAPER = with_entries(
    changed(SHARED, cost=6_000),
    replace(ADJUSTMENT, amount=1_750, granted=1_500, reason=CORRECTED),
)
# Grants pay 2.5 of the first hold, and 15 of the second.
MOVED_SHARED = with_entries(
    changed(MOVED, granted=15_000),
    replace(HOLD, granted=-2_500),
    replace(MOVED.entries[1], granted=2_500),
    replace(MOVED.entries[2], granted=-15_000),
)
# Before revision 0011 one entry had the difference, and the migration gave both the last provider.
MOVED_BEFORE_0011 = without(
    with_entries(
        MOVED,
        replace(HOLD, provider="skills"),
        replace(MOVED.entries[2], amount=-12_500),
    ),
    MOVED.entries[1],
)


def refunds(record: Record) -> list[str]:
    grants = [each for each in record.entries if each.kind == EntryKind.GRANT]
    return [*check_grants(record, grants)]


@pytest.mark.parametrize("amount", [1, 7_749, 7_750])
def test_a_refund_of_up_to_the_whole_cost_is_right(amount: int) -> None:
    assert refunds(with_entries(DONE, replace(REFUND, amount=amount, granted=amount))) == []


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (
            with_entries(DONE, replace(REFUND, amount=7_751, granted=7_751)),
            ["has a grant of 7.751, and had cost 7.75"],
        ),
        (
            with_entries(DONE, replace(REFUND, reason="x")),
            ["has a grant of 7.75 with the reason “x”, which Easel does not write"],
        ),
        (
            with_entries(RUNNING, REFUND),
            ["has a grant of 7.75, and is running", "has a grant of 7.75, and had cost 0"],
        ),
        (
            with_entries(DONE, replace(REFUND, id=2)),  # before the capture
            ["has a grant of 7.75, and had cost 0"],
        ),
        (
            with_entries(DONE, REFUND, replace(REFUND, id=10)),
            ["has 2 grants where one is possible"],
        ),
        (
            with_entries(DONE, replace(REFUND, amount=0, granted=0)),
            ["has a grant of 0, which gives nothing"],
        ),
        (
            with_entries(CHARGED, replace(REFUND, amount=7_500, granted=7_500)),
            ["has a grant of 7.5, and had cost 0"],  # a loss is no cost of the member
        ),
    ],
)
def test_a_wrong_refund_has_these_findings_and_no_others(record: Record, says: list[str]) -> None:
    assert refunds(record) == says


@pytest.mark.parametrize(
    "entry",
    [
        GRANT,
        replace(GRANT, amount=1, granted=1),
        replace(GRANT, amount=MOST_CREDITS, granted=MOST_CREDITS),
        replace(GRANT, account=Account(-5, 0)),
        FIX,
        replace(FIX, amount=MOST_CREDITS),
        replace(FIX, amount=-MOST_CREDITS),
        replace(FIX, amount=1),
        replace(FIX, account=Account(0, 10)),  # of a loss
    ],
)
def test_a_right_entry_of_a_person_has_no_findings(entry: EntryLine) -> None:
    assert [*check_stray(entry)] == []


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (replace(GRANT, job_id="gone"), ["a grant of 5 for job gone, which is missing"]),
        (replace(HOLD, job_id=None), ["a hold of -7.5 without a job"]),
        (replace(GRANT, amount=0, granted=0), ["a grant of 0, which gives nothing"]),
        (replace(GRANT, amount=-1, granted=-1), ["a grant of -0.001, which gives nothing"]),
        (
            replace(GRANT, amount=MOST_CREDITS + 1, granted=MOST_CREDITS + 1),
            ["a grant of 1000000.001, which is no amount that Easel takes"],
        ),
        (
            replace(FIX, amount=-MOST_CREDITS - 1),
            ["an adjustment of -1000000.001, which is no amount that Easel takes"],
        ),
        (replace(FIX, amount=0), ["an adjustment of 0, which is no amount that Easel takes"]),
        (replace(FIX, reason=" "), ["an adjustment of -0.25 without a reason"]),
        (
            replace(FIX, granted=-1),
            ["an adjustment of -0.25 with a share of grants of -0.001 where 0 is right"],
        ),
        (
            replace(GRANT, granted=4_999),
            ["a grant of 5 with a share of grants of 4.999 where 5 is right"],
        ),
        (
            replace(GRANT, account=Account(0, 10)),
            ["a grant of 5 to user 0, who is nobody"],
        ),
        (
            replace(FIX, provider="oxen"),
            ["an adjustment of -0.25 at oxen, which has no part in it"],
        ),
        (
            replace(FIX, counted_at=LATER),
            [
                "an adjustment of -0.25 that counts at 2026-11-21 12:01:00+00:00, "
                "and was made at 2026-11-21 12:00:00+00:00"
            ],
        ),
        (replace(GRANT, details=None), ["a grant of 5 with details that cannot be read"]),
    ],
)
def test_a_wrong_entry_of_a_person_has_these_findings_and_no_others(
    entry: EntryLine, says: list[str]
) -> None:
    assert [*check_stray(entry)] == says


@pytest.mark.parametrize(
    "record",
    [
        SHARED,
        CHEAPER,
        MOVED_SHARED,
        MOVED_BEFORE_0011,
        with_entries(changed(QUEUED, granted=7_500), replace(HOLD, granted=-7_500)),
        with_entries(SHARED, replace(REFUND, provider="another")),  # `check_grants` looks at it
    ],
)
def test_right_shares_of_grants_have_no_findings(record: Record) -> None:
    assert [*check_shares(record)] == []


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (changed(QUEUED, granted=7_501), ["has a price of 7.5, of which grants pay 7.501"]),
        (changed(QUEUED, granted=-1), ["has a price of 7.5, of which grants pay -0.001"]),
        (
            changed(QUEUED, price=-5, granted=1),
            ["has a price of -0.005, of which grants pay 0.001"],
        ),
        (
            with_entries(SHARED, replace(HOLD, granted=-2_499)),
            ["has a hold of -7.5 with a share of grants of -2.499 where -2.5 is right"],
        ),
        (
            with_entries(QUEUED, replace(HOLD, provider="skills")),
            ["has a hold of -7.5 at skills, and runs at oxen"],
        ),
        (
            with_entries(SHARED, replace(RELEASE, granted=2_499)),
            ["has a release of 7.5 with a share of grants of 2.499 where 2.5 is right"],
        ),
        (
            with_entries(SHARED, replace(CAPTURE, granted=-2_499)),
            ["has a capture of -7.75 with a share of grants of -2.499 where -2.5 is right"],
        ),
        (
            with_entries(CHEAPER, replace(CHEAPER.entries[3], granted=1_499)),
            ["has an adjustment of 1.75 with a share of grants of 1.499 where 1.5 is right"],
        ),
        (
            with_entries(CHARGED, replace(LOSS, granted=-1)),
            ["has a loss of -7.5 with a share of grants of -0.001 where 0 is right"],
        ),
        (
            with_entries(FAILED, replace(RELEASE, provider="skills")),
            ["has a release of 7.5 at skills, and runs at oxen"],
        ),
        (
            with_entries(MOVED_SHARED, replace(MOVED.entries[1], granted=2_499)),
            [
                "has a hold of 7.5 “moved from oxen at 2026-11-21 12:01:00 UTC”, "
                "which is not that of the hold before"
            ],
        ),
        (
            with_entries(MOVED, replace(MOVED.entries[1], amount=7_499)),
            [
                "has a hold of 7.499 “moved from oxen at 2026-11-21 12:01:00 UTC”, "
                "which is not that of the hold before"
            ],
        ),
        (
            without(MOVED, HOLD),
            [
                "has a hold of 7.5 “moved from oxen at 2026-11-21 12:01:00 UTC”, "
                "which is not that of the hold before"
            ],
        ),
        (
            without(MOVED_SHARED, MOVED.entries[1]),
            [
                "has a hold of -20 “moved to skills at 2026-11-21 12:01:00 UTC”, "
                "and the hold before was not given back",
                "has a hold of -27.5 with a share of grants of -2.5 where -15 is right",
            ],
        ),
        (
            without(MOVED, MOVED.entries[1]),  # at another provider
            [
                "has a hold of -20 “moved to skills at 2026-11-21 12:01:00 UTC”, "
                "and the hold before was not given back",
                "has a hold of -27.5 at oxen, and runs at skills",
            ],
        ),
        (
            with_entries(MOVED_BEFORE_0011, replace(MOVED.entries[2], amount=-12_500, granted=-1)),
            [
                "has a hold of -12.5 “moved to skills at 2026-11-21 12:01:00 UTC”, "
                "and the hold before was not given back"
            ],
        ),
    ],
)
def test_wrong_shares_of_grants_have_these_findings_and_no_others(
    record: Record, says: list[str]
) -> None:
    assert [*check_shares(record)] == says


def test_a_job_without_holds_has_no_share_to_compare() -> None:
    """Its missing hold is a finding of the other rules."""
    assert [*check_shares(replace(QUEUED, entries=[]))] == []
