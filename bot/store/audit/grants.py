"""The rules of grants, of the share of each entry that they pay, and of entries without a job."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.ledger import Charges, EntryKind, credits_text, share_of_cost
from bot.rights import MOST_CREDITS
from bot.store.audit.lines import EntryLine, Record
from bot.store.audit.words import at, named, strange

REFUND = "refund"  # the reason of the grant that a job's cost was given back by
LEFT, MOVED = "moved from ", "moved to "  # the reasons of holds for another model begin so


def check_grants(
    record: Record, grants: Sequence[EntryLine], _: Charges | None = None
) -> Iterator[str]:
    """Check the refund of a job: one, of what was charged until then at most."""
    job = record.job
    for entry in grants:
        if entry.reason != REFUND:
            yield strange(entry)
        if not job.settled:
            yield f"has {named(entry)}, and is {job.status}"
        paid = paid_until(record, entry)
        if entry.amount > paid:
            yield f"has {named(entry)}, and had cost {credits_text(paid)}"
        yield from (f"has {text}" for text in _without_job(entry, entry.amount))
    if len(grants) > 1:
        yield f"has {len(grants)} grants where one is possible"


def check_stray(entry: EntryLine) -> Iterator[str]:
    """Check an entry without a job, which a grant or an adjustment may be, or of a missing job."""
    if entry.job_id is not None:
        yield f"{named(entry)} for job {entry.job_id}, which is missing"
    elif entry.kind == EntryKind.GRANT:
        yield from _without_job(entry, entry.amount)
    elif entry.kind == EntryKind.ADJUSTMENT:
        if not entry.reason.strip():
            yield f"{named(entry)} without a reason"
        yield from _without_job(entry, 0)
    else:
        yield f"{named(entry)} without a job"


def _without_job(entry: EntryLine, share: int) -> Iterator[str]:
    """Check the columns of an entry that a person made; `share` is the right one."""
    if entry.kind == EntryKind.GRANT and entry.amount <= 0:
        yield f"{named(entry)}, which gives nothing"
    elif not 0 < abs(entry.amount) <= MOST_CREDITS:
        yield f"{named(entry)}, which is no amount that Easel takes"
    if entry.account.user_id == 0 and entry.kind == EntryKind.GRANT:
        yield f"{named(entry)} to user 0, who is nobody"
    if entry.granted != share:
        yield f"{named(entry)}{_share(entry, share)}"
    if entry.provider:
        yield f"{named(entry)} at {entry.provider}, which has no part in it"
    if entry.counted_at != entry.created_at:
        counts, made = at(entry.counted_at), at(entry.created_at)
        yield f"{named(entry)} that counts {counts}, and was made {made}"
    if entry.details is None:
        yield f"{named(entry)} with details that cannot be read"


def check_shares(record: Record) -> Iterator[str]:
    """Check the provider of each entry of a job, and the part of it that grants give or pay."""
    job = record.job
    if not 0 <= job.granted <= max(job.price, 0):
        yield (
            f"has a price of {credits_text(job.price)}, of which grants pay "
            f"{credits_text(job.granted)}"
        )
        return
    yield from _holds(record)
    for entry in record.entries:
        if entry.kind in (EntryKind.HOLD, EntryKind.GRANT):
            continue
        if entry.provider != job.provider:
            yield f"has {named(entry)} at {entry.provider}, and runs at {job.provider}"
        if entry.granted != (right := _right_share(record, entry)):
            yield f"has {named(entry)}{_share(entry, right)}"


def _holds(record: Record) -> Iterator[str]:
    """Check the holds in their order: for another model, the former one is given back.

    Before revision 0011 a single entry had the difference, and grants paid nothing.
    """
    job, held = record.job, None
    for entry in (each for each in record.entries if each.kind == EntryKind.HOLD):
        if entry.reason.startswith(LEFT):
            if held is None or _values(entry) != _values(held, -1):
                yield f"has {named(entry)} “{entry.reason}”, which is not that of the hold before"
            held = None
        elif held is not None and entry.reason.startswith(MOVED):
            if entry.granted or entry.provider != held.provider:
                yield f"has {named(entry)} “{entry.reason}”, and the hold before was not given back"
            held = replace(held, amount=held.amount + entry.amount)
        else:
            held = entry
    if held is not None and (held.granted, held.provider) != (-job.granted, job.provider):
        yield (
            f"has {named(held)}{_share(held, -job.granted)}"
            if held.granted != -job.granted
            else f"has {named(held)} at {held.provider}, and runs at {job.provider}"
        )


def _values(entry: EntryLine, sign: int = 1) -> tuple[int, int, str]:
    return sign * entry.amount, sign * entry.granted, entry.provider


def _right_share(record: Record, entry: EntryLine) -> int:
    job = record.job
    if entry.kind == EntryKind.RELEASE:
        return job.granted
    if entry.kind not in (EntryKind.CAPTURE, EntryKind.ADJUSTMENT):
        return 0
    cost = paid_until(record, entry)
    before = share_of_cost(cost + entry.amount, job.price, job.granted)
    return before - share_of_cost(cost, job.price, job.granted)


def _share(entry: EntryLine, right: int) -> str:
    return (
        f" with a share of grants of {credits_text(entry.granted)} where "
        f"{credits_text(right)} is right"
    )


def paid_until(record: Record, last: EntryLine) -> int:
    """Return the cost after an entry."""
    used = (EntryKind.CAPTURE, EntryKind.ADJUSTMENT)
    return -sum(e.amount for e in record.entries if e.kind in used and e.id <= last.id)
