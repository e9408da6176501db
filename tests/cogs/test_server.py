"""`/server settings`: pages, forms, and everything that managers may type there."""

import sqlite3
from contextlib import closing

import pytest

from bot.periods import PeriodKind
from bot.rights import Allowance, ServerSettings
from bot.sandbox.discord import MemberError
from bot.sandbox.discord.permissions import EVERYONE, SEND_MESSAGES
from tests.support.acting import fields_of, press, submit
from tests.support.easel import Stage, text_of
from tests.support.managing import (
    choose,
    let_manage,
    listed_changes,
    opened,
    settings,
    stored,
)

AMOUNT = "Budget of this server, in credits"
ZONE = "Time zone"
PERIOD = "Period of the budget"
CHANGED = "Your changes are stored"


async def test_only_managers_see_the_commands_and_only_where_the_bot_is(at: Stage) -> None:
    at.settings = {"user_install": True}
    async with at.easel():
        with pytest.raises(MemberError, match="may not use"):
            await at.command("server settings")
        let_manage(at)
        with pytest.raises(MemberError, match="not for this kind of install"):
            await at.command("server settings", user_install_only=True)
        with pytest.raises(MemberError, match="not available"):
            await at.command("server settings", where=at.discord.dm_channel(at.ada))
        page = await settings(at)

    assert "Channels in which the bot makes pictures: all" in page.text()


@pytest.mark.long
async def test_a_member_whom_the_server_lets_use_the_command_manages_nothing(at: Stage) -> None:
    """A server's setting for a command replaces the permission that Easel asks for."""
    async with at.easel():
        at.discord.set_command_permissions(at.server, "server", {at.ben: True})
        for name in ("server settings", "server audit"):
            assert "Manage Server" in text_of(await at.command(name, by=at.ben))


async def test_access_is_limited_to_channels_and_roles(at: Stage) -> None:
    other = at.discord.add_channel(at.server, "sketches")
    role = at.discord.add_role(at.server, "artists", at.ben)
    let_manage(at)
    async with at.easel():
        page, form = await opened(at, "access")
        await submit(
            at,
            form,
            {
                "Channels in which pictures are made": [other],
                "Roles whose members make pictures": [role],
                "Channel for notices": [at.channel],
            },
        )
        assert f"<#{other.id}>" in page.text()
        assert CHANGED in page.text()
        refused = text_of(await at.imagine(by=at.ben))
        assert f"<#{other.id}>" in refused
        assert f"<@&{role.id}>" in text_of(await at.command("imagine", where=other, prompt="x"))
        drawn = await at.command("imagine", by=at.ben, where=other, prompt="a fox")
        listed = await listed_changes(at)

    found = await stored(at)
    assert found.channels == {other.id}
    assert found.roles == {role.id}
    assert found.notices == at.channel.id
    assert drawn.message is not None
    assert drawn.message.ephemeral_to is None
    for line in (
        f"**allowed channels**\nall → <#{other.id}>",
        f"**allowed roles**\nall → <@&{role.id}>",
        f"**channel for notices**\nnot set → <#{at.channel.id}>",
    ):
        assert line in listed


@pytest.mark.long
async def test_a_channel_for_notices_where_the_bot_cannot_post_is_named(at: Stage) -> None:
    silent = at.discord.add_channel(
        at.server, "managers", bot_permissions=EVERYONE & ~SEND_MESSAGES
    )
    let_manage(at)
    async with at.easel():
        page, form = await opened(at, "access")
        await submit(at, form, {"Channel for notices": [silent]})
        assert "cannot post in the channel for notices" in page.text()
        form = await press(at, page, "Change")
        await submit(at, form, {"Channel for notices": [at.channel]})
        assert "cannot post" not in page.text()


async def test_an_unknown_zone_is_refused_and_nothing_typed_is_lost(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        _, form = await opened(at, "budget")
        wrong = {AMOUNT: "1500", PERIOD: ["week"], ZONE: "Europe/*Berlln*"}
        refused = await submit(at, form, wrong)
        assert "is not a time zone" in text_of(refused)
        assert await stored(at) == ServerSettings()
    async with at.easel():  # after a restart
        assert refused.message is not None
        again = await press(at, refused.message, "Open the form again")
        fields = fields_of(again)
        assert fields[AMOUNT]["value"] == "1500"
        assert fields[ZONE]["value"] == "Europe/*Berlln*"
        await submit(at, again, {ZONE: " europe/berlin "})

    found = await stored(at)
    assert found.zone == "Europe/Berlin"
    assert found.budget == Allowance(amount=1_500_000, period=PeriodKind.WEEK)
    assert CHANGED in refused.message.text()


@pytest.mark.long
async def test_a_form_that_cannot_be_stored_keeps_its_channels_and_roles(at: Stage) -> None:
    other = at.discord.add_channel(at.server, "sketches")
    role = at.discord.add_role(at.server, "artists")
    let_manage(at)
    values = {
        "Channels in which pictures are made": [other, at.channel],
        "Roles whose members make pictures": [role],
    }
    async with at.easel():
        _, form = await opened(at, "access")
        with closing(sqlite3.connect(at.path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            refused = await submit(at, form, values)
        assert "not possible right now" in text_of(refused)
        assert refused.message is not None
        again = await press(at, refused.message, "Open the form again")
        await submit(at, again, {})

    found = await stored(at)
    assert found.channels == {other.id, at.channel.id}
    assert found.roles == {role.id}


@pytest.mark.long
async def test_a_select_of_a_refused_form_keeps_its_choice(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        _, form = await opened(at, "default", "Change amounts")
        typed = {"Pictures at once": "11", "Period of the allowance": ["day"]}
        refused = await submit(at, form, typed)
        assert "not a number from 0 to 10" in text_of(refused)
        assert refused.message is not None
        again = await press(at, refused.message, "Open the form again")
        options = fields_of(again)["Period of the allowance"]["options"]

    assert [each["value"] for each in options if each.get("default")] == ["day"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("typed", "amount"), [("7,5", 7_500), ("7.5", 7_500), ("1000", 1_000_000), ("0", 0)]
)
async def test_amounts_with_a_comma_or_a_point(at: Stage, typed: str, amount: int) -> None:
    let_manage(at)
    async with at.easel():
        _, form = await opened(at, "budget")
        await submit(at, form, {AMOUNT: typed})

    assert (await stored(at)).budget == Allowance(amount=amount)


@pytest.mark.long
async def test_only_what_a_manager_has_changed_is_written(at: Stage) -> None:
    """Both have opened the same form; the later one does not undo the earlier one."""
    let_manage(at, at.ada, at.ben)
    async with at.easel():
        _, hers = await opened(at, "budget")
        _, his = await opened(at, "budget", by=at.ben)
        await submit(at, hers, {AMOUNT: "300"})
        await submit(at, his, {ZONE: "Asia/Tokyo"})
        page, nothing = await opened(at, "budget")
        await submit(at, nothing, {AMOUNT: "300.0"})  # as it is already
        assert "has changed nothing" in page.text()
        listed = await listed_changes(at)

    found = await stored(at)
    assert found.zone == "Asia/Tokyo"
    assert found.budget == Allowance(amount=300_000)
    assert listed.count("→") == 2
    assert f"<@{at.ben.id}> · **time zone**\nUTC → Asia/Tokyo" in listed
    assert f"<@{at.ada.id}> · **server budget**\nunlimited → 300 credits a month" in listed


@pytest.mark.long
async def test_a_manager_who_has_lost_the_permission_changes_nothing(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        page, form = await opened(at, "budget")
        at.discord.set_role_permissions(at.server, at.server.members[at.ada.id].roles[-1], 0)
        assert "may not manage" in text_of(await submit(at, form, {AMOUNT: "5"}))
        assert "may not manage" in text_of(await press(at, page, "Change"))
        assert "may not manage" in text_of(await choose(at, page, "page", "tiers"))

    assert await stored(at) == ServerSettings()


@pytest.mark.long
async def test_the_settings_survive_that_the_bot_is_removed_and_invited_again(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        page, form = await opened(at, "budget")
        await submit(at, form, {AMOUNT: "5"})
        at.discord.remove_bot(at.server)
        at.discord.invite_bot(at.server)
        await choose(at, await settings(at), "page", "budget")
        page = await settings(at)
        await choose(at, page, "page", "budget")

    assert "Budget of this server: **5 credits a month**" in page.text()


@pytest.mark.long
async def test_a_budget_below_what_is_used_is_used_up(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        await at.imagine(model="oxen")
        await at.settled()
        page, form = await opened(at, "budget")
        assert "**7.5 credits**" in page.text()
        await submit(at, form, {AMOUNT: "5"})
        assert "The budget is used up." in page.text()
        assert "No channel hears of that" in page.text()
        assert "server's budget is not enough" in text_of(await at.imagine())


@pytest.mark.long
async def test_deleted_channels_and_roles_are_dropped_by_the_form(at: Stage) -> None:
    other = at.discord.add_channel(at.server, "sketches")
    role = at.discord.add_role(at.server, "guests")
    let_manage(at)
    async with at.easel():
        _, form = await opened(at, "access")
        values = {
            "Channels in which pictures are made": [other, at.channel],
            "Roles whose members make pictures": [role],
        }
        await submit(at, form, values)
        at.discord.delete_channel(other)
        at.discord.delete_role(at.server, role)
        assert "with one of these roles" in text_of(await at.imagine())
        _, form = await opened(at, "access")
        await submit(at, form, {})

    found = await stored(at)
    assert found.channels == {at.channel.id}
    assert found.roles == frozenset()


@pytest.mark.long
@pytest.mark.parametrize("typed", ["1,000", "-5", "0x10", "2000000", "lots"])
async def test_an_amount_that_cannot_be_read_changes_nothing(at: Stage, typed: str) -> None:
    let_manage(at)
    async with at.easel():
        _, form = await opened(at, "budget")
        refused = text_of(await submit(at, form, {AMOUNT: typed, ZONE: "Asia/Tokyo"}))

    assert typed in refused.replace("\\", "")
    assert await stored(at) == ServerSettings()


@pytest.mark.long
async def test_the_audit_has_pages(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        for number in range(1, 13):
            _, form = await opened(at, "budget")
            await submit(at, form, {AMOUNT: str(number)})
        page = (await at.command("server audit")).message
        assert page is not None
        newest = page.text()
        assert newest.count("→") == 10
        assert "11 credits a month → 12 credits a month" in newest
        await press(at, page, "Older ▶")
        assert page.text().count("→") == 2
        assert "unlimited → 1 credit a month" in page.text()
        await press(at, page, "◀ Newest")
        assert page.text() == newest
