"""Days, weeks and months of servers: clock changes, and changes of the time zone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.periods import (
    Period,
    PeriodKind,
    UnknownZone,
    ZoneChange,
    current_period,
    month_of,
    period_in,
    reached,
    zone_info,
    zone_named,
)

DAY, WEEK, MONTH = PeriodKind
BERLIN, NEW_YORK, CAIRO = "Europe/Berlin", "America/New_York", "Africa/Cairo"
KATHMANDU, APIA, KIRITIMATI = "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati"
ZONES = ("UTC", BERLIN, NEW_YORK, CAIRO, KATHMANDU, APIA, KIRITIMATI, "Pacific/Chatham")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def local(zone: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("kind", "begin", "end"),
    [
        (DAY, (2026, 11, 27), (2026, 11, 28)),
        (WEEK, (2026, 11, 23), (2026, 11, 30)),  # from Monday to Monday
        (MONTH, (2026, 11, 1), (2026, 12, 1)),
    ],
)
@pytest.mark.parametrize("zone", ZONES)
def test_a_period_begins_at_midnight_of_its_place(
    zone: str, kind: PeriodKind, begin: tuple[int, ...], end: tuple[int, ...]
) -> None:
    period = Period(local(zone, *begin), local(zone, *end))

    assert period_in(kind, zone, local(zone, 2026, 11, 27, 15)) == period
    assert period_in(kind, zone, period.begin) == period
    assert period_in(kind, zone, period.end - timedelta(microseconds=1)) == period
    assert period_in(kind, zone, period.end).begin == period.end
    assert {each.tzinfo for each in period} == {UTC}


@pytest.mark.parametrize(
    ("zone", "day", "begin", "hours"),
    [
        (BERLIN, (2026, 3, 29), utc(2026, 3, 28, 23), 23),
        (BERLIN, (2026, 10, 25), utc(2026, 10, 24, 22), 25),
        (NEW_YORK, (2026, 3, 8), utc(2026, 3, 8, 5), 23),
        (NEW_YORK, (2026, 11, 1), utc(2026, 11, 1, 4), 25),
        (CAIRO, (2026, 4, 24), utc(2026, 4, 23, 22), 23),  # at midnight, the clock goes to one
        (CAIRO, (2026, 4, 23), utc(2026, 4, 22, 22), 24),
        (CAIRO, (2026, 10, 29), utc(2026, 10, 28, 21), 25),  # at midnight, back to eleven
        ("Atlantic/Azores", (2026, 10, 25), utc(2026, 10, 25, 0), 25),  # midnight comes twice
        (KATHMANDU, (2026, 7, 1), utc(2026, 6, 30, 18, 15), 24),
    ],
)
def test_a_day_with_a_clock_change_has_its_own_length(
    zone: str, day: tuple[int, int, int], begin: datetime, hours: int
) -> None:
    period = Period(begin, begin + timedelta(hours=hours))

    assert period_in(DAY, zone, local(zone, *day, 12)) == period
    for moment in (begin, begin + timedelta(minutes=59), period.end - timedelta(seconds=1)):
        assert period_in(DAY, zone, moment) == period


def test_a_day_that_a_place_leaves_out_is_in_no_period() -> None:
    """Samoa had no 30 December 2011."""
    change = utc(2011, 12, 30, 10)

    assert period_in(DAY, APIA, change - timedelta(hours=1)).end == change
    assert period_in(DAY, APIA, change) == Period(change, change + timedelta(days=1))
    week = period_in(WEEK, APIA, change)
    assert week.end - week.begin == timedelta(days=6)


def test_a_month_may_end_in_a_clock_change() -> None:
    assert period_in(MONTH, BERLIN, utc(2027, 3, 15)) == Period(
        utc(2027, 2, 28, 23), utc(2027, 3, 31, 22)
    )
    assert period_in(MONTH, NEW_YORK, utc(2026, 11, 15)) == Period(
        utc(2026, 11, 1, 4), utc(2026, 12, 1, 5)
    )
    # In Lebanon, the Sunday begins at one o'clock; the week goes on to Monday.
    assert period_in(WEEK, "Asia/Beirut", utc(2026, 3, 27)).end == utc(2026, 3, 29, 21)


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_goes_from_its_first_day_to_the_next_ones(month: int) -> None:
    begin = local(BERLIN, 2028, month, 1)  # a leap year
    end = local(BERLIN, 2028 + month // 12, month % 12 + 1, 1)

    assert period_in(MONTH, BERLIN, end - timedelta(seconds=1)) == Period(begin, end)


def test_without_a_change_the_zone_is_utc() -> None:
    moment = utc(2026, 11, 27, 23, 30)

    assert current_period(DAY, [], moment) == period_in(DAY, "UTC", moment)
    assert month_of(moment) == Period(utc(2026, 11, 1), utc(2026, 12, 1))


def test_a_new_zone_applies_from_its_next_boundary() -> None:
    """The day in which the zone was changed goes on until midnight there."""
    zones = [ZoneChange(utc(2026, 11, 27, 12), NEW_YORK)]
    long = Period(utc(2026, 11, 27), utc(2026, 11, 28, 5))

    assert current_period(DAY, zones, utc(2026, 11, 27, 12)) == long
    assert current_period(DAY, zones, utc(2026, 11, 28, 4, 59)) == long
    assert current_period(DAY, zones, utc(2026, 11, 28, 5)) == Period(
        utc(2026, 11, 28, 5), utc(2026, 11, 29, 5)
    )
    # Before the change too, once that is known.
    assert current_period(DAY, zones, utc(2026, 11, 27, 11)) == long
    assert current_period(DAY, zones, utc(2026, 11, 26, 23)).end == utc(2026, 11, 27)


def test_a_zone_further_east_makes_the_period_shorter() -> None:
    zones = [ZoneChange(utc(2026, 11, 27, 12), KATHMANDU)]

    assert current_period(DAY, zones, utc(2026, 11, 27, 13)) == Period(
        utc(2026, 11, 27), utc(2026, 11, 27, 18, 15)
    )
    # Of the week, whose boundary is days away, nothing is lost.
    assert current_period(WEEK, zones, utc(2026, 11, 27, 13)) == Period(
        utc(2026, 11, 23), utc(2026, 11, 29, 18, 15)
    )


def test_a_change_at_the_boundary_itself_begins_with_a_new_period() -> None:
    zones = [ZoneChange(utc(2026, 11, 27), NEW_YORK)]

    assert current_period(DAY, zones, utc(2026, 11, 27)) == Period(
        utc(2026, 11, 27), utc(2026, 11, 27, 5)
    )


def test_a_boundary_of_the_former_zone_at_the_change_itself_still_counts() -> None:
    zones = [ZoneChange(utc(2026, 11, 27), NEW_YORK)]

    assert current_period(DAY, zones, utc(2026, 11, 26, 12)) == Period(
        utc(2026, 11, 26), utc(2026, 11, 27)
    )


def test_a_boundary_of_the_new_zone_at_the_change_itself_does_not_count() -> None:
    """At midnight in Kathmandu."""
    zones = [ZoneChange(utc(2026, 11, 27, 18, 15), KATHMANDU)]
    long = Period(utc(2026, 11, 27), utc(2026, 11, 28, 18, 15))

    assert current_period(DAY, zones, utc(2026, 11, 27, 12)) == long
    assert current_period(DAY, zones, utc(2026, 11, 27, 18, 15)) == long
    assert current_period(DAY, zones, utc(2026, 11, 28, 18)) == long


def test_only_the_changes_that_a_period_can_reach_are_needed() -> None:
    """A change is needed until a later month has begun after it, in its own zone."""
    first = ZoneChange(utc(2026, 8, 10), BERLIN)
    second = ZoneChange(utc(2026, 9, 10), NEW_YORK)
    third = ZoneChange(utc(2026, 10, 10), KATHMANDU)
    zones = (first, second, third)
    month = local(KATHMANDU, 2026, 11, 1)

    assert reached(zones, month) == (third,)
    assert reached(zones, month - timedelta(microseconds=1)) == (second, third)
    assert reached(zones, utc(2026, 9, 30)) == zones
    assert reached(zones, second.since) == zones
    assert reached(zones, utc(2026, 8, 1)) == zones  # none of them was made
    assert reached((), month) == ()


def test_a_week_may_reach_a_change_that_a_month_does_not() -> None:
    """The month has begun since the second change, and the week has not."""
    first = ZoneChange(utc(2026, 8, 10), BERLIN)
    second = ZoneChange(utc(2026, 11, 30, 12), NEW_YORK)  # on Monday

    assert reached((first, second), utc(2026, 12, 2)) == (first, second)
    assert reached((first, second), utc(2026, 12, 8)) == (second,)


def test_a_zone_that_was_left_just_before_its_month_began_has_not_begun_one() -> None:
    """The month of New York has not begun either."""
    first = ZoneChange(utc(2026, 8, 10), BERLIN)
    second = ZoneChange(utc(2026, 11, 10), KATHMANDU)  # where December begins at 18:15 (UTC)
    third = ZoneChange(utc(2026, 11, 30, 18), NEW_YORK)

    assert reached((first, second, third), utc(2026, 11, 30, 20)) == (first, second, third)


def test_a_change_at_the_beginning_of_a_month_does_not_begin_the_month() -> None:
    first = ZoneChange(utc(2026, 8, 10), BERLIN)
    second = ZoneChange(local(KATHMANDU, 2026, 10, 1), KATHMANDU)

    assert reached((first, second), utc(2026, 10, 20)) == (first, second)
    assert reached((first, second), utc(2026, 11, 20)) == (second,)


def test_a_zone_that_never_reaches_a_boundary_makes_none() -> None:
    """Changed back before midnight in New York, as if nothing had happened."""
    zones = [
        ZoneChange(utc(2026, 11, 27, 12), NEW_YORK),
        ZoneChange(utc(2026, 11, 27, 13), KATHMANDU),
        ZoneChange(utc(2026, 11, 27, 14), "UTC"),
    ]

    assert current_period(DAY, zones, utc(2026, 11, 27, 15)) == Period(
        utc(2026, 11, 27), utc(2026, 11, 28)
    )


def test_hopping_before_each_midnight_makes_one_long_period() -> None:
    """Nobody gains: no boundary comes, so that the allowance is not renewed."""
    zones = []
    for day in (27, 28, 29):
        zones += [
            ZoneChange(utc(2026, 11, day, 23), NEW_YORK),  # whose midnight is at 5
            ZoneChange(utc(2026, 11, day + 1, 4), "UTC"),
        ]

    assert current_period(DAY, zones, utc(2026, 11, 29, 12)) == Period(
        utc(2026, 11, 27), utc(2026, 12, 1)
    )


def test_a_zone_that_this_machine_does_not_know_counts_as_utc() -> None:
    moment = utc(2026, 11, 27, 12)

    for gone in ("Mars/Olympus", "../etc/passwd", ""):
        assert period_in(DAY, gone, moment) == period_in(DAY, "UTC", moment)
        assert zone_info(gone) is zone_info("UTC") is UTC


MOMENTS = st.integers(0, 4 * 365 * 24 * 60).map(
    lambda each: utc(2026, 1, 1) + timedelta(minutes=each)
)
HISTORIES = st.lists(st.tuples(MOMENTS, st.sampled_from(ZONES)), max_size=6).map(
    lambda found: [ZoneChange(*each) for each in sorted(dict(found).items())]
)
CLOSE = st.lists(
    st.tuples(st.integers(0, 10 * 24 * 4), st.sampled_from(ZONES)), min_size=2, max_size=12
).map(
    lambda found: [
        ZoneChange(utc(2026, 3, 25) + timedelta(minutes=15 * quarters), zone)
        for quarters, zone in sorted(dict(found).items())
    ]
)


@given(st.sampled_from(PeriodKind), st.sampled_from(ZONES), MOMENTS)
def test_a_period_contains_its_moment_and_is_the_same_for_each(
    kind: PeriodKind, zone: str, moment: datetime
) -> None:
    period = period_in(kind, zone, moment)

    assert period.begin <= moment < period.end
    assert period_in(kind, zone, period.begin) == period
    assert period_in(kind, zone, period.end).begin == period.end
    assert period_in(kind, zone, period.begin - timedelta(seconds=1)).end == period.begin


@given(st.sampled_from(PeriodKind), HISTORIES | CLOSE, MOMENTS)
def test_periods_tile_the_time_under_any_history(
    kind: PeriodKind, zones: Sequence[ZoneChange], start: datetime
) -> None:
    start = min([start, *(each.since for each in zones)])
    period = current_period(kind, zones, start)
    assert period.begin <= start < period.end
    for _ in range(12):
        following = current_period(kind, zones, period.end)
        assert following.begin == period.end < following.end
        length = period.end - period.begin
        for moment in (period.begin, period.begin + length / 3, period.end - timedelta(seconds=1)):
            assert current_period(kind, zones, moment) == period
        period = following


@given(st.sampled_from(PeriodKind), CLOSE, st.integers(-(24 * 60), 12 * 24 * 60))
def test_a_period_lies_between_the_boundaries_that_count(
    kind: PeriodKind, zones: Sequence[ZoneChange], minutes: int
) -> None:
    """Naively: the boundaries of every zone that lie within the time in which it applied."""
    moment = utc(2026, 3, 25) + timedelta(minutes=minutes)
    first, last = utc(2026, 1, 1), utc(2026, 6, 1)
    spans = [ZoneChange(first, "UTC"), *zones, ZoneChange(last, "")]
    counted = set()
    for (since, zone), (until, _) in pairwise(spans):
        boundary = period_in(kind, zone, since).end
        while boundary <= until:
            counted.add(boundary)
            boundary = period_in(kind, zone, boundary).end
    expected = Period(
        max(each for each in counted if each <= moment),
        min(each for each in counted if each > moment),
    )

    assert current_period(kind, zones, moment) == expected


@given(st.sampled_from(PeriodKind), CLOSE)
def test_what_is_known_at_a_moment_agrees_with_what_is_known_later_about_its_beginning(
    kind: PeriodKind, zones: Sequence[ZoneChange]
) -> None:
    for number, change in enumerate(zones):
        known = current_period(kind, zones[: number + 1], change.since)
        assert known.begin == current_period(kind, zones, change.since).begin


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Europe/Berlin", BERLIN),
        (" europe/berlin ", BERLIN),
        ("AMERICA/NEW YORK", NEW_YORK),
        ("utc", "UTC"),
        ("america/argentina/buenos_aires", "America/Argentina/Buenos_Aires"),
    ],
)
def test_a_zone_is_known_in_any_case(typed: str, name: str) -> None:
    assert zone_named(typed) == name


@pytest.mark.parametrize(
    "typed", ["", "Berlin", "Europe", "Europe/Atlantis", "+02:00", "../UTC", "localtime", "\0"]
)
def test_another_word_is_refused_with_examples(typed: str) -> None:
    with pytest.raises(UnknownZone, match="such as Europe/Berlin, Asia/Tokyo or UTC") as refused:
        zone_named(typed)

    assert f"“{typed}” is not a time zone." in str(refused.value)
