"""Actions of members: write, use commands and menus, press buttons, choose, submit modals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bot.sandbox.discord import auto_mod, permissions
from bot.sandbox.discord import components as tree
from bot.sandbox.discord.command_input import (
    Entry,
    MemberError,
    Resolved,
    find_command,
    find_options,
    nest,
)
from bot.sandbox.discord.commands import CHAT_INPUT, MESSAGE_MENU, USER_MENU
from bot.sandbox.discord.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL, Interaction
from bot.sandbox.discord.message_body import read_draft
from bot.sandbox.discord.messages import REPLY, SYSTEM, Message
from bot.sandbox.discord.modal_input import fill_modal
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.select_input import choose
from bot.sandbox.discord.spelling import Spelling
from bot.sandbox.discord.uploads import Attachment, Upload
from bot.sandbox.discord.world import World


class Actions:
    """The part of `FakeDiscord` that acts for members.

    An action that Discord would not allow raises `MemberError`; any other action reaches the
    application as an interaction.
    """

    world: World
    response_seconds: float
    spelling = Spelling.VALUE  # of chosen values; a test may set a fault

    async def say(
        self,
        user: User,
        channel: Channel,
        content: str = "",
        uploads: Sequence[Upload] = (),
        *,
        body: Mapping[str, object] | None = None,
        reply_to: Message | None = None,
        ping: bool = True,
    ) -> Message:
        """Write a message as a member, or with a body that another bot could send.

        `reply_to` makes a reply in the same channel. With `ping`, the client's default, the author
        of that message is among `mentions`, although `content` need not name them; a message of a
        webhook, as a response to an interaction, has no author to ping.
        """
        message = self.world.new_message(channel, user)
        self._check_may_write(message, reply_to, files=bool(uploads))
        return await self._write(message, body or {"content": content}, uploads, ping=ping)

    async def post_by_webhook(
        self,
        channel: Channel,
        name: str,
        content: str = "",
        uploads: Sequence[Upload] = (),
        *,
        body: Mapping[str, object] | None = None,
    ) -> Message:
        """Write a message by a webhook of the server, whose author is no member."""
        author = User(self.world.ids.next(), name, bot=True)
        message = self.world.new_message(channel, author)
        message.webhook_id = author.id
        return await self._write(message, body or {"content": content}, uploads)

    def _check_may_write(self, message: Message, reply_to: Message | None, *, files: bool) -> None:
        """Check the permissions of a member for a message, and make the message a reply."""
        channel, user = message.channel, message.author
        self._enter(user, channel)
        needed = permissions.VIEW_CHANNEL | (permissions.ATTACH_FILES if files else 0)
        threaded = permissions.SEND_MESSAGES_IN_THREADS
        needed |= threaded if channel.is_thread else permissions.SEND_MESSAGES
        if reply_to is not None:
            needed |= permissions.READ_MESSAGE_HISTORY
            self._check_sees(user, reply_to)
            if reply_to.channel is not channel or reply_to.ephemeral_to or reply_to.type in SYSTEM:
                raise MemberError("there is no such message to reply to here")
            message.reference, message.type = reply_to, REPLY
        if needed & ~channel.permissions_of(user):
            raise MemberError("this member may not write that here")
        if channel.locked and not channel.permissions_of(user) & permissions.MANAGE_THREADS:
            raise MemberError("the thread is locked")

    async def _write(
        self,
        message: Message,
        body: Mapping[str, object],
        uploads: Sequence[Upload],
        *,
        ping: bool = True,
    ) -> Message:
        channel, world = message.channel, self.world
        prepared = await world.prepare(channel, dict(enumerate(uploads)))
        draft = read_draft(dict(body), prepared, world.ids.next, emoji=world.emoji)
        draft.allowed = replace(draft.allowed, replied_user=ping)
        auto_mod.check(channel, message.author, draft, ephemeral=False)
        if channel.is_thread and message.webhook_id is None:
            world.join_thread(channel, message.author)
        return world.create(message, draft)

    async def command(
        self,
        user: User,
        channel: Channel,
        name: str,
        options: Mapping[str, object] | None = None,
        *,
        user_install_only: bool = False,
    ) -> Interaction:
        """Use a chat-input command.

        `name` may continue with a group and a subcommand. Options are given by name: files as
        `Upload`, users as `User`, channels as `Channel`.
        """
        given = dict(options or {})
        command, entry, path = await self._open(user, channel, name, given, user_install_only)
        wanted, way = find_options(command, path)
        data = self._command_data(command, channel)
        data["options"] = nest(entry.all(wanted, given), way)
        return self._finish(COMMAND, user, channel, data, entry.resolved, user_install_only)

    async def complete(
        self,
        user: User,
        channel: Channel,
        name: str,
        options: Mapping[str, object],
        focused: str,
        timeout: float = 3,
        *,
        user_install_only: bool = False,
    ) -> list[Json]:
        """Return the choices offered for `focused`, whose text so far is in `options`."""
        given = dict(options)
        command, entry, path = await self._open(user, channel, name, given, user_install_only)
        wanted, way = find_options(command, path)
        data = self._command_data(command, channel)
        data["options"] = nest(entry.some(wanted, given, focused), way)
        interaction = self._finish(
            AUTOCOMPLETE, user, channel, data, entry.resolved, user_install_only
        )
        await interaction.answered(timeout)
        return interaction.choices or []

    async def menu(
        self,
        user: User,
        channel: Channel,
        name: str,
        target: Message | User,
        *,
        user_install_only: bool = False,
    ) -> Interaction:
        """Use a message menu, or a user menu if `target` is a user."""
        kind = MESSAGE_MENU if isinstance(target, Message) else USER_MENU
        self._enter(user, channel)
        command = self._find(user, channel, name, kind, user_install_only)
        resolved = Resolved()
        if isinstance(target, Message):
            self._check_sees(user, target)
            resolved.messages[target.id] = target
        else:
            resolved.users[target.id] = target
        data = self._command_data(command, channel) | {"target_id": str(target.id)}
        return self._finish(COMMAND, user, channel, data, resolved, user_install_only)

    async def click(self, user: User, message: Message, custom_id: str) -> Interaction:
        """Press a button. The user must see the message, and the button must be enabled."""
        button = self._usable(user, message, custom_id)
        if button["type"] != tree.BUTTON:
            raise MemberError(f"{custom_id!r} is no button")
        data = {"component_type": tree.BUTTON, "custom_id": custom_id, "id": button["id"]}
        return self._on_message(user, message, data, Resolved())

    async def select(
        self, user: User, message: Message, custom_id: str, values: Iterable[object]
    ) -> Interaction:
        """Choose in a select: values of a string select, else `User`s, `Role`s or `Channel`s."""
        found = self._usable(user, message, custom_id)
        if found["type"] not in tree.SELECTS:
            raise MemberError(f"{custom_id!r} is no select")
        resolved = Resolved()
        chosen = choose(found, list(values), resolved, self.spelling)
        data = {
            "component_type": found["type"],
            "custom_id": custom_id,
            "id": found["id"],
            "values": chosen,
        }
        return self._on_message(user, message, data, resolved)

    async def submit_modal(
        self, user: User, interaction: Interaction, values: Mapping[str, object]
    ) -> Interaction:
        """Submit the modal that `interaction` was answered with.

        `values` by custom_id: text, lists of values or of `Upload`s, True or False. Components that
        are not named keep their defaults.
        """
        if interaction.modal is None or interaction.user is not user:
            raise MemberError("this user sees no modal")
        entry = await self._entry(user, interaction.channel, _uploads(values.values()))
        data: Json = {
            "custom_id": interaction.modal["custom_id"],
            "components": fill_modal(interaction.modal["components"], values, entry),
        }
        return self._finish(
            MODAL,
            user,
            interaction.channel,
            data,
            entry.resolved,
            interaction.guest,
            source=interaction.source,
            parent=interaction,
        )

    def send_again(self, interaction: Interaction) -> None:
        """Dispatch an interaction a second time, as Discord may after a session is resumed."""
        guild = interaction.channel.guild
        self.world.dispatch("INTERACTION_CREATE", interaction.payload(), guild=guild)

    async def _open(
        self, user: User, channel: Channel, name: str, given: Mapping[str, object], guest: bool
    ) -> tuple[Json, Entry, list[str]]:
        self._enter(user, channel)
        first, *path = name.split(" ")
        command = self._find(user, channel, first, CHAT_INPUT, guest)
        return command, await self._entry(user, channel, _uploads(given.values())), path

    def _find(self, user: User, channel: Channel, name: str, kind: int, guest: bool) -> Json:
        settings = self.world.command_permissions
        return find_command(self.world.commands, name, kind, user, channel, settings, guest=guest)

    def _enter(self, user: User, channel: Channel) -> None:
        if channel.deleted:
            raise MemberError("the channel is gone")
        if channel.guild is not None:
            self.world.join(channel.guild, user)
        elif user not in channel.recipients:
            raise MemberError("these are the direct messages of others")

    async def _entry(self, user: User, channel: Channel, uploads: list[Upload]) -> Entry:
        """Return an entry that stores a member's files for a limited time.

        See docs/internals/discord.md, Limits: attachments of commands are removed later.
        """
        world = self.world
        prepared: dict[int, Attachment] = {}
        for upload in uploads:
            prepared[id(upload)] = await world.cdn.prepare(
                world.ids.next(), world.application_id, upload, ephemeral=True
            )

        def store(upload: Upload) -> Attachment:
            attachment = prepared[id(upload)]
            world.cdn.store(attachment)
            return attachment

        def find(number: int) -> object:
            guild = channel.guild
            roles = {role.id: role for role in guild.roles} if guild else {}
            places = {key: each for key, each in world.channels.items() if not each.deleted}
            return world.users.get(number) or places.get(number) or roles.get(number)

        return Entry(user, Resolved(), store, find, self.spelling)

    def _command_data(self, command: Json, channel: Channel) -> Json:
        data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
        if "guild_id" in command and channel.guild:
            data["guild_id"] = command["guild_id"]
        return data

    def _check_sees(self, user: User, message: Message) -> None:
        hidden = message.ephemeral_to is not None and message.ephemeral_to is not user
        if message.deleted or message.channel.deleted or hidden:
            raise MemberError("this user sees no such message")
        self._enter(user, message.channel)
        if not message.channel.permissions_of(user) & permissions.VIEW_CHANNEL:
            raise MemberError("this member does not see the channel")

    def _usable(self, user: User, message: Message, custom_id: str) -> Json:
        self._check_sees(user, message)
        found = message.interactive(custom_id)
        if found is None:
            raise MemberError(f"there is no {custom_id!r} on the message")
        if found["disabled"]:
            raise MemberError(f"{custom_id!r} is disabled")
        return found

    def _on_message(
        self, user: User, message: Message, data: Json, resolved: Resolved
    ) -> Interaction:
        guest = message.interaction is not None and message.interaction.guest
        return self._finish(COMPONENT, user, message.channel, data, resolved, guest, source=message)

    def _finish(
        self,
        kind: int,
        user: User,
        channel: Channel,
        data: Json,
        resolved: Resolved,
        guest: bool,
        *,
        source: Message | None = None,
        parent: Interaction | None = None,
    ) -> Interaction:
        """Create the interaction and dispatch INTERACTION_CREATE."""
        world = self.world
        found = resolved.to_json(channel, user, world.cdn.to_json)
        interaction = Interaction(
            id=world.ids.next(),
            type=kind,
            user=user,
            channel=channel,
            application_id=world.application_id,
            data=data | ({"resolved": found} if found else {}),
            created_at=world.clock(),
            changes=world.changes,
            response_seconds=self.response_seconds,
            guest=guest,
            source=source,
            parent=parent,
        )
        world.interactions[interaction.id] = interaction
        world.dispatch("INTERACTION_CREATE", interaction.payload(), guild=channel.guild)
        world.changes.notify()
        return interaction


def _uploads(values: Iterable[object]) -> list[Upload]:
    found: list[Upload] = []
    for value in values:
        if isinstance(value, Upload):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _uploads(value)
    return found
