"""Quotas: who may use the bot, and for how many credits. Pure: sums are arguments."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.errors import UserError
from bot.jobs import Job, Option
from bot.ledger import AmountText

MAX_LOSSES = 5  # jobs of one member ...
LOSS_WINDOW = timedelta(hours=1)  # ... within this time
WARN_AT = 80  # per cent of a limit


@dataclass(frozen=True, slots=True)
class Sum:
    """A limit of credits in a period, and what is left of it, in thousandths.

    `resets_at` is None if waiting brings nothing. `least` is the rest of the limit, among those of
    one request, that has least: a request for so much would be accepted.
    """

    limit: int
    left: int
    resets_at: datetime | None
    least: int | None = None

    def has_passed(self, price: int) -> bool:
        """Return whether 80 % of the limit are used after a hold of `price`."""
        return self.limit > 0 and (self.limit - self.left + price) * 100 >= self.limit * WARN_AT


class NotEnough(UserError):
    """A hold of `price` for `count` pictures is refused, because `left` is less."""

    def __init__(
        self, text: str, price: int, count: int, left: Sum, *, wait: str, **values: object
    ) -> None:
        least = left.left if left.least is None else left.least
        fits = max(least, 0) * count // price if price else 0
        one = "One picture fits: set count to 1. " if count > 1 else ""
        possible = {0: "", 1: one}.get(fits, "{fits} pictures fit: set count to {fits}. ")
        super().__init__(
            f"{text} {possible}{wait}".rstrip(),
            price=AmountText(price),
            left=AmountText(left.left),
            count=count,
            fits=fits,
            time=0 if left.resets_at is None else _seconds(left.resets_at),
            **values,
        )


class NotEnoughCredits(NotEnough):
    def __init__(self, price: int, count: int, left: Sum, *, by_operator: bool = False) -> None:
        begin = "One picture costs" if count == 1 else "{count} pictures cost"
        wait = "Your credits are renewed <t:{time}:R>."
        whom = "the bot's operator" if by_operator else "a manager of this server"
        super().__init__(
            begin + " {price}, and you have {left} left.",
            price,
            count,
            left,
            wait=wait if left.resets_at else f"Ask {whom} for more.",
        )


class BudgetExhausted(NotEnough):
    def __init__(self, price: int, count: int, left: Sum) -> None:
        super().__init__(
            "This bot's budget for the month is not enough: it has {left} left, and this costs "
            "{price}.",
            price,
            count,
            left,
            wait="Try again <t:{time}:R>." if left.resets_at else "Ask the bot's operator.",
        )


class ProviderBudgetExhausted(NotEnough):
    def __init__(self, price: int, count: int, left: Sum, service: str) -> None:
        super().__init__(
            "This bot's budget at {service} for the month is not enough: it has {left} left, and "
            "this costs {price}.",
            price,
            count,
            left,
            wait="Choose a model of another service, or "
            + ("try again <t:{time}:R>." if left.resets_at else "ask the bot's operator."),
            service=service,
        )


class ServerBudgetExhausted(NotEnough):
    def __init__(self, price: int, count: int, left: Sum) -> None:
        super().__init__(
            "This server's budget is not enough: it has {left} left, and this costs {price}.",
            price,
            count,
            left,
            wait="The budget is renewed <t:{time}:R>."
            if left.resets_at
            else "Ask a manager of this server.",
        )


class TooManyJobsHere(UserError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            "The limit of jobs in progress is {limit} for your roles in this server. Wait until "
            "one ends, or stop one with /cancel.",
            limit=limit,
        )


class CooldownLasts(UserError):
    def __init__(self, seconds: int, ends_at: datetime) -> None:
        super().__init__(
            "The time between two requests is {seconds} s for your roles in this server. Try again "
            "<t:{time}:R>.",
            seconds=seconds,
            time=_seconds(ends_at),
        )


class TooManyJobs(UserError):
    def __init__(self, *, limit: int, held: int, used: int) -> None:
        super().__init__(
            "You may have {limit} jobs in progress at once. They hold {held}, and you have used "
            "{used} this month. Wait until one ends, or stop one with /cancel.",
            limit=limit,
            held=AmountText(held),
            used=AmountText(used),
        )


class TooManyLosses(UserError):
    def __init__(self, *, losses: int, ends_at: datetime) -> None:
        super().__init__(
            "{losses} of your jobs failed within an hour, and the bot paid for them. "
            "Try again <t:{time}:R>.",
            losses=losses,
            time=_seconds(ends_at),
        )


class TooManyInputBytes(UserError):
    def __init__(self, *, used: int, new: int, frees_at: datetime) -> None:
        super().__init__(
            "These pictures have {new} MB. You have attached {used} MB in the last 24 hours, and "
            "{limit} MB are possible. Attach smaller copies, or wait: the first of your pictures "
            "no longer counts <t:{time}:R>.",
            new=_megabytes(new),
            used=_megabytes(used),
            limit=_megabytes(INPUT_BYTES),
            time=_seconds(frees_at),
        )


class MemberBlocked(UserError):
    def __init__(self) -> None:
        super().__init__("You are blocked from using this bot. Ask its operator.")


class ServerNotAllowed(UserError):
    def __init__(self) -> None:
        super().__init__("This bot is not enabled here. Ask its operator to enable it.")


class UnsafeNotAllowed(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The safety checker cannot be switched off here. Leave safety_checker out."
        )


class UnsafeForManagers(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The safety checker can be switched off only in an age-restricted channel, and only "
            "by members who may manage the server. Leave safety_checker out."
        )


class OthersPicture(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Pictures of other members are not edited here, because many artists do not want that. "
            "Attach a picture of your own."
        )


INPUT_BYTES = 400 * 1000 * 1000  # of one member's input pictures in INPUT_PERIOD
INPUT_PERIOD = timedelta(hours=24)


def check_input_bytes(used: int, new: int, *, frees_at: datetime) -> None:
    """Raise TooManyInputBytes; `used` is the sum of INPUT_PERIOD, `frees_at` when it decreases.

    `new` is 0 for pictures of unknown size, which are refused only if nothing is left.
    """
    if used >= INPUT_BYTES or used + new > INPUT_BYTES:
        raise TooManyInputBytes(used=used, new=new, frees_at=frees_at)


@dataclass(frozen=True, slots=True)
class Member:
    """The member who acts, with the roles and permissions of the interaction.

    `server_id` is that of the account: 0 in direct messages, and in servers that did not install
    the bot. `age_restricted` describes the channel. `parent_channel_id` is the channel of the
    thread in which the member acts, 0 outside of threads: whoever is in a thread sees that channel.
    """

    user_id: int
    server_id: int = 0
    role_ids: frozenset[int] = frozenset()
    may_manage: bool = False  # Manage Server
    may_moderate: bool = False  # Manage Messages in the channel
    age_restricted: bool = False
    parent_channel_id: int = 0


@dataclass(frozen=True, slots=True)
class PictureOrigin:
    """The origin of an input picture that is not attached to the request itself.

    `author_id` is the member who posted the picture; `job` has the picture as a result, if Easel
    made it. `channel_id` is the channel of the request.
    """

    channel_id: int
    author_id: int | None = None
    job: Job | None = None


def may_see(member: Member, channel_id: int, job: Job) -> bool:
    """Return whether a member who acts in a channel may see a job: the request and the pictures.

    The requester may; everybody else only a public result that is not hidden, in its channel, or in
    a thread of that channel.
    """
    if job.user_id == member.user_id:
        return True
    undelivered = job.delivered_at is not None and job.result_message_id is None
    if job.route.private or job.hidden_at is not None or undelivered:
        return False
    return job.result_channel in {channel_id, member.parent_channel_id} - {0}


def may_edit(member: Member, picture: PictureOrigin, *, edit_others: bool) -> bool:
    """Return whether a member may use a picture as input.

    Own pictures, and results of Easel that the member may see; pictures of others by the setting.
    """
    if picture.job is not None:
        return may_see(member, picture.channel_id, picture.job)
    return picture.author_id == member.user_id or edit_others


@dataclass(frozen=True, slots=True)
class Quotas:
    """The operator's limits. Amounts are thousandths of a credit; None is no limit."""

    servers: frozenset[int] = frozenset()  # empty: all, and direct messages
    blocked_users: frozenset[int] = frozenset()
    budget: int | None = None  # of the whole bot, in a month
    provider_budgets: Mapping[str, int] = field(default_factory=dict)  # by provider, in a month
    services: Mapping[str, str] = field(default_factory=dict)  # their names, by provider
    allowance: int | None = None  # of one member over all servers, in a month
    max_jobs: int | None = None  # unsettled ones of a member, over all servers
    allow_unsafe: bool = False
    user_install: bool = False  # members may install the bot for themselves
    edit_others: bool = False  # pictures that other members have posted may be edited

    def is_limited(self, providers: Iterable[str]) -> bool:
        """Return whether a limit bounds what the bot, or each of its members, can use."""
        limited = self.budget is not None or self.allowance is not None
        return limited or {*providers} <= {*self.provider_budgets}

    def check_member(self, member: Member) -> None:
        """Raise MemberBlocked or ServerNotAllowed if this member is not served here."""
        if member.user_id in self.blocked_users:
            raise MemberBlocked
        if self.servers and member.server_id not in self.servers:
            if member.server_id == 0 and self.user_install:
                return
            raise ServerNotAllowed

    def check_safety(self, member: Member, options: Mapping[str, Option]) -> None:
        """Raise UnsafeNotAllowed or UnsafeForManagers if the safety checker has to stay on."""
        if options.get("safety_checker") is not False:
            return
        is_served = member.server_id in self.servers if self.servers else member.server_id != 0
        if not (self.allow_unsafe and is_served):
            raise UnsafeNotAllowed
        if not (member.may_manage and member.age_restricted):
            raise UnsafeForManagers

    def check_edit(self, member: Member, picture: PictureOrigin) -> None:
        """Raise OthersPicture if the member may not edit a picture."""
        if not may_edit(member, picture, edit_others=self.edit_others):
            raise OthersPicture

    def check_jobs(self, active: int, *, held: int, used: int) -> None:
        """Raise TooManyJobs; `active` is the number of unsettled jobs with the new one."""
        if self.max_jobs is not None and active > self.max_jobs:
            raise TooManyJobs(limit=self.max_jobs, held=held, used=used)

    def check_losses(self, losses: Sequence[datetime], now: datetime) -> None:
        """Raise TooManyLosses; `losses` are the times of the member's jobs with a loss, in order.

        The member waits until fewer than MAX_LOSSES of them are within LOSS_WINDOW.
        """
        recent = [moment for moment in losses if moment > now - LOSS_WINDOW]
        if len(recent) >= MAX_LOSSES:
            ends_at = recent[-MAX_LOSSES] + LOSS_WINDOW
            raise TooManyLosses(losses=len(recent), ends_at=ends_at)


def _seconds(moment: datetime) -> int:
    """Return Unix seconds for Discord's `<t:…>`, rounded up: nothing is allowed before."""
    return math.ceil(moment.timestamp())


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f}"
