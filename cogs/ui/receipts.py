"""Receipts: the cost of a job, the released part of the hold, and the rest of the credits."""

from collections.abc import Iterator

from bot.catalog import ModelSpec
from bot.delivery import Receipt
from bot.jobs import Job
from cogs.ui.numbers import counted, credits_in
from cogs.ui.wording import Fact, Receipts


def cost_of(job: Job, receipt: Receipt | None = None) -> str:
    """Return the cost of a settled job, with a word before one that is estimated."""
    cost = credits_in(job.cost or 0, job.locale)
    estimated = job.estimated or (receipt is not None and receipt.estimated)
    return Fact.ESTIMATED_CREDITS.format(credits=cost) if estimated else cost


def left_in(receipt: Receipt, job: Job) -> Iterator[str]:
    """Yield what is left to the requester; nothing without a limit, or where others read."""
    if receipt.left is None:
        return
    if receipt.left < 0:
        yield Receipts.BELOW_ZERO.format(credits=credits_in(-receipt.left, job.locale))
    else:
        yield Receipts.LEFT.format(credits=credits_in(receipt.left, job.locale))


def released(job: Job, spec: ModelSpec, receipt: Receipt) -> str:
    """Return what was released of the hold of a job without pictures, and what stays reserved."""
    amount = job.price - receipt.reserved
    text = counted(Receipts.RELEASED, amount, job.locale) if amount else Receipts.NOTHING_YET
    if not receipt.reserved:
        return text
    reserved = credits_in(receipt.reserved, job.locale)
    return f"{text} {Receipts.RESERVED.format(credits=reserved, service=spec.service)}"
