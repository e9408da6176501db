"""Settings, rights and tiers as managers change them, and each change in the audit."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.errors import UserError
from bot.periods import Period, PeriodKind, ZoneChange
from bot.quotas import Member
from bot.rights import ALL_MODELS, READY_MADE, Rights, ServerSettings, Subject
from bot.services import Services
from bot.store.changes import Change
from bot.store.database import Database
from bot.studio.managers import BotNotInServer, ManagersOnly
from bot.studio.servers import AUDIT_PAGE, Budget, Servers, SubjectRights
from bot.studio.setting_changes import ZONES_REACH, changed_settings
from bot.studio.setting_input import Word
from bot.studio.tiers import NoSuchTier, Tiers, TierTaken
from tests.support.rights import credits
from tests.support.rows import NOW, new_job, one
from tests.support.studio import DEFAULT, MANAGER

DAY, WEEK, MONTH = PeriodKind
ROLE = (Subject.ROLE, "7")
GUEST = (Subject.TIER, "guest")


@pytest.fixture
def servers(services: Services) -> Servers:
    return Servers(services)


@pytest.fixture
def tiers(services: Services) -> Tiers:
    return Tiers(services)


def change(subject: str, before: str, after: str) -> Change:
    return Change(10, 9, NOW, subject, before, after)


async def audited(servers: Servers) -> list[Change]:
    """Return all changes, oldest first, without their ids."""
    found = await servers.audit(MANAGER)
    return [replace(each, id=0) for each in reversed(found)]


@pytest.mark.parametrize(
    ("limit", "used", "up", "nearly"),
    [
        (None, 10**9, False, False),
        (0, 0, True, True),
        (1000, 799, False, False),
        (1000, 800, False, True),
        (1000, 999, False, True),
        (1000, 1000, True, True),
        (1000, -5, False, False),
    ],
)
def test_a_budget_is_nearly_used_up_at_80_per_cent(
    limit: int | None, used: int, up: bool, nearly: bool
) -> None:
    of_limit = None if limit is None else credits(limit / 1000)
    found = Budget(ServerSettings(budget=of_limit), used, Period(NOW, NOW), {})

    assert (found.limit, found.is_used_up, found.is_nearly_used_up) == (limit, up, nearly)


def test_without_a_budget_nothing_is_used_up() -> None:
    found = Budget(ServerSettings(), 10**9, Period(NOW, NOW), {})

    assert (found.limit, found.is_used_up, found.is_nearly_used_up) == (None, False, False)


async def test_the_use_of_a_budget_is_that_of_its_period_in_the_zone(
    database: Database, servers: Servers
) -> None:
    """It is Saturday, 21:00 in Tokyo."""
    for at in (NOW, NOW - timedelta(hours=20), NOW - timedelta(days=10)):
        await one(database, new_job(at=at))
    await one(database, new_job(server_id=11))
    of_month = await servers.budget(MANAGER)
    await servers.change_settings(MANAGER, {"zone": "Asia/Tokyo"})
    await servers.change_settings(MANAGER, {"amount": 9000, "period": DAY})
    of_day = await servers.budget(MANAGER)
    await servers.change_settings(MANAGER, {"period": WEEK})
    of_week = await servers.budget(MANAGER)

    assert [each.used for each in (of_month, of_day, of_week)] == [22_500, 7500, 15_000]
    assert [each.limit for each in (of_month, of_day, of_week)] == [None, 9000, 9000]
    begin = NOW.replace(hour=0)
    assert of_month.period == Period(begin.replace(day=1), begin.replace(month=12, day=1))
    ends = {DAY: 21, WEEK: 22, MONTH: 30}
    assert of_day.ends == {kind: begin.replace(day=day, hour=15) for kind, day in ends.items()}
    assert of_day.period.end == of_day.ends[DAY]
    assert of_week.period.end == of_week.ends[WEEK]


async def test_each_setting_is_stored_and_audited(servers: Servers) -> None:
    changed = {
        "amount": 5000,
        "period": DAY,
        "channels": frozenset({7}),
        "roles": frozenset({8}),
        "notices": 9,
        "zone": "Asia/Tokyo",
    }
    expected = [
        change("server budget", "unlimited", "5 credits a day"),
        change("allowed channels", "all", "<#7>"),
        change("allowed roles", "all", "<@&8>"),
        change("channel for notices", "not set", "<#9>"),
        change("time zone", "UTC", "Asia/Tokyo"),
    ]

    assert await servers.change_settings(MANAGER, changed) == expected
    assert await audited(servers) == expected
    stored = ServerSettings(
        budget=credits(5, DAY),
        channels=frozenset({7}),
        roles=frozenset({8}),
        notices=9,
        zones=(ZoneChange(NOW, "Asia/Tokyo"),),
    )
    assert await servers.settings(MANAGER) == await servers.settings_of(10) == stored
    assert await servers.settings_of(11) == ServerSettings()
    assert await servers.change_settings(MANAGER, changed) == []
    unlimited = [change("server budget", "5 credits a day", "unlimited")]
    assert await servers.change_settings(MANAGER, {"amount": Word.UNLIMITED}) == unlimited
    assert (await servers.settings(MANAGER)).budget is None


async def test_each_right_is_stored_and_audited(servers: Servers) -> None:
    changed = {
        "tier": "guest",
        "amount": Word.UNLIMITED,
        "models": frozenset({"oxen"}),
        "pictures": 3,
        "private": False,
        "edit": True,
        "jobs": 2,
        "cooldown": 5,
    }
    expected = [
        change("role <@&7>: tier", "not set", "guest"),
        change("role <@&7>: allowance", "not set", "unlimited"),
        change("role <@&7>: models", "not set", "oxen"),
        change("role <@&7>: pictures at once", "not set", "3"),
        change("role <@&7>: private pictures", "not set", "not allowed"),
        change("role <@&7>: editing pictures", "not set", "allowed"),
        change("role <@&7>: jobs at once", "not set", "2"),
        change("role <@&7>: cooldown", "not set", "5 s"),
    ]

    assert await servers.change_rights(MANAGER, *ROLE, changed) == expected
    assert await audited(servers) == expected
    found = await servers.rights(MANAGER, *ROLE)
    assert found.own == Rights(
        tier="guest",
        allowance=credits(None),
        models=frozenset({"oxen"}),
        pictures=3,
        private=False,
        edit=True,
        jobs=2,
        cooldown=5,
    )
    assert await servers.change_rights(MANAGER, *ROLE, changed) == []
    assert [each.name for each in await servers.granted(MANAGER)] == ["7"]


async def test_the_period_of_an_allowance_stays_unless_it_is_changed(servers: Servers) -> None:
    for changed, allowance in (
        ({"amount": 5000}, credits(5)),
        ({"period": WEEK}, credits(5, WEEK)),
        ({"amount": 6000}, credits(6, WEEK)),
        ({"pictures": 1}, credits(6, WEEK)),
        ({"amount": Word.UNSET}, None),
        ({"amount": 1000, "period": DAY}, credits(1, DAY)),
    ):
        await servers.change_rights(MANAGER, *DEFAULT, changed)
        assert (await servers.rights(MANAGER, *DEFAULT)).own.allowance == allowance


async def test_a_tier_is_as_the_server_has_changed_it_until_it_is_reset(servers: Servers) -> None:
    guest = READY_MADE["guest"]
    await servers.change_rights(MANAGER, *ROLE, {"tier": "guest", "jobs": 9})
    ready = await servers.rights(MANAGER, *GUEST)
    await servers.change_rights(MANAGER, *GUEST, {"pictures": 4, "models": ALL_MODELS})
    changed, of_role = [await servers.rights(MANAGER, *each) for each in (GUEST, ROLE)]
    await servers.reset_tier(MANAGER, "guest")
    reset, role_again = [await servers.rights(MANAGER, *each) for each in (GUEST, ROLE)]

    as_changed = guest.model_copy(update={"pictures": 4, "models": ALL_MODELS})
    assert ready == reset == SubjectRights(*GUEST, guest, guest)
    assert changed == SubjectRights(*GUEST, as_changed, as_changed, changed=True)
    own = Rights(tier="guest", jobs=9)
    assert of_role == SubjectRights(*ROLE, own, own.over(as_changed))
    assert role_again == SubjectRights(*ROLE, own, own.over(guest))
    assert (await audited(servers))[2:] == [
        change("tier guest: models", "not set", "all"),
        change("tier guest: pictures at once", "1", "4"),
        change("tier guest: models", "all", "not set"),
        change("tier guest: pictures at once", "4", "1"),
    ]


async def test_a_page_of_the_audit_has_one_change_more_if_another_page_follows(
    servers: Servers,
) -> None:
    for amount in range(AUDIT_PAGE + 2):
        await servers.change_settings(MANAGER, {"amount": amount * 1000})

    first = await servers.audit(MANAGER)
    assert len(first) == AUDIT_PAGE + 1
    assert first[0].after == f"{AUDIT_PAGE + 1} credits a month"
    second = await servers.audit(MANAGER, first[AUDIT_PAGE - 1].id)
    assert [each.before for each in second] == ["0 credits a month", "unlimited"]


def zones_after(settings: ServerSettings, zone: str, now: datetime) -> list[tuple[datetime, str]]:
    after = changed_settings(settings, {"zone": zone}, now)
    return [(each.since, each.zone) for each in after.zones]


def test_changes_of_the_zone_are_stored_while_a_period_can_reach_them() -> None:
    """The period of a job that was requested 31 days before."""
    tokyo = changed_settings(ServerSettings(), {"zone": "Asia/Tokyo"}, NOW)
    month = datetime(2026, 11, 30, 15, tzinfo=NOW.tzinfo)  # in Tokyo, December begins
    last = month + ZONES_REACH

    dropped = zones_after(tokyo, "UTC", last)
    assert dropped == [(NOW, "Asia/Tokyo"), (last, "UTC")]
    both = changed_settings(tokyo, {"zone": "Europe/Berlin"}, NOW + timedelta(days=1))
    december = datetime(2026, 11, 30, 23, tzinfo=NOW.tzinfo)  # in Berlin
    for early in (timedelta(0), timedelta(microseconds=1)):
        now = december + ZONES_REACH - early
        stored = [zone for _, zone in zones_after(both, "UTC", now)]
        assert stored == ["Asia/Tokyo"] * bool(early) + ["Europe/Berlin", "UTC"]


def test_the_same_zone_again_is_no_change() -> None:
    assert zones_after(ServerSettings(), "UTC", NOW) == []
    tokyo = changed_settings(ServerSettings(), {"zone": "Asia/Tokyo"}, NOW)
    assert changed_settings(tokyo, {"zone": "Asia/Tokyo"}, NOW + timedelta(days=1)) == tokyo


async def test_a_tier_is_taken_and_dropped_by_a_role_or_the_default(
    servers: Servers, tiers: Tiers
) -> None:
    assert await tiers.take(MANAGER, " Guest ", 7) == TierTaken(None, "guest", own=False)
    assert await tiers.take(MANAGER, "artist", None) == TierTaken(None, "artist", own=False)
    await servers.change_rights(MANAGER, *ROLE, {"jobs": 3})
    assert await tiers.take(MANAGER, "member", 7) == TierTaken("guest", "member", own=True)
    assert (await servers.rights(MANAGER, *ROLE)).own == Rights(tier="member", jobs=3)
    assert (await servers.rights(MANAGER, *DEFAULT)).own == Rights(tier="artist")
    found = {each.name: each for each in await tiers.all(MANAGER)}
    assert [*found] == [*READY_MADE]
    assert (found["member"].roles, found["member"].is_default) == ((7,), False)
    assert (found["artist"].roles, found["artist"].is_default) == ((), True)
    assert (found["guest"].roles, found["guest"].is_default) == ((), False)

    assert await tiers.drop(MANAGER, None) == TierTaken("artist", None, own=False)
    assert await tiers.drop(MANAGER, 7) == TierTaken("member", None, own=True)
    assert (await servers.rights(MANAGER, *ROLE)).own == Rights(jobs=3)
    assert not any(each.roles or each.is_default for each in await tiers.all(MANAGER))
    with pytest.raises(NoSuchTier, match=r"no tier King\. Choose one of these: guest, member"):
        await tiers.take(MANAGER, "King", None)


async def test_the_tiers_of_a_server_show_what_it_has_changed(
    servers: Servers, tiers: Tiers
) -> None:
    await servers.change_rights(MANAGER, *GUEST, {"pictures": 4})
    found = {each.name: each for each in await tiers.all(MANAGER)}

    assert {name: each.changed for name, each in found.items()} == {
        "guest": True,
        "member": False,
        "artist": False,
    }
    assert found["guest"].rights.pictures == 4
    assert found["artist"].rights == READY_MADE["artist"]


@pytest.mark.parametrize(
    ("member", "refusal"),
    [
        (replace(MANAGER, may_manage=False), ManagersOnly),
        (replace(MANAGER, server_id=0), BotNotInServer),
    ],
)
async def test_nobody_else_has_to_do_with_tiers(
    tiers: Tiers, member: Member, refusal: type[UserError]
) -> None:
    for denied in (
        tiers.all(member),
        tiers.take(member, "guest", None),
        tiers.drop(member, 7),
    ):
        with pytest.raises(refusal):
            await denied
    assert not any(each.roles for each in await tiers.all(MANAGER))
