"""A member's own use, choices, export and deletion: what is counted, and what is refused."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.errors import NotNow, UserError
from bot.jobs import Notify
from bot.periods import PeriodKind, ZoneChange
from bot.pseudonyms import Pseudonyms
from bot.quotas import Member, Quotas
from bot.rights import Rights, ServerSettings, Subject
from bot.services import Services
from bot.store import servers
from bot.store.database import Database
from bot.store.erasure_requests import Erasure
from bot.studio import export
from bot.studio.erasure import DeletionUnavailable, Erasures, NothingStored, Stored
from bot.studio.export import (
    COOLDOWN,
    Bounds,
    ExportedJustNow,
    ExportRunning,
    Exports,
    TooManyExports,
)
from bot.studio.export.collect import ExportNotWritten
from bot.studio.preferences import Preferences
from bot.studio.usage import DAYS, UsageReports
from tests.support.clock import Moment
from tests.support.rights import credits
from tests.support.rows import NOW, new_job, one
from tests.support.studio import ADA, failed, succeeded

MIB = 1024 * 1024
DAY = timedelta(days=1)


async def used(database: Database) -> None:
    """Store jobs of Ada in two servers, on three days, and one of another member."""
    await succeeded(database, new_job(1, at=NOW), cost=1000)
    await succeeded(database, new_job(1, at=NOW - DAY), cost=2000)
    await succeeded(database, new_job(1, at=NOW - (DAYS - 1) * DAY), cost=4000)
    await succeeded(database, new_job(1, at=NOW - DAYS * DAY), cost=8000)
    await succeeded(database, new_job(1, server_id=11), cost=16_000)
    await succeeded(database, new_job(2), cost=32_000)


async def test_the_use_in_a_server_is_beside_that_of_the_month(
    database: Database, services: Services
) -> None:
    await used(database)
    async with database.transaction() as tx:
        rights = Rights(allowance=credits(50, PeriodKind.DAY))
        await servers.store_rights(tx, 10, Subject.DEFAULT, "", rights)
    reports = UsageReports(replace(services, quotas=Quotas(allowance=100_000)))

    report = await reports.of(ADA)

    assert report.here is not None
    assert (report.here.used, report.here.left, report.kind) == (1000, 49_000, PeriodKind.DAY)
    assert (report.month.used, report.month.left) == (19_000, 81_000)
    assert [(each.model, each.jobs, each.used) for each in report.models] == [("oxen", 3, 7000)]
    assert len(report.days) == DAYS
    found = [(day, amount) for day, amount in report.days if amount]
    today = NOW.date()
    assert found == [(today - (DAYS - 1) * DAY, 4000), (today - DAY, 2000), (today, 1000)]
    assert (report.zone, report.is_empty) == ("UTC", False)


async def test_in_direct_messages_the_use_is_that_of_all_servers(
    database: Database, services: Services
) -> None:
    await used(database)

    report = await UsageReports(services).of(Member(1))

    assert (report.here, report.kind, report.month.left) == (None, PeriodKind.MONTH, None)
    assert [(each.model, each.jobs, each.used) for each in report.models] == [("oxen", 4, 23_000)]
    assert report.days[-1] == (NOW.date(), 17_000)


async def test_the_days_of_a_server_are_those_of_its_zone(
    database: Database, services: Services
) -> None:
    async with database.transaction() as tx:
        zones = (ZoneChange(NOW - 60 * DAY, "Pacific/Auckland"),)
        await servers.store_settings(tx, 10, ServerSettings(zones=zones))

    report = await UsageReports(services).of(ADA)

    assert (report.zone, report.days[-1]) == ("Pacific/Auckland", (NOW.date() + DAY, 0))
    assert report.is_empty
    assert (report.here and report.here.left, report.kind) == (None, PeriodKind.MONTH)


async def test_a_choice_holds_until_another_one(database: Database, services: Services) -> None:
    preferences = Preferences(services)
    assert await preferences.notify_of(1) is Notify.PING
    for choice in (Notify.DIRECT, Notify.SILENT):
        await preferences.choose_notify(1, choice)
        assert await preferences.notify_of(1) is choice
    assert await preferences.notify_of(2) is Notify.PING


@pytest.fixture
def erasures(services: Services) -> Erasures:
    services.database.use_pseudonyms(Pseudonyms(SecretStr("k" * 32)))
    return Erasures(services)


async def test_without_the_key_nothing_is_deleted(services: Services) -> None:
    erasures = Erasures(services)
    for denied in (
        erasures.progress(1),
        erasures.stored(1),
        erasures.request(1, with_results=True),
    ):
        with pytest.raises(DeletionUnavailable, match="because a key of this bot is missing"):
            await denied


async def test_by_another_key_nothing_is_deleted(services: Services, erasures: Erasures) -> None:
    await erasures.request(1, with_results=True)
    services.database.use_pseudonyms(Pseudonyms(SecretStr("x" * 32)))

    with pytest.raises(DeletionUnavailable):
        await erasures.request(2, with_results=True)
    assert await erasures.progress(2) is None


async def test_a_deletion_counts_all_jobs_and_those_under_way(
    database: Database, erasures: Erasures
) -> None:
    with pytest.raises(NothingStored, match="Nothing is stored about you"):
        await erasures.stored(1)
    await failed(database)
    await one(database)
    await one(database, new_job(2))

    assert await erasures.stored(1) == Stored(jobs=2, active=1)
    assert await erasures.progress(1) is None
    requested = await erasures.request(1, with_results=True)
    assert requested == Erasure(1, NOW, with_results=True, total=2)
    assert await erasures.progress(1) == requested
    assert (await erasures.request(2, with_results=False)).with_results is False


async def test_a_member_who_is_only_named_has_data(
    database: Database, services: Services, erasures: Erasures
) -> None:
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "5", Rights(jobs=1))
    assert await erasures.stored(5) == Stored(jobs=0, active=0)

    await Preferences(services).choose_notify(6, Notify.SILENT)
    assert await erasures.stored(6) == Stored(jobs=0, active=0)


@pytest.fixture
def exports(services: Services) -> Exports:
    return Exports(services)


async def exported(exports: Exports, user_id: int = 1) -> int:
    """Export a member's data; return the number of files."""
    async with exports.of(user_id, Bounds(10 * MIB)) as parts:
        return len([part.number async for part in parts])


async def refusal(exports: Exports, user_id: int = 1) -> type[UserError] | None:
    """Return the class of the refusal of an export; each has a text."""
    try:
        await exported(exports, user_id)
    except UserError as error:
        return type(error) if str(error) else None
    return None


async def test_an_export_follows_ten_minutes_after_another(
    database: Database, exports: Exports, clock: Moment
) -> None:
    await one(database)
    await one(database, new_job(2))
    assert await exported(exports) == 1

    clock.now = NOW + COOLDOWN - timedelta(microseconds=1)
    with pytest.raises(ExportedJustNow) as refused:
        await exported(exports)
    time = math.ceil((NOW + COOLDOWN).timestamp())
    assert str(refused.value) == (
        f"Your data can be exported once in 10 minutes. Try again <t:{time}:R>."
    )
    assert await refusal(exports, 2) is None
    clock.now = NOW + COOLDOWN
    assert await refusal(exports) is None
    assert await refusal(exports) is ExportedJustNow


async def test_a_member_without_data_waits_like_any_other(exports: Exports) -> None:
    assert await refusal(exports) is export.NothingStored
    assert await refusal(exports) is ExportedJustNow


async def test_one_export_of_a_member_and_two_of_all_run_at_once(
    database: Database, exports: Exports
) -> None:
    for user_id in (1, 2, 3):
        await one(database, new_job(user_id))
    async with exports.of(1, Bounds(MIB)):
        assert await refusal(exports, 1) is ExportRunning
        async with exports.of(2, Bounds(MIB)):
            assert await refusal(exports, 1) is ExportRunning
            assert await refusal(exports, 3) is TooManyExports
        assert await refusal(exports, 3) is None
    assert await refusal(exports, 1) is ExportedJustNow


async def test_an_export_that_is_not_written_can_be_repeated_at_once(
    database: Database,
    services: Services,
    exports: Exports,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await one(database)
    free = services.pictures.free_bytes()
    monkeypatch.setattr(export, "SPARE_BYTES", free * 2)

    for _ in range(2):
        with pytest.raises(ExportNotWritten, match="not possible right now"):
            await exported(exports)
    first, _ = [each.message for each in caplog.records if each.name == export.__name__]
    assert "export of a member's data not written: the disk has " in first
    assert first.endswith(" MB left")
    monkeypatch.setattr(export, "SPARE_BYTES", 0)
    assert await refusal(exports) is None


async def test_an_error_of_the_caller_counts_as_an_export(
    database: Database, exports: Exports
) -> None:
    await one(database)
    with pytest.raises(RuntimeError):
        async with exports.of(1, Bounds(MIB)):
            raise RuntimeError
    assert await refusal(exports) is ExportedJustNow

    await one(database, new_job(2))
    with pytest.raises(NotNow):
        async with exports.of(2, Bounds(MIB)):
            raise NotNow
    assert await refusal(exports, 2) is None
