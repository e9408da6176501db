"""What follows from a change of settings, on both databases; and what managers may type."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backoff import utc_now
from bot.errors import UserError
from bot.periods import PeriodKind, ZoneChange, current_period, reached
from bot.quotas import Member
from bot.rights import ALL_MODELS, READY_MADE, Allowance, Rights, ServerSettings, Subject
from bot.store.backends import open_database
from bot.studio.managers import BotNotInServer, ManagersOnly
from bot.studio.servers import Servers
from bot.studio.setting_changes import MOST_ZONES, changed_settings, setting_text
from bot.studio.setting_input import (
    AmountAmbiguous,
    Word,
    limit_text,
    read_amount,
    read_limit,
    read_number,
    read_seconds,
)
from tests.support.services import services_on

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ADA = Member(user_id=1, server_id=5, may_manage=True)
BEN = Member(user_id=2, server_id=5, may_manage=True)
ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati")


@pytest.fixture
async def servers(database_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    async with open_database(database_url) as database:
        yield Servers(services_on(database, tmp_path, utc_now))


async def test_two_managers_at_once_both_have_what_they_changed(servers: Servers) -> None:
    await asyncio.gather(
        *(servers.change_settings(ADA, {"amount": each * 1000}) for each in range(1, 6)),
        servers.change_settings(BEN, {"zone": "Asia/Tokyo"}),
        servers.change_settings(BEN, {"channels": frozenset({7})}),
        servers.change_settings(BEN, {"period": PeriodKind.DAY, "amount": 9_000}),
    )
    found, listed = await servers.settings(ADA), await servers.audit(ADA)

    assert (found.zone, found.channels) == ("Asia/Tokyo", frozenset({7}))
    assert found.budget is not None
    budgets = [each for each in reversed(listed) if each.subject == "server budget"]
    assert [each.before for each in budgets[1:]] == [each.after for each in budgets[:-1]]
    assert budgets[-1].after == setting_text("budget", found.budget)


async def test_rights_are_merged_with_the_stored_ones(servers: Servers) -> None:
    role = (Subject.ROLE, "7")
    await servers.change_rights(ADA, *role, {"amount": Word.UNLIMITED, "period": PeriodKind.DAY})
    await servers.change_rights(BEN, *role, {"pictures": 3, "models": ALL_MODELS})
    await servers.change_rights(BEN, *role, {"tier": "guest"})
    found = await servers.rights(ADA, *role)

    assert found.own == Rights(
        tier="guest",
        allowance=Allowance(amount=None, period=PeriodKind.DAY),
        pictures=3,
        models=ALL_MODELS,
    )
    assert found.whole == READY_MADE["guest"].model_copy(
        update={**found.own.model_dump(exclude_none=True), "allowance": found.own.allowance}
    )
    unset = {"tier": None, "amount": Word.UNSET, "pictures": None, "models": None}
    await servers.change_rights(ADA, *role, unset)
    assert await servers.granted(ADA) == []


async def test_what_changes_nothing_is_no_change(servers: Servers) -> None:
    await servers.change_settings(
        ADA, {"zone": "UTC", "channels": frozenset(), "amount": Word.UNSET}
    )
    await servers.change_rights(ADA, Subject.TIER, "guest", {"pictures": 1})
    await servers.reset_tier(ADA, "guest")

    assert await servers.audit(ADA) == []
    assert await servers.settings(ADA) == ServerSettings()


@pytest.mark.parametrize(
    ("member", "error"),
    [
        (Member(user_id=1, server_id=5), ManagersOnly),
        (Member(user_id=1, server_id=0, may_manage=True), BotNotInServer),
    ],
)
async def test_nobody_else_reads_or_changes_anything(
    servers: Servers, member: Member, error: type[UserError]
) -> None:
    for denied in (
        servers.settings(member),
        servers.budget(member),
        servers.rights(member, Subject.DEFAULT),
        servers.granted(member),
        servers.audit(member),
        servers.change_settings(member, {"amount": 0}),
        servers.change_rights(member, Subject.DEFAULT, "", {"pictures": 0}),
        servers.reset_tier(member, "guest"),
    ):
        with pytest.raises(error):
            await denied


@given(
    st.lists(
        st.tuples(st.integers(0, 90 * 24 * 60), st.sampled_from(ZONES)), max_size=8, unique=True
    ),
    st.integers(0, 40 * 24 * 60),
)
def test_without_the_changes_that_no_period_reaches_nothing_is_different(
    made: list[tuple[int, str]], later: int
) -> None:
    zones = [ZoneChange(NOW - timedelta(minutes=each), zone) for each, zone in sorted(made)[::-1]]
    since = NOW - timedelta(days=31)
    kept = reached(zones, since)

    assert kept == tuple(zones[len(zones) - len(kept) :])
    for kind in PeriodKind:
        moment = since + timedelta(minutes=later)
        assert current_period(kind, kept, moment) == current_period(kind, zones, moment)


def test_a_clock_that_is_set_back_leaves_the_changes_of_zones_in_order() -> None:
    once = changed_settings(ServerSettings(), {"zone": "Asia/Tokyo"}, NOW)
    twice = changed_settings(once, {"zone": "UTC"}, NOW - timedelta(seconds=2))

    assert twice.zone == "UTC"
    assert [*twice.zones] == sorted(twice.zones, key=lambda each: each.since)
    assert twice.zones[-1].since == NOW


def test_old_changes_of_the_zone_are_dropped_and_several_stay_in_order() -> None:
    found, moment = ServerSettings(), NOW
    for number in range(400):
        moment = NOW + timedelta(days=number)
        zone = ZONES[number % 2 + 1]
        found = changed_settings(found, {"zone": zone}, moment)
        assert len(found.zones) <= MOST_ZONES
        assert list(found.zones) == sorted(found.zones)
        assert found.zones[-1] == ZoneChange(moment, zone)
    once = changed_settings(ServerSettings(), {"zone": "Asia/Tokyo"}, NOW)
    late = changed_settings(once, {"zone": "UTC"}, NOW + timedelta(days=100))
    later = changed_settings(late, {"zone": "Asia/Tokyo"}, NOW + timedelta(days=200))
    assert [each.zone for each in later.zones] == ["UTC", "Asia/Tokyo"]


@given(st.integers(0, 1_000_000_000))
def test_every_amount_is_read_as_it_is_shown(amount: int) -> None:
    text = limit_text(amount)
    try:
        assert read_amount(text) == amount
        assert read_amount(text.replace(".", ",")) == amount
    except AmountAmbiguous:  # 1.125 may be a thousand
        assert amount % 1000
        assert amount < 1_000_000


@given(st.text(max_size=40))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    for read in (read_amount, read_limit, read_seconds, lambda typed: read_number(typed, 0, 10)):
        with suppress(UserError):
            read(text)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("", None), ("0", 0), ("90", 90), ("2m", 120), ("2 min", 120), ("1H", 3600), ("24h", 86400)],
)
def test_times_have_units(typed: str, seconds: int | None) -> None:
    assert read_seconds(typed) == seconds


@pytest.mark.parametrize("typed", ["25h", "86401", "-1", "1d", "1.5m", "m"])
def test_other_times_are_refused(typed: str) -> None:
    with pytest.raises(UserError):
        read_seconds(typed)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("budget", None, "unlimited"),
        ("allowance", None, "not set"),
        ("allowance", Allowance(amount=None), "unlimited"),
        ("allowance", Allowance(amount=7_500, period=PeriodKind.DAY), "7.5 credits a day"),
        ("allowance", Allowance(amount=0), "0 credits a month"),
        ("channels", frozenset({2, 1}), "<#1>, <#2>"),
        ("roles", frozenset(), "all"),
        ("roles", frozenset({3}), "<@&3>"),
        ("notices", 4, "<#4>"),
        ("models", ALL_MODELS, "all"),
        ("models", frozenset({"b", "a"}), "a, b"),
        ("private", False, "not allowed"),
        ("cooldown", 0, "none"),
        ("cooldown", 60, "60 s"),
        ("pictures", 0, "0"),
        ("tier", "guest", "guest"),
    ],
)
def test_settings_are_texts_for_people(name: str, value: object, text: str) -> None:
    assert setting_text(name, value) == text
