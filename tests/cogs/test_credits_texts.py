"""The replies of `/credits` about members and limits, as a manager reads them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import Job, JobStatus
from bot.ledger import Usage
from bot.periods import PeriodKind
from bot.quotas import Member
from bot.rights import Allowance, Subject
from bot.studio.credits import Given, LimitSet, MemberCredits, Origin
from cogs.ui.credits import (
    allowance_view,
    budget_view,
    cost_in,
    grant_view,
    job_choice,
    member_view,
)
from tests.support.rows import NOW
from tests.support.views import DONE, DONE_AT, ID, JOB, SECONDS, texts_of, with_prompt

MEMBER, READER = Member(5, 10), Member(2, 10)
USAGE = Usage(12_500, 7500, 0, None, 80_000, 3, 4, NOW, granted=2500)
WEEKLY = Allowance(amount=100_000, period=PeriodKind.WEEK)
OPERATOR = "The operator's limit is lower, and holds besides."
FOUND = MemberCredits(USAGE, WEEKLY, Origin(Subject.MEMBER, ("5",)), False, [])
GONE = "<@5> is not in this server any more."


def member(found: MemberCredits, *, present: bool = True, locale: str = "en-US") -> list[str]:
    view = member_view(MEMBER, found, reader=READER, channel_id=20, present=present, locale=locale)
    return texts_of(view)


def test_an_account_has_everything_that_counts() -> None:
    assert member(FOUND) == [
        "### Credits of <@5>",
        "Left: **80 credits**\n"
        "Held for jobs in progress: **7.5 credits**\n"
        "Used: **12.5 credits**\n"
        "Granted, and not used yet: **2.5 credits**",
        f"Allowance: **100 credits a week**, set for this member\nRenewed <t:{SECONDS}:R>",
        "No jobs in this server.",
    ]


def test_a_reserve_is_shown_after_what_is_held() -> None:
    until = NOW + timedelta(hours=1)
    usage = replace(USAGE, reserved=1000, reserved_until=until, left=None)

    assert member(replace(FOUND, usage=usage), locale="de")[1] == (
        "Left: **unlimited**\n"
        "Held for jobs in progress: **7,5 credits**\n"
        "Reserved for jobs that may still be charged, until "
        f"<t:{SECONDS + 3600}:f> at the latest: **1 credit**\n"
        "Used: **12,5 credits**\n"
        "Granted, and not used yet: **2,5 credits**"
    )


def test_a_member_who_has_left_is_said_to_be_gone() -> None:
    assert member(FOUND, present=False)[:2] == ["### Credits of <@5>", GONE]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"origin": Origin(Subject.ROLE, ("7", "8"))},
            "Allowance: **100 credits a week**, by the best of the roles: <@&7>, <@&8>\nRenewed",
        ),
        (
            {"origin": Origin(Subject.DEFAULT, ("",)), "allowance": Allowance(amount=None)},
            "Allowance: **unlimited**, by the default of this server\nRenewed",
        ),
        (
            {"allowance": Allowance(amount=0)},
            "Allowance: **none at all**, set for this member\nRenewed",
        ),
        (
            {"origin": None, "allowance": None},
            "Allowance: **unlimited**, because nobody has set one\nThis month ends",
        ),
        (
            {"allowance": None},
            "Allowance: **unlimited**, because nobody has set one\nThis month ends",
        ),
    ],
)
def test_an_allowance_has_its_origin(changes: dict[str, Any], text: str) -> None:
    found = replace(FOUND, **changes)

    assert member(found)[2] == f"{text} <t:{SECONDS}:R>"
    lower = replace(found, operator_is_lower=True)
    assert member(lower)[2] == f"{text} <t:{SECONDS}:R>\n{OPERATOR}"


def test_roles_that_do_not_fit_are_counted() -> None:
    roles = tuple(str(10**18 + each) for each in range(13))  # 25 characters each, with a comma
    found = replace(FOUND, origin=Origin(Subject.ROLE, roles))

    first = member(found)[2].partition("\n")[0]
    assert first.count("<@&") == 12
    assert first.endswith(" and 1 more")


def test_jobs_of_the_member_are_listed_and_private_ones_without_their_prompt() -> None:
    private = replace(DONE, route=replace(DONE.route, private=True), result_channel_id=0)
    jobs = [DONE, private, replace(JOB, price=1000, result_channel_id=20)]

    assert member(replace(FOUND, jobs=jobs))[3].split("\n") == [
        "Last jobs:",
        f"- **Done** <t:{DONE_AT}:R> · a fox · 7.5 credits · `{ID}`",
        f"- 7.5 credits · `{ID}`",
        f"- **Queued** <t:{SECONDS}:R> · a fox · 1 credit · `{ID}`",
    ]


def test_a_prompt_in_the_list_has_eighty_characters() -> None:
    jobs = [with_prompt(DONE, "x" * 80), with_prompt(DONE, "x" * 81)]
    _, whole, cut = member(replace(FOUND, jobs=jobs))[3].split("\n")

    assert f" · {'x' * 80} · " in whole
    assert f" · {'x' * 79}… · " in cut


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (DONE, "7.5 credits"),
        (replace(DONE, cost=0), "nothing charged"),
        (replace(DONE, cost=None), "nothing charged"),
        (replace(JOB, cost=1), "7.5 credits"),
        (replace(JOB, price=0, cost=1), "nothing charged"),
        (replace(DONE, cost=1000, price=1), "1 credit"),
        (replace(DONE, status=JobStatus.FAILED, cost=None, price=1), "nothing charged"),
    ],
)
def test_a_job_has_its_cost_and_the_price_while_it_is_in_progress(job: Job, text: str) -> None:
    assert cost_in(job, "en-US") == text


def test_a_choice_of_a_job_has_a_hundred_characters_and_no_secret() -> None:
    def choice(job: Job) -> str:
        return job_choice(job, READER, 20, lambda user_id: f"Ada {user_id}", "de")

    assert choice(DONE) == f"Ada 1 · 7,5 credits · {ID} · a fox"
    assert choice(replace(DONE, hidden_at=NOW)) == f"Ada 1 · 7,5 credits · {ID}"
    long = choice(with_prompt(DONE, "x" * 100))
    assert (len(long), long[-1]) == (100, "…")


def test_a_grant_says_what_all_grants_are() -> None:
    given = Given(5, 1000, 3500)
    text = "<@5> got **1 credit** on top of the allowance. Grants last until they are used."
    left = "Of all grants, 3.5 credits are left."

    assert texts_of(grant_view(given, present=True, locale=None)) == [f"{text}\n{left}"]
    assert texts_of(grant_view(given, present=False, locale=None)) == [f"{text}\n{left}\n{GONE}"]


def test_a_refund_names_the_job_and_says_that_budgets_stay() -> None:
    given = Given(5, 7500, 7500, DONE)
    text = f"<@5> got **7,5 credits** back for job `{ID}`.\nOf all grants, 7,5 credits are left."
    stay = "The budgets of this server and of the operator do not become greater by that."

    assert texts_of(grant_view(given, present=True, locale="de")) == [f"{text}\n{stay}"]
    assert texts_of(grant_view(given, present=False, locale="de")) == [f"{text}\n{GONE}\n{stay}"]


@pytest.mark.parametrize(
    ("subject", "name", "whose"),
    [
        (Subject.DEFAULT, "", "by default"),
        (Subject.ROLE, "7", "of the role <@&7>"),
        (Subject.MEMBER, "5", "of <@5>"),
    ],
)
def test_an_allowance_is_shown_set_and_removed(subject: Subject, name: str, whose: str) -> None:
    def shown(done: LimitSet) -> list[str]:
        return texts_of(allowance_view(subject, name, done, locale=None))

    assert shown(LimitSet(WEEKLY)) == [f"The allowance {whose} is **100 credits a week**."]
    assert shown(LimitSet(WEEKLY, changed=True)) == [
        f"The allowance {whose} is now **100 credits a week**."
    ]
    assert shown(LimitSet(None)) == [f"The allowance {whose} is not set."]
    assert shown(LimitSet(None, changed=True)) == [f"The allowance {whose} is no longer set."]
    assert shown(LimitSet(WEEKLY, operator_is_lower=True)) == [
        f"The allowance {whose} is **100 credits a week**.\n{OPERATOR}"
    ]


def test_a_lower_allowance_of_several_says_what_that_means() -> None:
    lowered = "Whoever has used as much already has nothing left until the allowance is renewed."
    for subject in (Subject.DEFAULT, Subject.ROLE, Subject.MEMBER):
        for changed in (True, False):
            for lower in (True, False):
                done = LimitSet(WEEKLY, changed=changed, lowered=lower)
                (text,) = texts_of(allowance_view(subject, "7", done, locale=None))
                expected = changed and lower and subject is not Subject.MEMBER
                assert text.endswith(f"\n{lowered}") == expected


@pytest.mark.parametrize(
    ("limit", "left", "text"),
    [
        (WEEKLY, 1, f"<@5> has **0.001 credits** left until <t:{SECONDS}:f>."),
        (WEEKLY, 0, "nothing"),
        (WEEKLY, -1, "nothing"),
        (None, 0, "nothing"),
        (Allowance(amount=0), 0, ""),
        (Allowance(amount=0), 1, f"<@5> has **0.001 credits** left until <t:{SECONDS}:f>."),
        (Allowance(amount=None), None, ""),
    ],
)
def test_the_allowance_of_a_member_says_what_is_left(
    limit: Allowance | None, left: int | None, text: str
) -> None:
    nothing = (
        "<@5> has used as much already: nothing is left until the allowance is renewed "
        f"<t:{SECONDS}:R>."
    )
    done = LimitSet(limit, left=left, resets_at=NOW, operator_is_lower=True)

    (shown,) = texts_of(allowance_view(Subject.MEMBER, "5", done, locale=None))
    expected = {"nothing": [nothing], "": []}.get(text, [text])
    assert shown.split("\n")[1:] == [*expected, OPERATOR]


@pytest.mark.parametrize(
    ("done", "texts"),
    [
        (
            LimitSet(None, used=7500),
            ["The budget of this server is **unlimited**.", "Used this month: **7.5 credits**"],
        ),
        (
            LimitSet(Allowance(amount=None), changed=True, used=1000, resets_at=NOW),
            ["The budget of this server is now **unlimited**.", "Used this month: **1 credit**"],
        ),
        (
            LimitSet(WEEKLY, used=99_999, left=1, resets_at=NOW, operator_is_lower=True),
            [
                "The budget of this server is **100 credits a week**.",
                f"Used: **99.999 credits** · Left: **0.001 credits** · renewed <t:{SECONDS}:R>",
                OPERATOR,
            ],
        ),
        (
            LimitSet(WEEKLY, changed=True, used=100_000, left=0, resets_at=NOW),
            [
                "The budget of this server is now **100 credits a week**.",
                f"Used: **100 credits** · Left: **0 credits** · renewed <t:{SECONDS}:R>",
                "As much is used already: nothing is left until the budget is renewed.",
            ],
        ),
    ],
)
def test_a_budget_says_how_much_of_it_is_left(done: LimitSet, texts: list[str]) -> None:
    assert texts_of(budget_view(done, locale=None)) == ["\n".join(texts)]
