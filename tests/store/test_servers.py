"""The choices of managers: stored as they are, and read for one member."""

from datetime import UTC, datetime

from sqlalchemy import select

from bot.periods import PeriodKind, ZoneChange
from bot.quotas import Member
from bot.rights import READY_MADE, Allowance, Policy, Rights, ServerSettings, Subject
from bot.store import servers
from bot.store.database import Database
from bot.store.servers import Granted
from bot.store.tables import rights as table

ADA = Member(1, server_id=10, role_ids=frozenset({5, 6}))
SETTINGS = ServerSettings(
    budget=Allowance(amount=5_000, period=PeriodKind.WEEK),
    channels=frozenset({2**63 - 1, 3}),
    roles=frozenset({4}),
    notices=2**63 - 1,
    zones=(ZoneChange(datetime(2026, 11, 21, 12, tzinfo=UTC), "Asia/Tokyo"),),
)


async def store(
    database: Database, subject: Subject, name: str, rights: Rights, server_id: int = 10
) -> None:
    async with database.transaction() as tx:
        await servers.store_rights(tx, server_id, subject, name, rights)


async def policy_of(database: Database, member: Member = ADA) -> Policy:
    async with database.reading() as view:
        return await servers.policy_of(view, member)


async def test_a_server_that_has_chosen_nothing_allows_everything(database: Database) -> None:
    await store(database, Subject.DEFAULT, "", Rights(pictures=1), server_id=11)
    async with database.reading() as view:
        assert await servers.settings_of(view, 10) == ServerSettings()
        assert await servers.rights_of(view, 10, Subject.DEFAULT) == Rights()
        assert await servers.all_rights(view, 10, 100) == []
        assert await servers.tiers_of(view, 10) == {}
    assert await policy_of(database) == Policy()


async def test_settings_are_replaced_and_read_as_they_are(database: Database) -> None:
    for settings in (ServerSettings(notices=1), SETTINGS):
        async with database.transaction() as tx:
            await servers.store_settings(tx, 10, settings)
    async with database.reading() as view:
        assert await servers.settings_of(view, 10) == SETTINGS
        assert await servers.settings_of(view, 11) == ServerSettings()
    assert await policy_of(database) == Policy(settings=SETTINGS)
    assert SETTINGS.zone == "Asia/Tokyo"


async def test_a_policy_has_the_own_rights_then_the_best_role_then_the_default(
    database: Database,
) -> None:
    await store(database, Subject.DEFAULT, "", Rights(pictures=1, jobs=1, cooldown=60, edit=False))
    await store(database, Subject.ROLE, "5", Rights(pictures=2, jobs=3, models=frozenset({"a"})))
    await store(database, Subject.ROLE, "6", Rights(pictures=4, models=frozenset({"b"})))
    await store(database, Subject.ROLE, "7", Rights(pictures=9))
    await store(database, Subject.MEMBER, "1", Rights(jobs=2))
    await store(database, Subject.MEMBER, "2", Rights(pictures=9))
    await store(database, Subject.MEMBER, "1", Rights(pictures=9), server_id=11)

    assert (await policy_of(database)).rights == Rights(
        pictures=4, jobs=2, models=frozenset({"a", "b"}), cooldown=60, edit=False
    )


async def test_the_id_of_a_role_is_no_name_of_a_member_or_a_tier(database: Database) -> None:
    await store(database, Subject.MEMBER, "5", Rights(pictures=9))
    await store(database, Subject.ROLE, "1", Rights(pictures=9))
    await store(database, Subject.TIER, "6", Rights(pictures=9))

    assert (await policy_of(database)).rights == Rights()


async def test_direct_messages_have_no_policy(database: Database) -> None:
    await store(database, Subject.DEFAULT, "", Rights(pictures=0), server_id=0)

    assert await policy_of(database, Member(1)) == Policy()


async def test_a_tier_is_the_ready_made_one_until_a_server_changes_it(database: Database) -> None:
    await store(database, Subject.ROLE, "5", Rights(tier="guest", pictures=3))
    ready_made = (await policy_of(database)).rights
    await store(database, Subject.TIER, "guest", Rights(jobs=9))
    changed = (await policy_of(database)).rights
    async with database.transaction() as tx:
        assert await servers.tiers_of(tx, 10) == {"guest": Rights(jobs=9)}
        await servers.remove_tier(tx, 10, "guest")
    removed = (await policy_of(database)).rights

    assert ready_made == removed == READY_MADE["guest"].model_copy(update={"pictures": 3})
    assert changed == Rights(jobs=9, pictures=3)


async def test_empty_rights_are_removed_but_for_a_tier(database: Database) -> None:
    for subject, name in ((Subject.DEFAULT, ""), (Subject.ROLE, "5"), (Subject.TIER, "guest")):
        await store(database, subject, name, Rights(pictures=1))
        await store(database, subject, name, Rights())
    async with database.reading() as view:
        assert await servers.all_rights(view, 10, 100) == [Granted(Subject.TIER, "guest", Rights())]


async def test_the_rights_of_all_subjects_are_listed_in_order_up_to_a_limit(
    database: Database,
) -> None:
    for number in (2, 1, 3):
        await store(database, Subject.ROLE, str(number), Rights(pictures=number))
    await store(database, Subject.DEFAULT, "", Rights(edit=False))
    async with database.reading() as view:
        found = await servers.all_rights(view, 10, 3)

    assert [(each.subject, each.name) for each in found] == [
        (Subject.DEFAULT, ""),
        (Subject.ROLE, "1"),
        (Subject.ROLE, "2"),
    ]
    assert found[0].rights == Rights(edit=False)


async def test_rights_of_a_subject_are_read_by_its_kind_name_and_server(
    database: Database,
) -> None:
    given = {
        (Subject.DEFAULT, ""): Rights(pictures=1),
        (Subject.TIER, "5"): Rights(pictures=2),
        (Subject.ROLE, "5"): Rights(pictures=3),
        (Subject.MEMBER, "5"): Rights(pictures=4),
    }
    for (subject, name), rights in given.items():
        await store(database, subject, name, rights)
    async with database.reading() as view:
        for (subject, name), rights in given.items():
            assert await servers.rights_of(view, 10, subject, name) == rights
            assert await servers.rights_of(view, 11, subject, name) == Rights()
            assert await servers.rights_of(view, 10, subject, "6") == Rights()


async def test_only_the_rights_that_are_set_are_stored(database: Database) -> None:
    unlimited = Rights(allowance=Allowance(amount=None), pictures=0)
    await store(database, Subject.ROLE, "5", unlimited)
    async with database.reading() as view:
        (stored,) = (await view.execute(select(table.c.rights))).scalars()

    assert stored.keys() == {"allowance", "pictures"}
    assert stored["allowance"]["amount"] is None


async def test_a_tier_is_removed_in_its_server_alone(database: Database) -> None:
    for server_id in (10, 11):
        for name in ("guest", "artist"):
            await store(database, Subject.TIER, name, Rights(pictures=3), server_id)
    await store(database, Subject.ROLE, "guest", Rights(pictures=1))
    async with database.transaction() as tx:
        await servers.remove_tier(tx, 10, "guest")
        assert (await servers.tiers_of(tx, 10)).keys() == {"artist"}
        assert (await servers.tiers_of(tx, 11)).keys() == {"guest", "artist"}
        assert await servers.rights_of(tx, 10, Subject.ROLE, "guest") == Rights(pictures=1)


async def test_all_from_which_the_rights_of_a_member_follow(database: Database) -> None:
    async with database.transaction() as tx:
        await servers.store_settings(tx, 10, SETTINGS)
    given = [
        Granted(Subject.DEFAULT, "", Rights(pictures=1)),
        Granted(Subject.MEMBER, "1", Rights(pictures=2)),
        Granted(Subject.ROLE, "5", Rights(pictures=3)),
        Granted(Subject.TIER, "guest", Rights(pictures=4)),
    ]
    others = [
        Granted(Subject.MEMBER, "2", Rights(pictures=9)),
        Granted(Subject.ROLE, "7", Rights(pictures=9)),
    ]
    for each in (*given, *others):
        await store(database, *each)
    await store(database, Subject.DEFAULT, "", Rights(pictures=9), server_id=11)
    async with database.reading() as view:
        found = await servers.granted_to(view, ADA)
    policy = await policy_of(database)

    assert sorted(found, key=lambda each: each.subject) == given
    assert (policy.settings, policy.rights.pictures) == (SETTINGS, 2)
