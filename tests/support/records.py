"""Jobs with all their rows as the audit reads them: a right one for each outcome."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import Account, EntryKind
from bot.store.audit.lines import ESTIMATED, EntryLine, GenerationLine, JobLine, Record
from bot.store.ledger import left_reason, moved_reason
from bot.store.settlement import CORRECTED, FOUND, OVERDUE, UNKNOWN_OUTCOME
from tests.support.rows import NOW

LATER = NOW + timedelta(minutes=1)
MUCH_LATER = NOW + timedelta(minutes=30)
MEMBER = Account(1, 10)
REPORTED = {"usd": "0.0775"}  # 7.75 credits

JOB = JobLine(
    *("job", JobStatus.SUCCEEDED, MEMBER, "oxen"),
    count=1,
    price=7_500,
    cost=7_750,
    estimated=False,
    reason=None,
    created_at=NOW,
    settled_at=LATER,
)
HOLD = EntryLine(1, "job", MEMBER, EntryKind.HOLD, -7_500, NOW, NOW, "oxen")
RELEASE = replace(HOLD, id=2, kind=EntryKind.RELEASE, amount=7_500, created_at=LATER)
CAPTURE = replace(RELEASE, id=3, kind=EntryKind.CAPTURE, amount=-7_750, details=REPORTED)
ADJUSTMENT = replace(CAPTURE, id=4, kind=EntryKind.ADJUSTMENT, created_at=MUCH_LATER)
REFUND = EntryLine(
    *(9, "job", MEMBER, EntryKind.GRANT, 7_750, MUCH_LATER, MUCH_LATER),
    granted=7_750,
    reason="refund",
)
LOSS = replace(
    CAPTURE,
    id=5,
    kind=EntryKind.LOSS,
    account=Account(0, 10),
    amount=-7_500,
    details=ESTIMATED,
)
MADE = GenerationLine(1, "oxen", "remote", JobStatus.SUCCEEDED)
OPEN = replace(MADE, state=None)

DONE = Record(JOB, [HOLD, RELEASE, CAPTURE], [MADE], [0])


def changed(record: Record, **columns: Any) -> Record:  # noqa: ANN401  # of a job
    return replace(record, job=replace(record.job, **columns))


def with_entries(record: Record, *more: EntryLine) -> Record:
    """Return a record with these entries: those of the same ids are replaced."""
    known = {each.id: each for each in (*record.entries, *more)}
    return replace(record, entries=[known[number] for number in sorted(known)])


def without(record: Record, *gone: EntryLine) -> Record:
    numbers = {each.id for each in gone}
    return replace(record, entries=[each for each in record.entries if each.id not in numbers])


FAILED = replace(
    changed(DONE, status=JobStatus.FAILED, reason=Reason.REJECTED, cost=None),
    entries=[HOLD, RELEASE],
    generations=[],
    outputs=[],
)
CANCELED = changed(FAILED, status=JobStatus.CANCELED, reason=None)
QUEUED = replace(
    changed(FAILED, status=JobStatus.QUEUED, reason=None, settled_at=None), entries=[HOLD]
)
SUBMITTING = changed(QUEUED, status=JobStatus.SUBMITTING)
RUNNING = replace(changed(QUEUED, status=JobStatus.RUNNING, running_at=NOW), generations=[OPEN])
ESTIMATE = with_entries(
    changed(DONE, cost=7_500, estimated=True), replace(CAPTURE, amount=-7_500, details=ESTIMATED)
)
CORRECTION = with_entries(
    changed(ESTIMATE, cost=7_750, estimated=False),
    replace(ADJUSTMENT, amount=-250, reason=CORRECTED),
)
LATE = replace(  # two of three pictures came after the failure
    changed(FAILED, count=3, price=22_500, cost=15_250, overdue_at=MUCH_LATER),
    entries=[
        replace(HOLD, amount=-22_500),
        replace(RELEASE, amount=22_500),
        replace(
            ADJUSTMENT,
            id=4,
            amount=-7_500,
            created_at=LATER,
            reason=f"{OVERDUE}remote",
            details=ESTIMATED,
        ),
        replace(ADJUSTMENT, id=5, amount=-7_750, reason=f"{OVERDUE}remote-2"),
    ],
    generations=[
        MADE,
        replace(MADE, id=2, remote_id="remote-2"),
        replace(MADE, id=3, remote_id="remote-3", state=JobStatus.FAILED),
    ],
    outputs=[0, 1],
)
CHARGED = replace(  # a failed generation that the provider has charged
    with_entries(FAILED, replace(LOSS, reason="remote")),
    generations=[replace(MADE, state=JobStatus.FAILED)],
)
DOUBTFUL = with_entries(
    changed(FAILED, reason=Reason.DOUBTFUL), replace(LOSS, reason=UNKNOWN_OUTCOME)
)
FOUND_LATER = replace(
    with_entries(DOUBTFUL, replace(LOSS, id=6, amount=7_500, reason=FOUND)), generations=[OPEN]
)
MOVED = with_entries(
    changed(QUEUED, provider="skills", price=20_000),
    replace(HOLD, id=2, amount=7_500, created_at=LATER, reason=left_reason("oxen", LATER)),
    replace(
        HOLD,
        id=3,
        amount=-20_000,
        created_at=LATER,
        provider="skills",
        reason=moved_reason("skills", LATER),
    ),
)
ERASED = replace(DONE, outputs=[])
ERASED = changed(
    replace(ERASED, entries=[replace(each, account=Account(-5, 10)) for each in ERASED.entries]),
    account=Account(-5, 10),
)
RIGHT: dict[str, Record] = {
    "succeeded": DONE,
    "failed": FAILED,
    "canceled": CANCELED,
    "queued": QUEUED,
    "submitting": SUBMITTING,
    "running": RUNNING,
    "with an estimated cost": ESTIMATE,
    "with a corrected cost": CORRECTION,
    "with overdue pictures": LATE,
    "with a charge that nobody owes": CHARGED,
    "with an unknown outcome": DOUBTFUL,
    "with an unknown outcome that was found": FOUND_LATER,
    "moved to another model": MOVED,
    "of a deleted member": ERASED,
    "refunded": with_entries(DONE, REFUND),
}


def late(number: int, **columns: object) -> EntryLine:
    """Return the overdue charge of LATE with this id, changed."""
    entry = next(each for each in LATE.entries if each.id == number)
    return replace(entry, **columns)  # type: ignore[arg-type]  # any columns
