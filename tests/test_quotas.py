"""The quotas that need no database: their boundaries, and the times in their sentences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs import Job, JobStatus
from bot.quotas import (
    LOSS_WINDOW,
    MAX_LOSSES,
    BudgetExhausted,
    Member,
    NotEnough,
    NotEnoughCredits,
    OthersPicture,
    PictureOrigin,
    ProviderBudgetExhausted,
    Quotas,
    ServerBudgetExhausted,
    Sum,
    TooManyInputBytes,
    TooManyLosses,
    check_input_bytes,
    may_edit,
    may_see,
)
from tests.support.rows import new_job

QUOTAS = Quotas()
NOW = datetime(2026, 11, 26, 12, 0, 0, 500_000, tzinfo=UTC)


def test_a_member_waits_until_fewer_losses_are_within_the_hour() -> None:
    times = [NOW - timedelta(minutes=minutes) for minutes in (59, 50, 40, 30, 20, 10)]
    assert len(times) == MAX_LOSSES + 1

    with pytest.raises(TooManyLosses) as refused:
        QUOTAS.check_losses(times, NOW)
    # The second of the six has to leave the window: at 11:10:00.5 + 1 h, rounded up.
    assert f"<t:{int(datetime(2026, 11, 26, 12, 10, 1, tzinfo=UTC).timestamp())}:R>" in str(
        refused.value
    )
    assert str(refused.value).startswith("6 of your jobs")
    with pytest.raises(TooManyLosses):
        QUOTAS.check_losses(times, NOW + timedelta(minutes=10) - timedelta(microseconds=1))
    QUOTAS.check_losses(times, NOW + timedelta(minutes=10))


def test_four_losses_or_old_ones_are_allowed() -> None:
    QUOTAS.check_losses([NOW] * (MAX_LOSSES - 1), NOW)
    QUOTAS.check_losses([NOW - LOSS_WINDOW] * 9, NOW)


def test_the_bytes_of_a_day_are_used_to_the_last() -> None:
    check_input_bytes(399_999_995, 5, frees_at=NOW)
    with pytest.raises(TooManyInputBytes) as refused:
        check_input_bytes(399_999_995, 6, frees_at=NOW)

    assert f"<t:{int(NOW.timestamp()) + 1}:R>" in str(refused.value)


def seen_by(job: Job, user_id: int, channel_id: int = 20) -> bool:
    return may_see(Member(user_id), channel_id, job)


def shown_job(**values: Any) -> Job:  # noqa: ANN401  # the fields of a job
    made = new_job(1)
    job = Job(
        id="a" * 16,
        status=JobStatus.SUCCEEDED,
        user_id=1,
        route=made.route,
        request=made.request,
        provider="oxen",
        price=1,
        created_at=NOW,
        delivered_at=NOW,
        result_message_id=5,
    )
    return replace(job, **values)


PRIVATE = replace(new_job().route, private=True)


@pytest.mark.parametrize(
    ("values", "channel_id", "seen"),
    [
        ({}, 20, True),
        ({}, 21, False),
        ({"result_channel_id": 21}, 21, True),
        ({"result_channel_id": 21}, 20, False),
        ({"result_channel_id": 0}, 20, False),
        ({"result_channel_id": 0}, 0, False),
        ({"route": PRIVATE}, 20, False),
        ({"hidden_at": NOW}, 20, False),
        ({"result_message_id": None}, 20, False),  # undeliverable
        ({"result_message_id": None, "delivered_at": None}, 20, True),  # about to be posted
    ],
)
def test_others_see_a_public_result_in_its_channel(
    values: dict[str, Any], channel_id: int, seen: bool
) -> None:
    job = shown_job(**values)

    assert seen_by(job, 2, channel_id) is seen
    assert seen_by(job, 1, channel_id)  # the requester sees all


@pytest.mark.parametrize("edit_others", [False, True])
def test_pictures_of_others_are_edited_by_the_setting(edit_others: bool) -> None:
    member = Member(2)
    job = shown_job()
    cases = [
        (PictureOrigin(20, author_id=2), True),
        (PictureOrigin(20, author_id=1), edit_others),
        (PictureOrigin(20), edit_others),
        (PictureOrigin(20, author_id=1, job=job), True),
        (PictureOrigin(21, author_id=1, job=job), False),
    ]
    for origin, allowed in cases:
        assert may_edit(member, origin, edit_others=edit_others) is allowed
        try:
            Quotas(edit_others=edit_others).check_edit(member, origin)
        except OthersPicture:
            assert not allowed
        else:
            assert allowed


RENEWED = datetime(2026, 12, 1, tzinfo=UTC)
WHEN = f"<t:{int(RENEWED.timestamp())}:R>"


def left(amount: int, limit: int = 200_000, resets_at: datetime | None = RENEWED) -> Sum:
    return Sum(limit, amount, resets_at)


@pytest.mark.parametrize(
    ("price", "count", "amount", "text"),
    [
        (
            80_000,
            4,
            50_000,
            "4 pictures cost 80 credits, and you have 50 credits left. "
            f"2 pictures fit: set count to 2. Your credits are renewed {WHEN}.",
        ),
        (
            80_000,
            4,
            20_000,
            "4 pictures cost 80 credits, and you have 20 credits left. "
            f"One picture fits: set count to 1. Your credits are renewed {WHEN}.",
        ),
        (
            80_000,
            4,
            19_999,
            "4 pictures cost 80 credits, and you have 19.999 credits left. "
            f"Your credits are renewed {WHEN}.",
        ),
        (
            7500,
            1,
            7499,
            "One picture costs 7.5 credits, and you have 7.499 credits left. "
            f"Your credits are renewed {WHEN}.",
        ),
        (
            20_000,
            1,
            -3000,  # a cost has exceeded its price
            "One picture costs 20 credits, and you have -3 credits left. "
            f"Your credits are renewed {WHEN}.",
        ),
    ],
)
def test_a_refusal_says_the_price_the_rest_what_fits_and_when_it_is_renewed(
    price: int, count: int, amount: int, text: str
) -> None:
    assert str(NotEnoughCredits(price, count, left(amount))) == text


def test_where_waiting_brings_nothing_no_time_is_named() -> None:
    none = left(0, 0, None)
    found = {
        NotEnoughCredits(
            7500, 1, none
        ): "you have 0 credits left. Ask a manager of this server for more.",
        BudgetExhausted(
            7500, 1, none
        ): "not enough: it has 0 credits left, and this costs 7.5 credits. Ask the bot's operator.",
        ServerBudgetExhausted(7500, 1, none): "costs 7.5 credits. Ask a manager of this server.",
        ProviderBudgetExhausted(7500, 1, none, "Oxen.ai"): (
            "budget at Oxen.ai for the month is not enough: it has 0 credits left, and this costs "
            "7.5 credits. Choose a model of another service, or ask the bot's operator."
        ),
    }
    for refusal, words in found.items():
        assert str(refusal).endswith(words)
        assert "<t:" not in str(refusal)


@pytest.mark.parametrize(
    "refusal",
    [
        NotEnoughCredits(60_000, 3, left(45_000)),
        BudgetExhausted(60_000, 3, left(45_000)),
        ServerBudgetExhausted(60_000, 3, left(45_000)),
        ProviderBudgetExhausted(60_000, 3, left(45_000), "skills.video"),
    ],
)
def test_every_level_says_what_fits_and_when_it_is_renewed(refusal: NotEnough) -> None:
    assert "2 pictures fit: set count to 2." in str(refusal)
    assert WHEN in str(refusal)


@given(
    st.integers(1, 10**9).flatmap(
        lambda price: st.tuples(st.just(price), st.integers(-(10**6), price - 1))
    ),
    st.integers(1, 10),
)
def test_what_fits_can_be_paid_and_one_more_cannot(amounts: tuple[int, int], count: int) -> None:
    each, rest = amounts[0], amounts[1] * count
    fits = NotEnoughCredits(each * count, count, left(rest)).values["fits"]
    assert isinstance(fits, int)

    assert fits < count
    assert fits * each <= max(rest, 0) < (fits + 1) * each


def test_the_seconds_of_a_refusal_are_rounded_up() -> None:
    soon = RENEWED + timedelta(microseconds=1)

    assert f"<t:{int(RENEWED.timestamp()) + 1}:R>" in str(
        NotEnoughCredits(7500, 1, left(0, resets_at=soon))
    )


@pytest.mark.parametrize(
    ("limit", "rest", "price", "passed"),
    [
        (100_000, 100_000, 79_999, False),
        (100_000, 100_000, 80_000, True),
        (100_000, 20_001, 0, False),
        (100_000, 20_000, 0, True),
        (100_000, 0, 0, True),
        (100_000, -5000, 0, True),
        (100_000, 150_000, 80_000, False),  # grants besides
        (3, 3, 2, False),
        (3, 3, 3, True),
        (0, 0, 0, False),  # who has nothing needs no warning
        (0, 50_000, 50_000, False),
    ],
)
def test_a_warning_is_due_at_80_per_cent(limit: int, rest: int, price: int, passed: bool) -> None:
    assert left(rest, limit).has_passed(price) is passed


@pytest.mark.parametrize(
    ("quotas", "limited"),
    [
        (Quotas(), False),
        (Quotas(budget=0), True),
        (Quotas(allowance=5), True),
        (Quotas(provider_budgets={"oxen": 5}), False),
        (Quotas(provider_budgets={"oxen": 5, "skills": 0}), True),
    ],
)
def test_a_bot_is_limited_if_nothing_can_be_used_without_limit(
    quotas: Quotas, limited: bool
) -> None:
    assert quotas.is_limited(["oxen", "skills"]) is limited


@pytest.mark.parametrize(
    ("price", "count", "rest", "fits", "words"),
    [
        (2, 2, 1, 1, "One picture fits: set count to 1."),
        (2, 2, 0, 0, ""),
        (2, 2, -1, 0, ""),
        (3, 3, 2, 2, "2 pictures fit: set count to 2."),
        (1, 1, 0, 0, ""),
        (0, 1, -1, 0, ""),
    ],
)
def test_what_fits_into_the_rest_is_offered(
    price: int, count: int, rest: int, fits: int, words: str
) -> None:
    refusal = NotEnoughCredits(price, count, left(rest))

    assert refusal.values["fits"] == fits
    assert ("fit" in str(refusal)) is bool(words)
    assert words in str(refusal)


def test_no_more_is_offered_than_every_limit_of_the_request_takes() -> None:
    """The refusal is of one limit, and another has less."""
    two = Sum(200_000, 50_000, RENEWED, least=20_000)

    assert "you have 50 credits left. One picture fits" in str(NotEnoughCredits(80_000, 4, two))
    none = replace(two, least=0)
    assert "fit" not in str(NotEnoughCredits(80_000, 4, none))


def test_who_can_give_more_is_named() -> None:
    none = left(0, 0, None)

    assert str(NotEnoughCredits(1, 1, none, by_operator=True)).endswith(
        "Ask the bot's operator for more."
    )
    assert "renewed" in str(NotEnoughCredits(1, 1, left(0), by_operator=True))
