"""Who may use the bot, and with which options: the operator's settings, without a database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.errors import UserError
from bot.jobs import Option
from bot.quotas import (
    CooldownLasts,
    Member,
    MemberBlocked,
    OthersPicture,
    Quotas,
    ServerNotAllowed,
    TooManyJobs,
    TooManyJobsHere,
    UnsafeForManagers,
    UnsafeNotAllowed,
)

LATER = datetime(2025, 12, 1, 12, 0, 0, 1, tzinfo=UTC)
SERVED = Quotas(servers=frozenset({10, 11}), blocked_users=frozenset({6, 7}))
INSTALLED = Quotas(servers=frozenset({10}), user_install=True)


@pytest.mark.parametrize(
    ("quotas", "member", "refusal"),
    [
        (Quotas(), Member(1, 10), None),
        (Quotas(), Member(1), None),
        (Quotas(user_install=True), Member(1), None),
        (SERVED, Member(1, 10), None),
        (SERVED, Member(1, 12), ServerNotAllowed),
        (SERVED, Member(1), ServerNotAllowed),
        (SERVED, Member(7, 10), MemberBlocked),
        (SERVED, Member(7, 12), MemberBlocked),  # the first of the two
        (INSTALLED, Member(1), None),
        (INSTALLED, Member(1, 10), None),
        (INSTALLED, Member(1, 12), ServerNotAllowed),
    ],
)
def test_a_member_is_served_where_the_operator_allows_it(
    quotas: Quotas, member: Member, refusal: type[UserError] | None
) -> None:
    assert outcome(quotas.check_member, member) is refusal


def manager(server_id: int = 10, **values: Any) -> Member:  # noqa: ANN401  # fields of a member
    return Member(1, server_id, **{"may_manage": True, "age_restricted": True, **values})


ALLOWED = Quotas(allow_unsafe=True)
ALLOWED_IN_ONE = Quotas(allow_unsafe=True, servers=frozenset({10}), user_install=True)
OFF: dict[str, Option] = {"safety_checker": False}


@pytest.mark.parametrize(
    ("quotas", "member", "options", "refusal"),
    [
        (Quotas(), Member(1), {}, None),
        (Quotas(), Member(1), {"safety_checker": True}, None),
        (Quotas(), manager(), OFF, UnsafeNotAllowed),
        (ALLOWED, manager(), OFF, None),
        (ALLOWED, manager(0), OFF, UnsafeNotAllowed),  # in direct messages
        (ALLOWED, manager(may_manage=False), OFF, UnsafeForManagers),
        (ALLOWED, manager(age_restricted=False), OFF, UnsafeForManagers),
        (ALLOWED, Member(1, 10), OFF, UnsafeForManagers),
        (ALLOWED_IN_ONE, manager(), OFF, None),
        (ALLOWED_IN_ONE, manager(11), OFF, UnsafeNotAllowed),
        (ALLOWED_IN_ONE, manager(0), OFF, UnsafeNotAllowed),
    ],
)
def test_managers_alone_switch_the_safety_checker_off(
    quotas: Quotas,
    member: Member,
    options: dict[str, Option],
    refusal: type[UserError] | None,
) -> None:
    assert outcome(quotas.check_safety, member, options) is refusal


def test_the_last_job_of_the_limit_is_accepted() -> None:
    Quotas().check_jobs(1000, held=0, used=0)
    Quotas(max_jobs=3).check_jobs(3, held=0, used=0)

    with pytest.raises(TooManyJobs) as refused:
        Quotas(max_jobs=3).check_jobs(4, held=30_000, used=7500)
    assert str(refused.value) == (
        "You may have 3 jobs in progress at once. They hold 30 credits, and you have used 7.5 "
        "credits this month. Wait until one ends, or stop one with /cancel."
    )


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (TooManyJobsHere(3), "The limit of jobs in progress is 3 for your roles in this server."),
        (CooldownLasts(60, LATER), "The time between two requests is 60 s for your roles in this "),
        (CooldownLasts(60, LATER), "Try again <t:1764590401:R>."),
        (OthersPicture(), "Attach a picture of your own."),
        (MemberBlocked(), "You are blocked from using this bot. Ask its operator."),
        (ServerNotAllowed(), "This bot is not enabled here. Ask its operator to enable it."),
        (UnsafeNotAllowed(), "Leave safety_checker out."),
        (UnsafeForManagers(), "only in an age-restricted channel, and only by members who may"),
    ],
)
def test_a_refusal_says_what_is_not_possible(refusal: UserError, text: str) -> None:
    assert text in str(refusal)


def outcome(check: Any, *arguments: object) -> type[UserError] | None:  # noqa: ANN401
    """Return the class of the refusal; without a text, it would refuse nothing."""
    try:
        check(*arguments)
    except UserError as error:
        return type(error) if str(error) else None
    return None
