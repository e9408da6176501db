"""Favourites, on both databases."""

from datetime import timedelta

from bot.store import favourites
from bot.store.backends import open_database
from tests.support.rows import NOW, one


async def test_a_favourite_is_added_once_and_removed(database_url: str) -> None:
    async with open_database(database_url) as database:
        job, other = await one(database), await one(database)
        async with database.transaction() as tx:
            await favourites.add(tx, 1, job.id, NOW)
            await favourites.add(tx, 1, job.id, NOW + timedelta(days=1))
            await favourites.add(tx, 2, other.id, NOW)
        async with database.reading() as view:
            assert await favourites.has(view, 1, job.id)
            assert not await favourites.has(view, 1, other.id)
            assert not await favourites.has(view, 2, job.id)
            assert await favourites.number_of(view, 1) == 1
            assert await favourites.number_of(view, 3) == 0
        async with database.transaction() as tx:
            await favourites.remove(tx, 1, job.id)
            await favourites.remove(tx, 1, job.id)
        async with database.reading() as view:
            assert not await favourites.has(view, 1, job.id)
            assert await favourites.has(view, 2, other.id)
