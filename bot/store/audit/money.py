"""The rules of a job's entries: kinds, amounts, reasons, times and account.

Amounts are recomputed from the providers' own figures in `details`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import CREDIT, Account, Charges, EntryKind, credits_text
from bot.pseudonyms import is_pseudonym
from bot.store.audit.grants import check_grants, check_shares, paid_until
from bot.store.audit.lines import ESTIMATED, EntryLine, Record
from bot.store.audit.words import account_name, at, named, strange, with_article
from bot.store.ledger import left_reason, moved_reason
from bot.store.settlement import CORRECTED, FOUND, OVERDUE, UNKNOWN_OUTCOME

ByKind = Mapping[str, Sequence[EntryLine]]
Rule = Callable[[Record, Sequence[EntryLine], Charges | None], Iterator[str]]


def check_money(record: Record, charges: Charges | None) -> Iterator[str]:
    """Return the findings about the entries of one job. Without `charges`, no rate is known."""
    by_kind: defaultdict[str, list[EntryLine]] = defaultdict(list)
    for entry in record.entries:
        by_kind[entry.kind].append(entry)
    for kind, rule in RULES.items():
        yield from rule(record, by_kind.pop(kind, []), charges)
    for kind in sorted(by_kind):  # words that are no kind, and kinds that nothing writes
        yield from _none(record, by_kind[kind])
    yield from _sums(record)
    yield from check_shares(record)
    for entry in record.entries:
        yield from _misplaced(record, entry)


def _holds(record: Record, holds: Sequence[EntryLine], _: Charges | None) -> Iterator[str]:
    """Check the holds: one of the request, and one with a reason for each change of the model."""
    job, first = record.job, [entry for entry in holds if not entry.reason]
    held, right = sum(entry.amount for entry in holds), credits_text(-job.price)
    if len(first) != 1:
        yield f"has {len(first)} hold entries where one of {right} is right"
    elif held != -job.price:
        yield f"has a hold of {credits_text(held)} where {right} is right"
    for entry in holds:
        yield from _plain(entry)
        if not entry.reason:
            yield from _at(entry, job.created_at, "the request")
            if entry.amount > 0:
                yield f"has a hold of {credits_text(entry.amount)}, which gives instead of taking"
        elif not _is_move(entry):
            yield strange(entry)


def _is_move(entry: EntryLine) -> bool:
    for prefix, reason in (("moved to ", moved_reason), ("moved from ", left_reason)):
        model = entry.reason.removeprefix(prefix).partition(" at ")[0]
        if entry.reason == reason(model, entry.created_at):
            return True
    return False


def _releases(record: Record, releases: Sequence[EntryLine], _: Charges | None) -> Iterator[str]:
    job = record.job
    if not job.settled:
        yield from _none(record, releases)
        return
    right = credits_text(job.price)
    if len(releases) != 1:
        yield f"has {len(releases)} release entries where one of {right} is right"
    elif releases[0].amount != job.price:
        yield f"has a release of {credits_text(releases[0].amount)} where {right} is right"
    for entry in releases:
        yield from _plain(entry)
        yield from _at(entry, job.settled_at, "the settlement")
        if entry.reason:
            yield strange(entry)


def _captures(
    record: Record, captures: Sequence[EntryLine], charges: Charges | None
) -> Iterator[str]:
    job = record.job
    if job.status != JobStatus.SUCCEEDED:
        yield from _none(record, captures)
        return
    if len(captures) != 1:
        yield f"has {len(captures)} capture entries where one is right"
        return
    (entry,) = captures
    if entry.reason:
        yield strange(entry)
    if entry.amount > 0:
        yield f"has a capture of {credits_text(entry.amount)}, which gives instead of taking"
    yield from _at(entry, job.settled_at, "the settlement")
    yield from _charged(record, entry, -entry.amount, charges)
    corrected = any(each.reason == CORRECTED for each in record.entries)
    estimated = entry.details == ESTIMATED and not corrected
    if job.estimated != estimated:
        cost = "an estimated" if job.estimated else "a reported"
        yield f"has {cost} cost, which its entries contradict"


def _adjustments(
    record: Record, adjustments: Sequence[EntryLine], charges: Charges | None
) -> Iterator[str]:
    job = record.job
    if not job.settled:
        yield from _none(record, adjustments)
        return
    remote_ids = {each.remote_id for each in record.made}
    overdue = [entry for entry in adjustments if entry.reason.startswith(OVERDUE)]
    for entry in adjustments:
        if entry.reason == CORRECTED:
            yield from _charged(record, entry, paid_until(record, entry), charges)
        elif entry.reason.startswith(OVERDUE):
            if entry.reason.removeprefix(OVERDUE) not in remote_ids:
                yield f"has an adjustment “{entry.reason}”, and no such generation has succeeded"
            yield from _charged(record, entry, -entry.amount, charges)
        else:
            yield strange(entry)
    newest = max((entry.created_at for entry in overdue), default=None)
    if job.overdue_at != newest:
        yield f"has an overdue result {at(job.overdue_at)}, and a charge for one {at(newest)}"


def _charged(record: Record, entry: EntryLine, cost: int, charges: Charges | None) -> Iterator[str]:
    """Check a cost against the details of its entry."""
    if entry.details == ESTIMATED:
        right = _estimates(record, entry)
        if cost not in right:
            listed = " or ".join(credits_text(-each) for each in right) or "none"
            yield f"has {named(entry)} as an estimate where {listed} is right"
        return
    figures = entry.figures
    if figures is None:
        yield f"has {named(entry)} with details that cannot be read"
        return
    rates = None if charges is None else charges.get(record.job.provider)
    if rates is None:
        return  # the provider states no figures, or no rate is known
    possible = [each for rate in rates if (each := rate(figures)) is not None]
    if not possible:
        yield f"has {named(entry)} without the figures of {record.job.provider}"
    # Each generation's cost was rounded to a thousandth, and then added.
    elif all(abs(each * CREDIT - cost) > Decimal(len(record.made)) / 2 for each in possible):
        given = ", ".join(f"{name} {text}" for name, text in (entry.details or {}).items())
        sums = " or ".join(credits_text(round(each * CREDIT)) for each in possible)
        yield f"has {named(entry)} for a cost of {credits_text(cost)}, and {given} make {sums}"


def _estimates(record: Record, entry: EntryLine) -> list[int]:
    """Return the price of the pictures, for any number of them if more were made overdue.

    Of a loss, the price of a generation.
    """
    job, count = record.job, max(record.job.count, 1)
    if entry.kind == EntryKind.LOSS:  # of one generation
        return [job.price // max(len(record.generations), 1)]
    is_erased = is_pseudonym(job.account.user_id)  # with its pictures
    known = entry.kind == EntryKind.CAPTURE and job.overdue_at is None and not is_erased
    most = count if is_erased else min(len(record.outputs), count)
    return [job.price * made // count for made in range(most if known else 1, most + 1)]


def _sums(record: Record) -> Iterator[str]:
    job = record.job
    used = [
        each for each in record.entries if each.kind in (EntryKind.CAPTURE, EntryKind.ADJUSTMENT)
    ]
    charged = -sum(each.amount for each in used)
    if job.status == JobStatus.SUCCEEDED and used and charged != (job.cost or 0):
        yield (
            f"was charged {credits_text(charged)} by capture and adjustments, "
            f"and cost {credits_text(job.cost or 0)}"
        )
    apart = (EntryKind.LOSS, EntryKind.GRANT)
    total = sum(entry.amount for entry in record.entries if entry.kind not in apart)
    if total != job.expected:
        yield f"adds up to {credits_text(total)} where {credits_text(job.expected)} is right"


def _misplaced(record: Record, entry: EntryLine) -> Iterator[str]:
    job = record.job
    is_loss = entry.kind == EntryKind.LOSS
    account = Account(0, job.account.server_id) if is_loss else job.account
    if entry.account != account:
        yield f"has {with_article(entry.kind)} in the account of {account_name(entry.account)}"
    if entry.counted_at != job.created_at and entry.kind != EntryKind.GRANT:
        yield (
            f"has {with_article(entry.kind)} that counts {at(entry.counted_at)}, and was requested "
            f"{at(job.created_at)}"
        )


def _none(record: Record, entries: Sequence[EntryLine]) -> Iterator[str]:
    return (f"has {named(entry)}, and is {record.job.status}" for entry in entries)


def _losses(record: Record, losses: Sequence[EntryLine], charges: Charges | None) -> Iterator[str]:
    """Check the charges that no member owes: of a generation, or of an unknown outcome."""
    job = record.job
    if not job.settled:
        yield from _none(record, losses)
        return
    remote_ids = {each.remote_id for each in record.generations}
    found = any(entry.reason == FOUND for entry in losses)
    for entry in losses:
        if entry.reason in (UNKNOWN_OUTCOME, FOUND):
            right = job.price if entry.reason == FOUND else -job.price
            if entry.amount != right or entry.details != ESTIMATED:
                text = f"has {named(entry)} of an unknown outcome"
                yield f"{text} where {credits_text(right)} is right"
        elif entry.reason in remote_ids:
            if entry.amount >= 0:
                yield f"has {named(entry)}, which gives instead of taking"
            yield from _charged(record, entry, -entry.amount, charges)
        else:
            yield strange(entry)
    unknown = any(entry.reason == UNKNOWN_OUTCOME for entry in losses)
    if unknown and job.reason != Reason.DOUBTFUL:
        yield f"has a loss of an unknown outcome, and is {job.status} with the reason {job.reason}"
    if found != (unknown and bool(record.generations)):
        yield "has generations of an unknown outcome, and its losses contradict them"


def _plain(entry: EntryLine) -> Iterator[str]:
    if entry.details != {}:
        yield f"has {named(entry)} with details"


def _at(entry: EntryLine, right: object, of: str) -> Iterator[str]:
    if entry.created_at != right:
        yield f"has {named(entry)} {at(entry.created_at)}, and {of} was {at(right)}"


RULES: Mapping[str, Rule] = {
    EntryKind.HOLD: _holds,
    EntryKind.RELEASE: _releases,
    EntryKind.CAPTURE: _captures,
    EntryKind.ADJUSTMENT: _adjustments,
    EntryKind.GRANT: check_grants,
    EntryKind.LOSS: _losses,
}
