"""What managers type: amounts with their boundaries, words for limits, numbers and times."""

import pytest

from bot.errors import UserError
from bot.periods import PeriodKind
from bot.rights import Allowance
from bot.studio.setting_input import (
    LONGEST_AMOUNT,
    AmountAmbiguous,
    AmountNegative,
    AmountTooLarge,
    AmountUnread,
    LimitUnread,
    NothingToGrant,
    NumberUnread,
    TimeUnread,
    Word,
    allowance_of,
    limit_of,
    limit_text,
    read_amount,
    read_grant,
    read_limit,
    read_number,
    read_seconds,
)


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("0", 0),
        ("-0", 0),
        ("+7.5", 7500),
        ("7,5", 7500),
        (" 20 Credits ", 20_000),
        ("1 credit", 1000),
        ("0.001", 1),
        ("0.125", 125),  # no thousand begins with 0
        ("1000000", 1_000_000_000),
        ("1000000.000", 1_000_000_000),
        ("0" * (LONGEST_AMOUNT - 1) + "5", 5000),
    ],
)
def test_an_amount_is_read_in_thousandths(typed: str, amount: int) -> None:
    assert read_amount(typed) == amount
    assert read_limit(typed) == amount


@pytest.mark.parametrize(
    ("typed", "refusal", "says"),
    [
        ("", AmountUnread, "“” is no amount of credits. Type a number such as 20 or 7.5"),
        ("ten", AmountUnread, "“ten” is no amount"),
        ("1.2345", AmountUnread, "with 3 decimals at most"),
        ("10²", AmountUnread, "“10²” is no amount"),
        ("1,000", AmountAmbiguous, "“1,000” can be read in two ways"),
        ("+1.000 credits", AmountAmbiguous, "“+1.000 credits” can be read in two ways"),
        ("1.000.000", AmountAmbiguous, "Type the number without a mark"),
        ("-0.001", AmountNegative, "-0.001 credits are less than none"),
        ("-2000000", AmountNegative, "-2000000 credits are less"),
        ("1000000.001", AmountTooLarge, "1000000.001 credits are too many. Type at most 1000000 c"),
        ("+1000001", AmountTooLarge, "1000001 credits are too many"),
        ("0" * LONGEST_AMOUNT + "5", AmountTooLarge, "5 credits are too many"),
    ],
)
def test_what_is_no_possible_amount_is_refused(
    typed: str, refusal: type[UserError], says: str
) -> None:
    with pytest.raises(refusal) as refused:
        read_amount(typed)

    assert says in str(refused.value)


@pytest.mark.parametrize("typed", ["0", "-1", "0.000", "-0.5 credits"])
def test_a_grant_is_more_than_nothing(typed: str) -> None:
    with pytest.raises(NothingToGrant, match="Type more than 0 credits"):
        read_grant(typed)


def test_the_least_grant_is_a_thousandth_of_a_credit() -> None:
    assert read_grant("0.001") == 1
    with pytest.raises(AmountUnread):
        read_grant("ten")


@pytest.mark.parametrize(
    ("typed", "limit"),
    [
        ("none", 0),
        (" None (no credits at all)", 0),
        ("unlimited", Word.UNLIMITED),
        ("UNSET", Word.UNSET),
        ("unset (the default)", Word.UNSET),
    ],
)
def test_a_limit_may_be_a_word(typed: str, limit: int | Word) -> None:
    assert read_limit(typed) == limit


def test_what_is_no_limit_is_refused_with_the_words() -> None:
    with pytest.raises(LimitUnread) as refused:
        read_limit("lots")
    assert str(refused.value).startswith("“lots” is no amount of credits.")
    assert str(refused.value).endswith("one of these words: none, unlimited, unset.")

    for typed, refusal in (("-1", AmountNegative), ("1,000", AmountAmbiguous)):
        with pytest.raises(refusal):
            read_limit(typed)


@pytest.mark.parametrize(
    ("typed", "number"), [("", None), ("  ", None), ("2", 2), (" 9 ", 9), ("007", 7)]
)
def test_a_number_is_between_its_limits(typed: str, number: int | None) -> None:
    assert read_number(typed, 2, 9) == number


@pytest.mark.parametrize("typed", ["1", "10", "2.0", "-2", "two", "٣", "0" * 9 + "5"])
def test_another_number_is_refused_with_the_limits(typed: str) -> None:
    with pytest.raises(NumberUnread) as refused:
        read_number(typed, 2, 9)

    assert str(refused.value) == f"“{typed}” is not a number from 2 to 9. Type such a number."


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("  ", None),
        ("1", 1),
        ("5 s", 5),
        ("5sec", 5),
        ("3 Minutes", 180),
        ("2 hours", 7200),
        ("86400", 86_400),
        ("1440 m", 86_400),
        ("24h", 86_400),
    ],
)
def test_a_time_is_at_most_a_day(typed: str, seconds: int | None) -> None:
    assert read_seconds(typed) == seconds


@pytest.mark.parametrize("typed", ["86401", "1441m", "25h", "x", "5 days"])
def test_a_longer_time_is_refused_with_examples(typed: str) -> None:
    with pytest.raises(TimeUnread, match=r"is not a time of at most 24 hours\. .* 90, 2m or 1h"):
        read_seconds(typed)


@pytest.mark.parametrize(
    ("limit", "allowance", "text"),
    [
        (Word.UNSET, None, ""),
        (Word.UNLIMITED, Allowance(amount=None, period=PeriodKind.DAY), "unlimited"),
        (0, Allowance(amount=0, period=PeriodKind.DAY), "0"),
        (7500, Allowance(amount=7500, period=PeriodKind.DAY), "7.5"),
    ],
)
def test_a_limit_is_an_allowance_and_the_text_of_a_form(
    limit: int | Word, allowance: Allowance | None, text: str
) -> None:
    assert allowance_of(limit, PeriodKind.DAY) == allowance
    assert limit_of(allowance) == limit
    assert limit_text(limit) == text
