"""The channels of a page: messages, threads and opened modals that one member sees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.sandbox.discord import FakeDiscord
from bot.sandbox.discord.interactions import Interaction
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import Channel, User


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A channel with the messages that the viewer sees, its threads, and the viewer's modals."""

    channel: Channel
    messages: Sequence[Message]
    threads: Sequence["ShownChannel"] = ()
    modals: Sequence[Interaction] = ()

    def name(self, viewer: User) -> str:
        """Return the channel's name; in direct messages, the names of the others."""
        people = (user.name for user in self.channel.recipients if user is not viewer)
        return self.channel.name or ", ".join(people)

    @property
    def sign(self) -> str:
        return "@" if self.channel.guild is None else "#"

    @property
    def shown(self) -> list[Message]:
        return [message for message in self.messages if not message.deleted]

    @property
    def everything(self) -> Iterator[Message]:
        """Return the messages of the channel and of its threads."""
        yield from self.shown
        for thread in self.threads:
            yield from thread.shown

    def thread_of(self, message: Message) -> "ShownChannel | None":
        """Return the thread that started from a message or that a notice announces."""
        found = (each for each in self.threads if each.channel is message.thread)
        return next(found, None)

    @property
    def loose_threads(self) -> list["ShownChannel"]:
        """Return the threads that no message here leads to."""
        led = {message.thread for message in self.shown}
        return [each for each in self.threads if each.channel not in led]

    def modals_of(self, message: Message, following: Message | None) -> list[Interaction]:
        """Return the modals that were opened from a message, or by a command right after it.

        A modal that was opened again is returned once, as it was the last time.
        """
        after = [
            each
            for each in self.modals
            if each.source is message
            or (each.source is None and message.id < each.id and _before(each, following))
        ]
        return _last_of_each(after)

    @property
    def first_modals(self) -> list[Interaction]:
        """Return the modals that commands opened before the first message."""
        first = self.shown[0] if self.shown else None
        return _last_of_each(
            [each for each in self.modals if each.source is None and _before(each, first)]
        )


def _before(opened: Interaction, message: Message | None) -> bool:
    return message is None or opened.id < message.id


def _last_of_each(modals: list[Interaction]) -> list[Interaction]:
    return list({each.modal["title"]: each for each in modals if each.modal}.values())


def shown_channel(discord: FakeDiscord, channel: Channel, viewer: User) -> ShownChannel:
    """Return a channel as a member sees it now, with its threads and the modals of the member."""
    inside = [
        each
        for each in discord.world.channels.values()
        if each.parent is channel and each.is_thread and not each.deleted
    ]
    modals = [
        each
        for each in discord.world.interactions.values()
        if each.user is viewer and each.channel is channel and each.modal is not None
    ]
    return ShownChannel(
        channel,
        discord.channel_messages(channel, viewer),
        [shown_channel(discord, each, viewer) for each in inside],
        modals,
    )
