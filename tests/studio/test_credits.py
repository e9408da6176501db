"""What managers see, grant, refund and limit, without Discord: each refusal and each boundary."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import UserError
from bot.ledger import Cost
from bot.periods import PeriodKind
from bot.pseudonyms import deleted_member
from bot.quotas import Member, Quotas
from bot.rights import READY_MADE, Rights, Subject
from bot.services import Services
from bot.store import changes, ledger, settlement
from bot.store.database import Database
from bot.store.servers import Granted
from bot.studio.credit_rules import (
    AlreadyRefunded,
    GrantToBot,
    JobUnsettled,
    NoSuchJobHere,
    NoSuchPeriod,
    NothingCharged,
    OneSubject,
)
from bot.studio.credits import (
    LONGEST_REASON,
    SHOWN_JOBS,
    Given,
    Origin,
    ServerCredits,
    origin_of,
)
from bot.studio.managers import BotNotInServer, ManagersOnly, check_manager, member_text
from tests.support.rights import credits
from tests.support.rows import NOW, new_job, one
from tests.support.studio import ADA, DEFAULT, MANAGER, MINUTE, failed, running, succeeded

DAY, WEEK, MONTH = PeriodKind


@pytest.fixture
def use_case(services: Services) -> ServerCredits:
    return ServerCredits(services)


async def audited(database: Database) -> list[tuple[str, str, str]]:
    """Return the subjects of all changes with both texts, oldest first."""
    async with database.reading() as view:
        found = await changes.of_server(view, MANAGER.server_id, 100)
    assert {each.user_id for each in found} <= {MANAGER.user_id}
    return [(each.subject, each.before, each.after) for each in reversed(found)]


async def grants(database: Database) -> list[tuple[int, int, str, str | None]]:
    async with database.reading() as view:
        entries = [each async for _, each in ledger.all_entries(view)]
    return [
        (each.amount, each.granted, each.reason, each.job_id)
        for each in entries
        if each.kind == "grant"
    ]


@pytest.mark.parametrize(
    ("member", "refusal", "says"),
    [
        (replace(MANAGER, may_manage=False), ManagersOnly, "You may not manage this server"),
        (replace(MANAGER, server_id=0), BotNotInServer, "The bot itself is not in this server"),
        (Member(9), BotNotInServer, "Add the bot to the server first"),
    ],
)
async def test_nobody_else_uses_the_credits_of_a_server(
    database: Database,
    use_case: ServerCredits,
    member: Member,
    refusal: type[UserError],
    says: str,
) -> None:
    job = await succeeded(database)
    before = await grants(database)
    for denied in (
        use_case.member(member, ADA),
        use_case.grant(member, 1, "5", ""),
        use_case.refund(member, job.id),
        use_case.refundable(member),
        use_case.set_allowance(member, *DEFAULT, typed="5", period=None),
        use_case.set_budget(member, typed="5"),
    ):
        with pytest.raises(refusal, match=says):
            await denied
    assert await grants(database) == before == []
    check_manager(MANAGER)


async def test_a_grant_is_on_the_ledger_and_in_the_audit(
    database: Database, use_case: ServerCredits
) -> None:
    first = await use_case.grant(MANAGER, 1, "7.5", f"for <@77> {'x' * LONGEST_REASON}")
    second = await use_case.grant(MANAGER, 1, "0.001", "")

    assert (first, second) == (Given(1, 7500, 7500), Given(1, 1, 7501))
    (_, _, reason, job_id), least = await grants(database)
    assert (len(reason), job_id) == (LONGEST_REASON, None)
    assert "77" not in reason
    assert least == (1, 1, "", None)
    assert await audited(database) == [
        ("member <@1>: grant", "0 credits of grants", "7.5 credits of grants"),
        ("member <@1>: grant", "7.5 credits of grants", "7.501 credits of grants"),
    ]


async def test_a_refund_is_the_cost_once(database: Database, use_case: ServerCredits) -> None:
    job = await succeeded(database, cost=9000)
    assert [each.id for each in await use_case.refundable(MANAGER)] == [job.id]

    given = await use_case.refund(MANAGER, job.id)

    assert given == Given(1, 9000, 9000, job)
    assert await grants(database) == [(9000, 9000, "refund", job.id)]
    assert await use_case.refundable(MANAGER) == []
    with pytest.raises(AlreadyRefunded, match=f"^Job {job.id} was refunded already"):
        await use_case.refund(MANAGER, job.id)
    assert await audited(database) == [
        (f"member <@1>: refund of job {job.id}", "0 credits of grants", "9 credits of grants")
    ]


async def test_only_charged_jobs_of_the_server_are_refunded(
    database: Database, use_case: ServerCredits
) -> None:
    active, without_cost = await running(database), await failed(database)
    elsewhere = await succeeded(database, new_job(server_id=11))
    free = await succeeded(database, cost=0)
    cases: Mapping[str, tuple[type[UserError], str]] = {
        "no id": (NoSuchJobHere, "There is no job no id in this server"),
        "a" * 16: (NoSuchJobHere, "There is no job"),
        elsewhere.id: (NoSuchJobHere, "Choose one of those that are offered"),
        active.id: (JobUnsettled, "the job is in progress"),
        without_cost.id: (NothingCharged, "has cost nothing"),
        free.id: (NothingCharged, "so there is nothing to refund"),
    }
    for job_id, (refusal, says) in cases.items():
        with pytest.raises(refusal, match=says):
            await use_case.refund(MANAGER, job_id)
    assert await grants(database) == []
    assert await audited(database) == []


async def test_a_cost_of_a_thousandth_is_refunded_and_one_below_nothing_is_not(
    database: Database, use_case: ServerCredits
) -> None:
    least, negative = await succeeded(database, cost=1), await succeeded(database)
    async with database.transaction() as tx:
        await settlement.correct_cost(tx, negative.id, Cost(-1), NOW)

    assert (await use_case.refund(MANAGER, least.id)).amount == 1
    with pytest.raises(NothingCharged):
        await use_case.refund(MANAGER, negative.id)


async def test_a_member_is_shown_with_the_newest_jobs_and_the_origin_of_the_allowance(
    database: Database, use_case: ServerCredits
) -> None:
    at = [NOW + each * MINUTE for each in range(-SHOWN_JOBS, 1)]
    jobs = [await one(database, new_job(at=each, price=100)) for each in at]
    nothing = await use_case.member(MANAGER, ADA)
    await use_case.set_allowance(MANAGER, *DEFAULT, typed="5", period=DAY)
    limited = await use_case.member(MANAGER, ADA)

    assert [each.id for each in nothing.jobs] == [each.id for each in reversed(jobs[1:])]
    assert (nothing.allowance, nothing.origin, nothing.usage.left) == (None, None, None)
    assert not nothing.operator_is_lower
    assert (limited.allowance, limited.origin) == (credits(5, DAY), Origin(Subject.DEFAULT, ("",)))
    assert limited.usage.left == 5000 - 600
    assert not limited.operator_is_lower


@pytest.mark.parametrize(
    ("allowance", "operator", "lower"),
    [
        (None, None, False),
        (None, 5000, True),
        ("5", None, False),
        ("5", 5000, False),
        ("5", 4999, True),
        ("5", 5001, False),
    ],
)
async def test_a_lower_limit_of_the_operator_is_said(
    services: Services, allowance: str | None, operator: int | None, lower: bool
) -> None:
    use_case = ServerCredits(replace(services, quotas=Quotas(allowance=operator)))
    if allowance is not None:
        await use_case.set_allowance(MANAGER, *DEFAULT, typed=allowance, period=None)

    assert (await use_case.member(MANAGER, ADA)).operator_is_lower is lower


def given(subject: Subject, name: str, **values: Any) -> Granted:  # noqa: ANN401
    return Granted(subject, name, Rights(**values))


def test_the_nearest_subject_gives_an_allowance() -> None:
    five, guest = credits(5), READY_MADE["guest"].allowance
    own = given(Subject.MEMBER, "1", allowance=five)
    roles = [given(Subject.ROLE, name, allowance=five) for name in ("7", "8")]
    default = given(Subject.DEFAULT, "", allowance=five)
    other = given(Subject.ROLE, "9", allowance=credits(4))

    assert origin_of([default, other, *roles, own], five) == Origin(Subject.MEMBER, ("1",))
    assert origin_of([default, other, *roles], five) == Origin(Subject.ROLE, ("7", "8"))
    assert origin_of([default, other], five) == Origin(Subject.DEFAULT, ("",))
    assert origin_of([other], five) is None
    assert origin_of([default], None) is None
    of_tier = given(Subject.ROLE, "7", tier="guest")
    assert origin_of([of_tier], guest) == Origin(Subject.ROLE, ("7",))
    changed = given(Subject.TIER, "guest", allowance=five)
    assert origin_of([of_tier, changed], five) == Origin(Subject.ROLE, ("7",))
    assert origin_of([of_tier, changed], guest) is None


def test_a_member_whose_data_was_deleted_is_not_mentioned() -> None:
    assert member_text(5) == "member <@5>"
    assert member_text(-5) == deleted_member(-5)
    assert "<@" not in member_text(-5)


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (GrantToBot(), "Nothing was granted, because bots make no pictures. Choose a member."),
        (OneSubject(), "Leave one of the two out, or both for the default of this server."),
        (
            NoSuchPeriod("year", ("day", "week")),
            "There is no period year. Choose one of these: day, week.",
        ),
    ],
)
def test_what_is_wrong_with_a_command_is_said(refusal: UserError, text: str) -> None:
    assert str(refusal).endswith(text)
