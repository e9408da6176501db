"""Rights as the store gives them back."""

from hypothesis import HealthCheck, given, settings

from bot.periods import PeriodKind
from bot.quotas import Member
from bot.rights import Allowance, Rights, Subject
from bot.store import servers
from bot.store.database import Database
from tests.test_rights import ANY_RIGHTS


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY_RIGHTS)
async def test_any_rights_are_stored_as_they_are(database: Database, rights: Rights) -> None:
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.ROLE, "7", rights)
        assert await servers.rights_of(tx, 10, Subject.ROLE, "7") == rights


async def test_an_allowance_without_limit_is_no_unset_one(database: Database) -> None:
    unlimited = Rights(allowance=Allowance(amount=None, period=PeriodKind.DAY))
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.DEFAULT, "", Rights(tier="guest"))
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", unlimited)
    async with database.reading() as view:
        own = await servers.policy_of(view, Member(1, 10))
        others = await servers.policy_of(view, Member(2, 10))

    assert own.rights.allowance == unlimited.allowance
    assert own.rights.pictures == 1  # of the guest, as for everybody
    assert others.rights.allowance == Allowance(amount=40_000, period=PeriodKind.WEEK)
