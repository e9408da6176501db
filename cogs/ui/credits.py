"""The replies of `/credits` to a manager: accounts, grants, limits, tiers and reports."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from discord import ui

from bot.catalog import Catalog
from bot.jobs import Job
from bot.quotas import Member, may_see
from bot.rights import ALL_MODELS, Rights, Subject
from bot.store.reports import Sums
from bot.studio.balances import BalanceLine
from bot.studio.credit_reports import Report
from bot.studio.credits import Given, LimitSet, MemberCredits, Origin
from bot.studio.tiers import Tier, TierTaken
from cogs.ui import wording
from cogs.ui.numbers import credits_in, limit_in
from cogs.ui.panel import ago, gallery, panel, prompt_of
from cogs.ui.text import listing, mention, plain, shorten, word
from cogs.ui.wording import STATES, Credits, Limits, Tiers, plural

LISTED = 10  # members, models or days of a report
PROMPT = 80
LONGEST_ROLES = 300  # characters of their mentions
LONGEST_TABLE = 1000  # characters: a message has 4,000, and a report three tables


def member_view(
    of: Member,
    found: MemberCredits,
    *,
    reader: Member,
    channel_id: int,
    present: bool,
    locale: str | None,
) -> ui.LayoutView:
    """Return the account of a member; `present` is false for one who has left the server."""
    usage = found.usage
    left = Credits.UNLIMITED_LEFT
    if usage.left is not None:
        left = Credits.LEFT.format(left=credits_in(usage.left, locale))
    facts = [
        left,
        Credits.HELD.format(held=credits_in(usage.held, locale)),
        Credits.USED.format(used=credits_in(usage.used, locale)),
        Credits.GRANTED.format(granted=credits_in(usage.granted, locale)),
    ]
    if usage.reserved_until is not None:
        until = int(usage.reserved_until.timestamp())
        reserved = credits_in(usage.reserved, locale)
        facts.insert(2, Credits.RESERVED.format(reserved=reserved, until=until))
    allowance = Credits.NO_ALLOWANCE
    if found.allowance is not None and found.origin is not None:
        limit = limit_in(found.allowance, locale)
        allowance = Credits.ALLOWANCE.format(limit=limit, origin=_origin(found.origin))
    renewed = Credits.MONTH_ENDS if found.allowance is None else Credits.RENEWED
    rest = [allowance, renewed.format(resets=int(usage.resets_at.timestamp()))]
    if found.operator_is_lower:
        rest.append(Credits.OPERATOR_IS_LOWER)
    jobs = [_job(job, reader, channel_id, locale) for job in found.jobs]
    return panel(
        Credits.MEMBER.format(member=mention(of.user_id)),
        *([] if present else [Credits.LEFT_SERVER.format(member=mention(of.user_id))]),
        "\n".join(facts),
        "\n".join(rest),
        "\n".join([Credits.JOBS, *jobs]) if jobs else Credits.NO_JOBS,
    )


def _origin(origin: Origin) -> str:
    match origin.subject:
        case Subject.MEMBER:
            return Credits.OWN
        case Subject.ROLE:
            listed = [f"<@&{name}>" for name in origin.names]
            return Credits.ROLES.format(roles=listing(listed, LONGEST_ROLES))
    return Credits.DEFAULT


def _job(job: Job, reader: Member, channel_id: int, locale: str | None) -> str:
    """Return a line about a job: of one that the reader may not see, only the cost and the id."""
    cost = cost_in(job, locale)
    if not may_see(reader, channel_id, job):
        return Credits.PRIVATE_JOB.format(cost=cost, job=job.id)
    return Credits.JOB.format(
        state=STATES[job.status],
        time=ago(job.settled_at or job.created_at),
        prompt=plain(prompt_of(job), PROMPT),
        cost=cost,
        job=job.id,
    )


def cost_in(job: Job, locale: str | None) -> str:
    """Return the cost of a job; the price that is held while the job is in progress."""
    amount = job.cost if job.status.settled else job.price
    return credits_in(amount, locale) if amount else Credits.FREE


def job_choice(
    job: Job, reader: Member, channel_id: int, name_of: Callable[[int], str], locale: str | None
) -> str:
    """Return a job as a choice of a completion: at most 100 characters."""
    facts = [name_of(job.user_id), cost_in(job, locale), job.id]
    if may_see(reader, channel_id, job):
        facts.append(prompt_of(job))
    return shorten(" · ".join(facts), 100)


def grant_view(given: Given, *, present: bool, locale: str | None) -> ui.LayoutView:
    """Return the answer to a grant, or to a refund, of which `given` has the job."""
    member, amount = mention(given.user_id), credits_in(given.amount, locale)
    text = Credits.GRANT.format(member=member, amount=amount)
    if given.job is not None:
        text = Credits.REFUND.format(member=member, amount=amount, job=given.job.id)
    parts = [text, Credits.GRANTS_LEFT.format(granted=credits_in(given.granted, locale))]
    if not present:
        parts.append(Credits.LEFT_SERVER.format(member=member))
    if given.job is not None:
        parts.append(Credits.BUDGETS_STAY)
    return panel("\n".join(parts))


def allowance_view(
    subject: Subject, name: str, done: LimitSet, *, locale: str | None
) -> ui.LayoutView:
    """Return the allowance of a subject, and what a change of it means."""
    whose = Credits.OF_DEFAULT
    if subject is Subject.MEMBER:
        whose = Credits.OF_MEMBER.format(member=mention(name))
    elif subject is Subject.ROLE:
        whose = Credits.OF_ROLE.format(role=f"<@&{name}>")
    if done.limit is None:
        text = Credits.REMOVED if done.changed else Credits.NOT_SET
        parts = [text.format(whose=whose)]
    else:
        text = Credits.SET if done.changed else Credits.SHOWN
        parts = [text.format(whose=whose, limit=limit_in(done.limit, locale))]
    if subject is Subject.MEMBER:
        parts += _left(name, done, locale)
    elif done.changed and done.lowered:
        parts.append(Credits.LOWERED)
    if done.operator_is_lower:
        parts.append(Credits.OPERATOR_IS_LOWER)
    return panel("\n".join(parts))


def _left(name: str, done: LimitSet, locale: str | None) -> Iterator[str]:
    if done.left is None or done.resets_at is None:
        return
    resets, member = int(done.resets_at.timestamp()), mention(name)
    if done.left > 0:
        left = credits_in(done.left, locale)
        yield Credits.NOW_LEFT.format(member=member, left=left, resets=resets)
    elif done.limit is None or done.limit.amount:
        yield Credits.NOTHING_LEFT.format(member=member, resets=resets)


def budget_view(done: LimitSet, *, locale: str | None) -> ui.LayoutView:
    text = Credits.BUDGET_SET if done.changed else Credits.BUDGET
    limit = Limits.UNLIMITED if done.limit is None else limit_in(done.limit, locale)
    used = credits_in(done.used, locale)
    parts = [text.format(limit=limit)]
    if done.left is None or done.resets_at is None:
        parts.append(Credits.NO_BUDGET_USED.format(used=used))
    else:
        left, resets = credits_in(done.left, locale), int(done.resets_at.timestamp())
        parts.append(Credits.BUDGET_USED.format(used=used, left=left, resets=resets))
        if done.left <= 0:
            parts.append(Credits.BUDGET_NOTHING_LEFT)
    if done.operator_is_lower:
        parts.append(Credits.OPERATOR_IS_LOWER)
    return panel("\n".join(parts))


def tiers_view(tiers: Iterable[Tier], catalog: Catalog, *, locale: str | None) -> ui.LayoutView:
    return panel(Tiers.TITLE, *(_tier(each, catalog, locale) for each in tiers), Tiers.HINT)


def _tier(tier: Tier, catalog: Catalog, locale: str | None) -> str:
    subjects = [f"<@&{role}>" for role in tier.roles[:LISTED]]
    if tier.is_default:
        subjects.append(Tiers.BY_DEFAULT)
    taken = Tiers.TAKEN.format(subjects=", ".join(subjects)) if subjects else Tiers.NOT_TAKEN
    return Tiers.TIER.format(
        tier=tier.name,
        changed=Tiers.CHANGED if tier.changed else "",
        rights=" · ".join(_rights(tier.rights, catalog, locale)),
        taken=taken,
    )


def _rights(rights: Rights, catalog: Catalog, locale: str | None) -> Iterator[str]:
    if rights.allowance is not None:
        yield Tiers.ALLOWANCE.format(limit=limit_in(rights.allowance, locale))
    if rights.models is not None:
        named = [word(catalog.about(each).title) for each in sorted(rights.models - ALL_MODELS)]
        everything = rights.models >= ALL_MODELS
        yield Tiers.ALL_MODELS if everything else Tiers.MODELS.format(models=", ".join(named))
    if rights.pictures is not None:
        yield plural(Tiers.PICTURES, rights.pictures)
    if rights.private is not None:
        yield Tiers.PRIVATE if rights.private else Tiers.NO_PRIVATE
    if rights.edit is not None:
        yield Tiers.EDIT if rights.edit else Tiers.NO_EDIT
    if rights.jobs is not None:
        yield plural(Tiers.JOBS, rights.jobs)
    if rights.cooldown:
        yield plural(Tiers.COOLDOWN, rights.cooldown)


def tier_view(done: TierTaken, role_id: int | None) -> ui.LayoutView:
    """Return the answer to the tier that a role, or the default, has taken or dropped."""
    subject = Tiers.OF_DEFAULT if role_id is None else f"<@&{role_id}>"
    if done.now is None:
        text = Tiers.DROPPED if done.before else Tiers.NO_TIER
    else:
        text = Tiers.HAD if done.before == done.now else Tiers.TOOK
    own = [Tiers.OWN_RIGHTS] if done.own and done.now else []
    return panel("\n".join([text.format(subject=subject, tier=done.now or done.before), *own]))


def report_view(
    report: Report, catalog: Catalog, *, chart: str | None, table: str, locale: str | None
) -> ui.LayoutView:
    """Return a report. `chart` and `table` are names of uploaded files; None for no chart."""
    title = wording.Report.TITLE.format(
        first=report.first, last=report.last, zone=plain(report.zone, 60)
    )
    balances = [_balance(each, locale) for each in report.balances]
    if report.is_empty:
        return panel(title, wording.Report.NOTHING, *balances)
    members = [
        (mention(user_id) if user_id else wording.Report.NOBODY, sums)
        for user_id, sums in report.members
    ]
    models = [(word(catalog.about(model).title), sums) for model, sums in report.models]
    days = [(f"{day}", sums) for day, sums in reversed(report.days) if sums != Sums()]
    parts: list[str | ui.Item[Any]] = [
        title,
        wording.Report.TOTAL.format(sums=_sums(report.total, locale)),
        *balances,
    ]
    for heading, rows in (
        (wording.Report.MEMBERS, members),
        (wording.Report.MODELS, models),
        (wording.Report.DAYS, days),
    ):
        parts.extend(_table(heading, rows, locale))
    if chart is None:
        parts.append(wording.Report.NO_CHART)
    else:
        parts += gallery(alt_text(report, locale), [chart])
    parts.append(wording.Report.PRIVATE)
    if report.cut:
        parts.append(wording.Report.CUT.format(count=report.lines))
    return panel(*parts, ui.File[Any](f"attachment://{table}"))


def _balance(line: BalanceLine, locale: str | None) -> str:
    text = wording.Report.LOW_BALANCE if line.low else wording.Report.BALANCE
    amount = credits_in(line.credits, locale)
    return text.format(service=line.service, time=ago(line.read_at), amount=amount)


def _table(heading: str, rows: Sequence[tuple[str, Sums]], locale: str | None) -> Iterator[str]:
    """Yield the first rows under a heading, and the number of the others."""
    if not rows:
        return
    lines = [
        wording.Report.LINE.format(subject=subject, sums=_sums(sums, locale))
        for subject, sums in rows[:LISTED]
    ]
    while len("\n".join(lines)) > LONGEST_TABLE:
        lines.pop()
    if more := len(rows) - len(lines):
        lines.append(plural(wording.Report.MORE, more))
    yield "\n".join([heading, *lines])


def _sums(sums: Sums, locale: str | None) -> str:
    named = (
        (wording.Report.USED, sums.used),
        (wording.Report.HELD, sums.held),
        (wording.Report.LOST, sums.lost),
        (wording.Report.GRANTED, sums.granted),
    )
    found = [text.format(amount=credits_in(amount, locale)) for text, amount in named if amount]
    return " · ".join(found) or wording.Report.NOTHING_USED


def alt_text(report: Report, locale: str | None) -> str:
    """Return the chart in words."""
    highest, most = max(report.days, key=lambda each: each[1].used)
    return wording.Report.ALT_TEXT.format(
        first=report.first,
        last=report.last,
        used=credits_in(report.total.used, locale),
        highest=highest,
        most=credits_in(most.used, locale),
    )


def chart_days(report: Report) -> list[tuple[date, int]]:
    return [(day, sums.used) for day, sums in report.days]
