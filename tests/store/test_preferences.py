from bot.jobs import Notify
from bot.store import preferences
from bot.store.database import Database
from tests.support.rows import NOW


async def test_the_last_choice_of_each_member_counts(database: Database) -> None:
    async with database.transaction() as tx:
        await preferences.choose_notify(tx, 1, Notify.SILENT, NOW)
        await preferences.choose_notify(tx, 1, Notify.DIRECT, NOW)
        await preferences.choose_notify(tx, 2, Notify.PRIVATE, NOW)
    async with database.reading() as view:
        found = [await preferences.notify_of(view, user_id) for user_id in (1, 2, 3)]

    assert found == [Notify.DIRECT, Notify.PRIVATE, Notify.PING]
