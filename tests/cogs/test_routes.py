"""The member and the route of an interaction or a message, as Discord describes them."""

from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.jobs import Notify
from bot.sandbox.discord import Channel, ChannelKind
from bot.sandbox.discord.permissions import (
    ATTACH_FILES,
    EVERYONE,
    MANAGE_GUILD,
    MANAGE_MESSAGES,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    VIEW_CHANNEL,
)
from cogs.delivery.route import (
    account_server_of,
    author_of,
    granted_in,
    is_present,
    lacking_for_reply,
    member_of,
    missing_permissions,
    route_of,
    route_of_reply,
)
from tests.support.ground import Ground
from tests.support.rows import NOW

MIB = 1024 * 1024


def used(on: Ground, where: Channel | None = None, *, guest: bool = False) -> Any:  # noqa: ANN401
    return on.received(on.interaction(where=where, guest=guest))


def thread(on: Ground, kind: ChannelKind = ChannelKind.PUBLIC_THREAD, **more: Any) -> Channel:  # noqa: ANN401
    return on.fake.add_channel(on.server, "thread", kind=kind, parent=on.channel, **more)


def foreign(on: Ground) -> Channel:
    return on.fake.add_channel(on.fake.add_guild("Foreign", bot=False), "art")


async def test_a_member_has_the_rights_that_discord_sent(on: Ground) -> None:
    plain = member_of(used(on))
    assert (plain.user_id, plain.server_id) == (on.ada.id, on.server.id)
    assert plain.role_ids == {on.server.id}
    assert (plain.may_manage, plain.may_moderate) == (False, False)
    assert (plain.age_restricted, plain.parent_channel_id) == (False, 0)

    on.fake.set_permissions(on.server, on.ada, MANAGE_GUILD)
    manager = member_of(used(on))
    assert (manager.may_manage, manager.may_moderate) == (True, False)
    on.fake.set_permissions(on.server, on.ada, MANAGE_MESSAGES)
    assert member_of(used(on)).may_moderate
    assert len(manager.role_ids) == 2


async def test_a_channel_says_whether_it_is_age_restricted(on: Ground) -> None:
    adult = on.fake.add_channel(on.server, "adult", nsfw=True)

    assert member_of(used(on, adult)).age_restricted
    assert not member_of(used(on, on.fake.dm_channel(on.ada))).age_restricted
    inside = member_of(used(on, thread(on)))
    assert (inside.age_restricted, inside.parent_channel_id) == (False, on.channel.id)


async def test_the_bot_is_present_where_it_is_installed(on: Ground) -> None:
    here, there = used(on), used(on, foreign(on), guest=True)
    direct = used(on, on.fake.dm_channel(on.ada))
    group = used(on, on.fake.world.direct_channel(on.ada, on.fake.add_user("Ben")), guest=True)

    assert [is_present(each) for each in (here, there, direct, group)] == [
        True,
        False,
        True,
        False,
    ]
    assert [account_server_of(each) for each in (here, there, direct, group)] == [
        on.server.id,
        0,
        0,
        0,
    ]


def route(interaction: Any, **changes: Any) -> Any:  # noqa: ANN401
    given: dict[str, Any] = {"lacking": (), "private": None, **changes}
    return route_of(interaction, NOW, **given)


async def test_a_route_leads_back_to_the_interaction(on: Ground) -> None:
    interaction = used(on)
    found = route(interaction)

    assert (found.channel_id, found.guild_id) == (on.channel.id, on.server.id)
    assert (found.application_id, found.interaction_token) == (
        on.fake.application_id,
        interaction.token,
    )
    assert found.token_expires_at == NOW + timedelta(minutes=15)
    assert (found.postable, found.private, found.parent_id) == (True, False, None)
    assert not route(interaction, lacking=["Attach Files"]).postable
    there = route(used(on, foreign(on), guest=True))
    assert (there.postable, there.account_server_id) == (False, 0)


async def test_only_a_public_thread_leads_to_its_channel(on: Ground) -> None:
    assert route(used(on, thread(on))).parent_id == on.channel.id
    assert route(used(on, thread(on, ChannelKind.PRIVATE_THREAD))).parent_id is None
    other = foreign(on)
    assert other.guild is not None
    outside = on.fake.add_channel(other.guild, "t", kind=ChannelKind.PUBLIC_THREAD, parent=other)
    assert route(used(on, outside, guest=True)).parent_id is None


async def test_the_limit_of_a_response_is_that_of_its_interaction(on: Ground) -> None:
    """That of a post is the server's, which a client without a gateway does not know."""
    on.ada.upload_limit = 50 * MIB

    assert route(used(on)).upload_limit is None
    assert route(used(on), private=True).upload_limit == 50 * MIB
    assert route(used(on), lacking=["Attach Files"]).upload_limit == 50 * MIB
    assert route(used(on, foreign(on), guest=True)).upload_limit == 50 * MIB


async def test_a_choice_of_private_results_hides_nothing_in_direct_messages(on: Ground) -> None:
    direct = used(on, on.fake.dm_channel(on.ada))
    group = used(on, on.fake.world.direct_channel(on.ada, on.fake.add_user("Ben")), guest=True)

    assert route(used(on), notify=Notify.PRIVATE).private
    assert not route(direct, notify=Notify.PRIVATE).private
    assert route(group, notify=Notify.PRIVATE).private
    assert route(used(on), private=False, notify=Notify.PRIVATE).notify is Notify.PING
    assert route(used(on), notify=Notify.SILENT).notify is Notify.SILENT


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        (VIEW_CHANNEL, "View Channels"),
        (SEND_MESSAGES, "Send Messages"),
        (ATTACH_FILES, "Attach Files"),
        (SEND_MESSAGES_IN_THREADS, None),
        (READ_MESSAGE_HISTORY, None),
    ],
)
async def test_a_post_needs_three_permissions(on: Ground, lost: int, name: str | None) -> None:
    on.fake.set_bot_permissions(on.channel, EVERYONE & ~lost)

    assert missing_permissions(used(on)) == ([name] if name else [])
    threaded = ["Send Messages in Threads"] if lost == SEND_MESSAGES_IN_THREADS else []
    if lost in {SEND_MESSAGES, SEND_MESSAGES_IN_THREADS}:
        assert missing_permissions(used(on, thread(on))) == threaded


async def test_outside_of_its_servers_the_bot_lacks_nothing_that_can_be_given(
    on: Ground,
) -> None:
    assert missing_permissions(used(on, foreign(on), guest=True)) == []
    assert missing_permissions(used(on, on.fake.dm_channel(on.ada))) == []


async def test_without_the_servers_channel_a_member_is_granted_what_discord_sent(
    on: Ground,
) -> None:
    interaction = used(on)
    member = interaction.user
    assert isinstance(member, discord.Member)

    assert granted_in(None, member) == interaction.permissions
    member._permissions = None  # as of the author of a message
    assert granted_in(None, member) == discord.Permissions.none()
    assert granted_in(discord.Object(5), member) == discord.Permissions.none()


async def message(on: Ground, channel: Channel, **data: Any) -> discord.Message:  # noqa: ANN401
    said = await on.fake.say(on.ada, channel, "add snow")
    return on.heard(said, **data)


async def test_an_author_has_the_rights_of_the_channel(on: Ground) -> None:
    on.fake.set_permissions(on.server, on.ada, MANAGE_GUILD | MANAGE_MESSAGES)
    adult = on.fake.add_channel(on.server, "adult", nsfw=True)
    author = author_of(await message(on, adult))

    assert (author.user_id, author.server_id) == (on.ada.id, on.server.id)
    assert (author.may_manage, author.may_moderate, author.age_restricted) == (True, True, True)
    assert len(author.role_ids) == 2
    direct = author_of(await message(on, on.fake.dm_channel(on.ada)))
    assert (direct.server_id, direct.role_ids, direct.parent_channel_id) == (0, frozenset(), 0)
    assert (direct.may_manage, direct.may_moderate, direct.age_restricted) == (
        False,
        False,
        False,
    )
    inside = author_of(await message(on, thread(on)))
    assert inside.parent_channel_id == on.channel.id


async def test_the_route_of_a_reply_has_no_token(on: Ground) -> None:
    reference = {"type": 0, "message_id": "77", "channel_id": str(on.channel.id)}
    replied = await message(on, on.channel, message_reference=reference, type=19)
    found = route_of_reply(replied, on.client, NOW, private=False, notify=Notify.PRIVATE)

    assert (found.interaction_token, found.token_expires_at) == (None, NOW)
    assert (found.channel_id, found.guild_id) == (on.channel.id, on.server.id)
    assert found.account_server_id == on.server.id
    assert found.application_id == on.client.application_id
    assert (found.reply_to_id, found.private, found.notify) == (77, False, Notify.PING)
    assert (found.upload_limit, found.parent_id) == (10 * MIB, None)
    direct = route_of_reply(
        await message(on, on.fake.dm_channel(on.ada)),
        *(on.client, NOW),
        private=True,
        notify=Notify.SILENT,
    )
    assert (direct.guild_id, direct.account_server_id, direct.upload_limit) == (None, 0, None)
    assert (direct.private, direct.notify, direct.reply_to_id) == (True, Notify.SILENT, None)
    inside = await message(on, thread(on))
    assert (
        route_of_reply(inside, on.client, NOW, private=False, notify=Notify.PING).parent_id
        == on.channel.id
    )
    closed = await message(on, thread(on, ChannelKind.PRIVATE_THREAD))
    assert (
        route_of_reply(closed, on.client, NOW, private=False, notify=Notify.PING).parent_id is None
    )


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        (VIEW_CHANNEL, "View Channels"),
        (SEND_MESSAGES, "Send Messages"),
        (ATTACH_FILES, "Attach Files"),
        (READ_MESSAGE_HISTORY, "Read Message History"),
        (SEND_MESSAGES_IN_THREADS, None),
    ],
)
async def test_an_answer_to_a_reply_needs_four_permissions(
    on: Ground, lost: int, name: str | None
) -> None:
    on.fake.set_channel_permissions(on.channel, on.fake.bot_user, deny=lost)
    lacking = lacking_for_reply(await message(on, on.channel))

    assert (name in lacking) is (name is not None)
    assert bool(lacking) is (name is not None)
    inside = lacking_for_reply(await message(on, thread(on)))
    assert ("Send Messages in Threads" in inside) is (
        lost in {SEND_MESSAGES_IN_THREADS, VIEW_CHANNEL}
    )
    assert lacking_for_reply(await message(on, on.fake.dm_channel(on.ada))) == []
