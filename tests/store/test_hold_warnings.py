"""The warnings that a hold gives rise to: once in a period, at four fifths of a limit."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.quotas import NotEnoughCredits, Quotas
from bot.store.balances import Level
from bot.store.database import Database
from bot.store.holds import Held, Warned
from tests.store.test_holds import allowance, budget, grant, held, place, release
from tests.support.rows import NOW, new_job


def given(*several: Held) -> list[tuple[Level, int]]:
    """Return the warnings' levels, and what is left after their holds."""
    return [(each.level, each.sum.left) for held in several for each in held.warnings]


@pytest.mark.parametrize(
    ("token", "guild_id", "levels"),
    [
        ("token", 5, [Level.MEMBER, Level.MONTH, Level.BOT]),
        (None, None, [Level.MEMBER, Level.MONTH, Level.BOT]),
        (None, 5, [Level.BOT]),
    ],
)
async def test_a_message_in_a_server_warns_the_member_with_the_next_command(
    database: Database, token: str | None, guild_id: int | None, levels: list[Level]
) -> None:
    policy = allowance(10_000)
    quotas = Quotas(allowance=10_000, budget=10_000)

    async def request(token: str | None, guild_id: int | None, price: int) -> Held:
        new = new_job(price=price)
        route = replace(new.route, interaction_token=token, guild_id=guild_id)
        new = replace(new, route=route)
        return await database.run(lambda tx: place(tx, new, policy, quotas))

    first = await request(token, guild_id, 9_000)
    command = await request("token", 5, 1)

    assert [each.level for each in first.warnings] == levels
    assert {each.level for each in (*first.warnings, *command.warnings)} == {
        Level.MEMBER,
        Level.MONTH,
        Level.BOT,
    }


async def test_four_fifths_of_a_limit_warn_once_in_its_period(database: Database) -> None:
    policy = allowance(10_000)
    just_below = await held(database, policy, price=7_999)
    reached = await held(database, policy, price=1)
    again = await held(database, policy, price=1)
    next_week = await held(database, policy, at=NOW + timedelta(days=7), price=9_000)
    (warned,) = reached.warnings

    assert given(just_below, again) == []
    assert given(reached, next_week) == [(Level.MEMBER, 2_000), (Level.MEMBER, 1_000)]
    assert isinstance(warned, Warned)
    assert warned.period.begin <= NOW < warned.period.end == warned.sum.resets_at


async def test_a_release_brings_no_second_warning(database: Database) -> None:
    policy = budget(10_000)
    first = await held(database, policy, price=9_000)
    await release(database, first.job)
    second = await held(database, policy, price=9_000)

    assert given(first, second) == [(Level.SERVER, 1_000)]


async def test_a_refused_hold_gives_no_warning_away(database: Database) -> None:
    quotas = Quotas(budget=10_000, allowance=8_000)  # of each member
    with pytest.raises(NotEnoughCredits):
        await held(database, None, quotas, price=9_000)
    warned = await held(database, None, quotas, price=8_000)

    assert given(warned) == [(Level.MONTH, 0), (Level.BOT, 2_000)]


async def test_each_scope_warns_for_itself(database: Database) -> None:
    policy = allowance(10_000)
    found = [
        await held(database, policy, price=9_000, user_id=user, server_id=server)
        for user, server in ((1, 10), (2, 10), (1, 11))
    ]

    assert given(*found) == [(Level.MEMBER, 1_000)] * 3


async def test_grants_put_the_warning_of_an_allowance_off(database: Database) -> None:
    await grant(database, 10_000)
    policy = allowance(10_000)
    first = await held(database, policy, price=9_000)
    second = await held(database, policy, price=9_000)

    assert given(first, second) == [(Level.MEMBER, 2_000)]


async def test_parallel_holds_warn_once(database: Database) -> None:
    quotas = Quotas(budget=100_000)
    found = await asyncio.gather(
        *(held(database, None, quotas, user_id=user, price=10_000) for user in range(10))
    )

    assert [level for level, _ in given(*found)] == [Level.BOT]


async def test_none_at_all_gives_no_warning(database: Database) -> None:
    await grant(database, 10_000)

    assert given(await held(database, allowance(0))) == []
