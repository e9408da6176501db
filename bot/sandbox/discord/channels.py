"""Create and change users, servers and channels."""

from collections.abc import Sequence

from bot.sandbox.discord.auto_mod import KeywordRule
from bot.sandbox.discord.guilds import Emoji, Guild, Role
from bot.sandbox.discord.models import REQUIRE_TAG, Channel, ChannelKind, Tag, User
from bot.sandbox.discord.overwrites import MEMBER, ROLE, Overwrite
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.world import World


class Channels:
    """The part of `FakeDiscord` that creates and changes users, servers and channels.

    Every method may be called before or after a client connects; a connected client receives the
    same events as from Discord.
    """

    world: World

    def add_user(self, name: str, *, bot: bool = False) -> User:
        """Create a person, or the user of another bot."""
        return self.world.add_user(name, bot=bot)

    def add_guild(
        self,
        name: str,
        *,
        owner: User | None = None,
        bot: bool = True,
        shard: tuple[int, int] = (0, 1),
    ) -> Guild:
        """Create a server. Without `bot`, only users' own installs bring the app there.

        With `shard`, the server's id belongs to that shard of so many.
        """
        return self.world.add_guild(name, owner, bot=bot, shard=shard)

    def add_channel(
        self,
        guild: Guild,
        name: str,
        *,
        nsfw: bool = False,
        kind: ChannelKind = ChannelKind.TEXT,
        parent: Channel | None = None,
        bot_permissions: int | None = None,
        bot_in_thread: bool = True,
        tags: Sequence[str] = (),
        requires_tag: bool = False,
    ) -> Channel:
        """Create a channel or a thread.

        `bot_permissions` are exactly the permissions of the bot there (default: those of everyone).
        Threads need `parent` and have the same permissions as `parent`; `bot_in_thread=False`
        leaves the bot out of a private thread. `tags` are those of a forum.
        """
        world = self.world
        channel = Channel(world.ids.next(), name, kind, world.now(), guild, bot_id=world.bot.id)
        if channel.is_thread != (parent is not None):
            raise ValueError("a thread needs a parent, and nothing else has one")
        if channel.is_thread and bot_permissions is not None:
            raise ValueError("a thread has the permissions of its parent")
        channel.parent = parent
        channel.nsfw = parent.nsfw if parent else nsfw
        channel.overwrite = bot_permissions
        channel.bot_in_thread = bot_in_thread
        channel.tags = [Tag(world.ids.next(), tag) for tag in tags]
        channel.flags = REQUIRE_TAG if requires_tag else 0
        return world.add_channel(channel)

    def add_emoji(self, guild: Guild, name: str, *, animated: bool = False) -> Emoji:
        emoji = Emoji(self.world.ids.next(), name, animated)
        guild.emoji[emoji.id] = emoji
        shown = [each.to_json() for each in guild.emoji.values()]
        self._dispatch("GUILD_EMOJIS_UPDATE", {"guild_id": str(guild.id), "emojis": shown}, guild)
        return emoji

    def dm_channel(self, user: User) -> Channel:
        """Return the direct messages between a user and the bot."""
        return self.world.direct_channel(self.world.bot, user)

    def private_channel(self, *users: User) -> Channel:
        """Return direct messages between others, open only to a user-installed app."""
        return self.world.direct_channel(*users)

    def set_channel_permissions(
        self, channel: Channel, target: User | Role, *, allow: int = 0, deny: int = 0
    ) -> None:
        """Replace the overwrite of a member or role in a channel; 0 and 0 remove the overwrite.

        `guild.roles[0]` is @everyone. Threads have the overwrites of their parent. The bits are in
        `bot.sandbox.discord.permissions`: `deny=USE_APPLICATION_COMMANDS` takes the commands from
        a member here, `allow=MANAGE_MESSAGES` makes a moderator of this channel. The interactions
        of a member carry the result, and every action of a member is checked against the result.
        The permissions in the whole server are those of `set_permissions`.
        """
        if channel.guild is None or channel.is_thread:
            raise ValueError("only a channel of a server has overwrites")
        kind = MEMBER if isinstance(target, User) else ROLE
        channel.overwrites.pop(target.id, None)
        if allow or deny:
            channel.overwrites[target.id] = Overwrite(kind, allow, deny)
        self._dispatch("CHANNEL_UPDATE", channel.to_json(), channel.guild)

    def delete_role(self, guild: Guild, role: Role) -> None:
        """Delete a role: members and overwrites lose the role, too."""
        guild.roles.remove(role)
        for member in guild.members.values():
            member.roles = [each for each in member.roles if each is not role]
        for channel in guild.channels.values():
            channel.overwrites.pop(role.id, None)
        data = {"guild_id": str(guild.id), "role_id": str(role.id)}
        self._dispatch("GUILD_ROLE_DELETE", data, guild)

    def set_role_permissions(self, guild: Guild, role: Role, permissions: int) -> None:
        """Set the permissions of a role in the whole server; `guild.roles[0]` is @everyone."""
        role.permissions = permissions
        data = {"guild_id": str(guild.id), "role": role.to_json()}
        self._dispatch("GUILD_ROLE_UPDATE", data, guild)

    def add_role(self, guild: Guild, name: str, *members: User, permissions: int = 0) -> Role:
        """Create a role, and give it to members."""
        role = self.world.add_role(guild, name, permissions)
        for each in members:
            self.give_role(guild, each, role)
        return role

    def give_role(self, guild: Guild, user: User, role: Role) -> None:
        """Give a member a role. No event: the bot has no intent for members."""
        held = self.world.join(guild, user).roles
        if role not in held:
            held.append(role)

    def take_role(self, guild: Guild, user: User, role: Role) -> None:
        self.world.join(guild, user).roles.remove(role)

    def set_permissions(self, guild: Guild, user: User, permissions: int) -> None:
        """Grant a member these permissions, in addition to those of everyone.

        To take permissions from a member, deny them in the channel (`set_channel_permissions`), or
        take them from everyone (`set_role_permissions`).
        """
        self.world.grant(guild, user, permissions)

    def leave(self, guild: Guild, user: User) -> None:
        """Let a member leave a server. An action of the user there is that of a new member."""
        guild.members.pop(user.id, None)

    def invite_bot(self, guild: Guild) -> None:
        """Let the bot join a server from which it was removed."""
        self.world.invite(guild)

    def add_keyword_rule(self, guild: Guild, *keywords: str, bots: bool = True) -> None:
        """Add a rule of AutoMod that blocks messages with a keyword; with `bots`, the bot's too."""
        guild.auto_mod.append(KeywordRule(keywords, bots=bots))

    def set_upload_limit(self, guild: Guild, size: int) -> None:
        """Set the largest file of a server in bytes; 50 and 100 MiB are boost tiers 2 and 3."""
        guild.upload_limit = size
        self._dispatch("GUILD_UPDATE", guild.to_json(), guild)

    def set_bot_permissions(self, channel: Channel, permissions: int | None) -> None:
        channel.overwrite = permissions
        if channel.guild:
            self._dispatch("CHANNEL_UPDATE", channel.to_json(), channel.guild)

    def remove_bot(self, guild: Guild) -> None:
        """Remove the bot from a server, with the role of its own."""
        guild.bot_present = False
        guild.members.pop(self.world.bot.id, None)
        guild.roles = [each for each in guild.roles if each.bot_id is None]
        self._dispatch("GUILD_DELETE", {"id": str(guild.id)}, guild)

    def delete_channel(self, channel: Channel) -> None:
        """Delete a channel with all messages and threads."""
        self.world.remove_channel(channel)

    def archive_thread(self, channel: Channel, *, locked: bool = False) -> None:
        channel.archived, channel.locked = True, locked
        if channel.guild:
            self._dispatch("THREAD_UPDATE", channel.to_json(), channel.guild)

    def _dispatch(self, event: str, data: Json, guild: Guild) -> None:
        self.world.dispatch(event, data, guild=guild)
        self.world.changes.notify()
