"""The origin of a request: who acts, and the route by which the result comes back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import discord

from bot.invite import missing
from bot.jobs import TOKEN_LIFE, Notify, Route
from bot.quotas import Member
from cogs.delivery.member_roles_workaround import role_ids_of

Where = discord.abc.Snowflake | None  # any kind of channel


def member_of(interaction: discord.Interaction[Any]) -> Member:
    """Return who acts, with the roles and permissions that Discord sent."""
    user, channel = interaction.user, interaction.channel
    # Text, announcement, voice, stage and forum channels, and threads; not direct messages.
    is_nsfw = getattr(channel, "is_nsfw", None)
    return Member(
        user_id=user.id,
        server_id=account_server_of(interaction),
        role_ids=role_ids_of(user),
        may_manage=interaction.permissions.manage_guild,
        may_moderate=interaction.permissions.manage_messages,
        age_restricted=is_nsfw is not None and is_nsfw(),
        parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else 0,
    )


def route_of(
    interaction: discord.Interaction[Any],
    now: datetime,
    *,
    lacking: Sequence[str],
    private: bool | None,
    notify: Notify = Notify.PING,
) -> Route:
    """Return the route of a request; `lacking` are the permissions that a post would need.

    The token's life counts from the receipt, `now`: the interaction's own time is Discord's, and
    this machine's clock may differ. `private` is None if the request does not say that: then the
    member's choice `notify` decides.
    """
    present, channel = is_present(interaction), interaction.channel
    private, notify = resolve_notify(
        notify, private=private, alone=interaction.guild_id is None and present
    )
    thread = channel if isinstance(channel, discord.Thread) else None
    postable = present and not lacking
    return Route(
        channel_id=interaction.channel_id or 0,
        account_server_id=account_server_of(interaction),
        application_id=interaction.application_id,
        interaction_token=interaction.token,
        token_expires_at=now + TOKEN_LIFE,
        postable=postable,
        private=private,
        guild_id=interaction.guild_id,
        parent_id=thread.parent_id if present and thread and not thread.is_private() else None,
        upload_limit=_upload_limit(interaction, posts=postable and not private),
        notify=notify,
    )


def resolve_notify(chosen: Notify, *, private: bool | None, alone: bool) -> tuple[bool, Notify]:
    """Return whether a job is private, and the manner in which its result reaches the requester.

    The choice PRIVATE makes a job private, unless the request says otherwise or the member is
    `alone` with the bot, in direct messages, where a private reply would only vanish. Such a job is
    delivered like that of a member who has chosen nothing.
    """
    if private is None:
        private = chosen is Notify.PRIVATE and not alone
    return private, Notify.PING if chosen is Notify.PRIVATE and not private else chosen


def _upload_limit(interaction: discord.Interaction[Any], *, posts: bool) -> int | None:
    """Return the largest file that the route takes, in bytes; None if that is unknown.

    A post has the server's limit. A response has that of the interaction, which may be higher: the
    greater of the server's and the member's own.
    """
    if not posts:
        return interaction.filesize_limit
    guild = interaction.client.get_guild(interaction.guild_id) if interaction.guild_id else None
    return guild.filesize_limit if guild else None


def granted_in(channel: Where, member: discord.Member) -> discord.Permissions:
    """Return a member's permissions in a channel; none if they cannot be known.

    Discord sends them with an interaction. Those of a message's author are computed from the roles
    of the message and from the channel that the gateway has sent.
    """
    if member.resolved_permissions is not None:
        return member.resolved_permissions
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return discord.Permissions.none()
    try:
        return channel.permissions_for(member)
    except discord.ClientException:  # the channel of a thread is not known
        return discord.Permissions.none()


def author_of(message: discord.Message) -> Member:
    """Return who wrote a message, with the roles that Discord sent with the message."""
    author, channel = message.author, message.channel
    granted = discord.Permissions.none()
    if isinstance(author, discord.Member):
        granted = granted_in(channel, author)
    is_nsfw = getattr(channel, "is_nsfw", None)
    return Member(
        user_id=author.id,
        server_id=message.guild.id if message.guild else 0,
        role_ids=role_ids_of(author),
        may_manage=granted.manage_guild,
        may_moderate=granted.manage_messages,
        age_restricted=is_nsfw is not None and is_nsfw(),
        parent_channel_id=channel.parent_id if isinstance(channel, discord.Thread) else 0,
    )


def route_of_reply(
    message: discord.Message,
    client: discord.Client,
    now: datetime,
    *,
    private: bool,
    notify: Notify,
) -> Route:
    """Return the route of a request that a reply makes; there is no token, and nothing ephemeral.

    A private one is in direct messages.
    """
    channel, guild = message.channel, message.guild
    thread = channel if isinstance(channel, discord.Thread) else None
    return Route(
        channel_id=channel.id,
        account_server_id=guild.id if guild else 0,
        application_id=client.application_id or 0,
        interaction_token=None,
        token_expires_at=now,
        private=private,
        guild_id=guild.id if guild else None,
        parent_id=thread.parent_id if thread and not thread.is_private() else None,
        upload_limit=guild.filesize_limit if guild else None,
        reply_to_id=message.reference.message_id if message.reference else None,
        # Nothing that a message requests in a server can be private.
        notify=Notify.PING if notify is Notify.PRIVATE else notify,
    )


def lacking_for_reply(message: discord.Message) -> list[str]:
    """Return the permissions that an answer to a reply needs and the bot lacks."""
    if message.guild is None:
        return []
    send = "Send Messages"
    if isinstance(message.channel, discord.Thread):
        send = "Send Messages in Threads"
    granted = granted_in(message.channel, message.guild.me)
    return missing(granted.value, (send, "View Channels", "Attach Files", "Read Message History"))


def missing_permissions(interaction: discord.Interaction[Any]) -> list[str]:
    """Return Discord's names of the permissions that a post in the channel needs and lacks."""
    if interaction.guild_id is None or not interaction.is_guild_integration():
        return []
    in_thread = isinstance(interaction.channel, discord.Thread)
    send = "Send Messages in Threads" if in_thread else "Send Messages"
    needed = ("View Channels", send, "Attach Files")
    return missing(interaction.app_permissions.value, needed)


def account_server_of(interaction: discord.Interaction[Any]) -> int:
    """Return the server of the account: 0 if the bot itself is not installed in the server."""
    return (interaction.guild_id or 0) if is_present(interaction) else 0


def is_present(interaction: discord.Interaction[Any]) -> bool:
    """Return whether the bot itself is in the channel, not only by a member's own install."""
    if interaction.guild_id is not None:
        return interaction.is_guild_integration()
    return interaction.context.dm_channel
