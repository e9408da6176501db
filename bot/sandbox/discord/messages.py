"""Stored messages, and their form in the API."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.mentions import Pings
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.reactions import Reactions
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.uploads import Attachment, Cdn

if TYPE_CHECKING:
    from bot.sandbox.discord.interactions import Interaction

SUPPRESS_EMBEDS, EPHEMERAL, LOADING, SILENT, V2 = 1 << 2, 1 << 6, 1 << 7, 1 << 12, 1 << 15
HAS_THREAD = 1 << 5
REPLY = 19  # the type of a reply
PIN_NOTICE, THREAD_NOTICE, THREAD_STARTER = 6, 18, 21  # types of Discord's own messages
SYSTEM = frozenset({PIN_NOTICE, THREAD_NOTICE, THREAD_STARTER})

PICTURES = ("image", "thumbnail")


@dataclass(eq=False)
class Message:
    """A message in the current state. `ephemeral_to` is the only user who sees an ephemeral one."""

    id: int
    channel: Channel
    author: User
    cdn: Cdn
    created_at: str
    type: int = 0
    content: str = ""
    stored_embeds: list[Json] = field(default_factory=list)
    tree: list[Json] = field(default_factory=list)
    files: list[Attachment] = field(default_factory=list)
    flags: int = 0
    nonce: str | int | None = None
    ephemeral_to: User | None = None
    edited_at: str | None = None
    pinged: Pings = field(default_factory=Pings)
    mentions: list[User] = field(default_factory=list)
    interaction: "Interaction | None" = None
    reference: "Message | None" = None
    deleted: bool = False
    reactions: Reactions = field(default_factory=Reactions)
    pinned_at: str | None = None
    thread: Channel | None = None  # started from this message, or announced by it
    webhook_id: int | None = None  # of the webhook that wrote it, unless an interaction did

    @property
    def is_v2(self) -> bool:
        return bool(self.flags & V2)

    @property
    def loading(self) -> bool:
        return bool(self.flags & LOADING)

    @property
    def pings(self) -> list[int]:
        return list(self.pinged.users)

    @property
    def pings_everyone(self) -> bool:
        return self.pinged.everyone

    @property
    def components(self) -> list[Json]:
        shown: list[Json] = tree.shown(self.tree, self.cdn)
        return shown

    @property
    def embeds(self) -> list[Json]:
        return [_embed_shown(embed, self.cdn) for embed in self.stored_embeds]

    @property
    def attachments(self) -> list[Json]:
        """Return the files shown on their own: none with V2, and none shown in an embed.

        See docs/internals/discord.md, Interactions.
        """
        if self.is_v2:
            return []
        used = embedded(self.stored_embeds)
        return [self.cdn.to_json(file) for file in self.files if file not in used]

    def text(self) -> str:
        """Return all text: content, embeds and TextDisplays."""
        parts = [self.content]
        for embed in self.stored_embeds:
            parts += [embed.get("title", ""), embed.get("description", "")]
            parts += [f"{item['name']}\n{item['value']}" for item in embed["fields"]]
            parts.append(embed.get("footer", {}).get("text", ""))
        parts += [item["content"] for item in tree.walk(self.tree) if item["type"] == tree.TEXT]
        return "\n".join(part for part in parts if part)

    def pictures(self) -> list[str]:
        """Return the addresses of all pictures in galleries."""
        return [
            item["media"]["url"]
            for component in tree.walk(self.components)
            for item in component.get("items", [])
        ]

    def buttons(self) -> list[Json]:
        return [item for item in tree.walk(self.components) if item["type"] == tree.BUTTON]

    def interactive(self, custom_id: str) -> Json | None:
        """Return the component with this custom_id."""
        found = (item for item in tree.walk(self.tree) if item.get("custom_id") == custom_id)
        return next(found, None)

    @property
    def of_webhook(self) -> bool:
        """Return whether a webhook wrote the message, as all responses to interactions."""
        return self.webhook_id is not None or self.interaction is not None

    def readable(self, reader: User) -> bool:
        """Return whether a bot sees the content without the message-content intent.

        See docs/internals/discord.md, Interactions.
        """
        own = self.author is reader or reader in self.mentions
        return own or self.channel.guild is None

    def to_json(self, *, reader: User | None = None, nested: bool = True) -> Json:
        """Return the API's form.

        `reader` is a bot without the message-content intent, for which the content of this message
        and of the replied one may be empty.
        """
        blank = reader is not None and not self.readable(reader)
        shown: Json = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "type": self.type,
            "author": self.author.to_json(),
            "timestamp": self.created_at,
            "edited_timestamp": self.edited_at,
            "flags": self.flags,
            "content": "" if blank else self.content,
            "embeds": [] if blank else self.embeds,
            "attachments": [] if blank else self.attachments,
            "components": [] if blank else self.components,
            "mentions": [user.to_json() for user in self.mentions],
            "mention_roles": [str(role) for role in self.pinged.roles],
            "mention_everyone": self.pinged.everyone,
            "pinned": self.pinned_at is not None,
            "tts": False,
        }
        if self.interaction is not None:
            shown |= self.interaction.origin(self)
        elif self.webhook_id is not None:
            shown["webhook_id"] = str(self.webhook_id)
        if reactions := self.reactions.to_json(self.channel.bot_id):
            shown["reactions"] = reactions
        if self.thread is not None:
            shown |= self._thread_json(self.thread)
        if self.reference is not None:
            shown["message_reference"] = self._reference(self.reference)
            if nested and not self.reference.deleted:
                shown["referenced_message"] = self.reference.to_json(reader=reader, nested=False)
            elif nested:
                shown["referenced_message"] = None
        return shown

    def _thread_json(self, thread: Channel) -> Json:
        if self.type == THREAD_NOTICE:
            where: Json = {"type": 0, "channel_id": str(thread.id)}
            guild = {"guild_id": str(thread.guild.id)} if thread.guild else {}
            return {"message_reference": where | guild}
        return {} if thread.deleted else {"thread": thread.to_json()}

    def _reference(self, other: "Message") -> Json:
        where: Json = {
            "type": 0,
            "message_id": str(other.id),
            "channel_id": str(other.channel.id),
        }
        if other.channel.guild:
            where["guild_id"] = str(other.channel.guild.id)
        return where


def embedded(embeds: list[Json]) -> list[Attachment]:
    """Return the files that embeds show."""
    pictures = [embed[name] for embed in embeds for name in PICTURES if name in embed]
    return [part["url"] for part in pictures if isinstance(part["url"], Attachment)]


def _embed_shown(embed: Json, cdn: Cdn) -> Json:
    shown = dict(embed)
    for name in PICTURES:
        if name not in shown:
            continue
        file = shown[name]["url"]
        if isinstance(file, Attachment):
            url = cdn.address(file)
            shown[name] = {"url": url, "proxy_url": url}
            if file.width and file.height:
                shown[name] |= {"width": file.width, "height": file.height}
        else:
            shown[name] = {"url": file, "proxy_url": cdn.proxy(file), "width": 48, "height": 32}
    return shown
