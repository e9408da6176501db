"""AutoMod: the keyword rules of a server, which block messages before anybody sees them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.message_body import Draft
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.request_body import Refusal

BLOCKED: Final = (400, 200000, "Message was blocked by automatic moderation")
MOST_KEYWORDS: Final = 1000
LONGEST_KEYWORD: Final = 60  # characters


@dataclass(frozen=True)
class KeywordRule:
    """A rule of the type KEYWORD with the action "block message".

    A keyword is a whole word; `*` at its start or end stands for any characters. Rules concern
    people; with `bots`, also messages of the bot.
    """

    keywords: tuple[str, ...]
    bots: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.keywords) <= MOST_KEYWORDS:
            raise ValueError(f"a rule has 1 to {MOST_KEYWORDS} keywords")
        for keyword in self.keywords:
            if not keyword.strip("* ") or len(keyword) > LONGEST_KEYWORD:
                raise ValueError(f"{keyword!r} is no keyword")

    def blocks(self, text: str) -> bool:
        return any(_pattern(keyword).search(text) for keyword in self.keywords)


def check(channel: Channel, author: User, draft: Draft, *, ephemeral: bool) -> None:
    """Raise Discord's refusal if a rule of the channel's server blocks a message or an edit.

    Messages that only one member sees are not moderated. Alternative texts are: the stand-in is
    the stricter one.
    """
    if channel.guild is None or ephemeral:
        return
    text = "\n".join(_texts(draft))
    for rule in channel.guild.auto_mod:
        if (rule.bots or not author.bot) and rule.blocks(text):
            raise Refusal(*BLOCKED)


def _texts(draft: Draft) -> Iterator[str]:
    yield draft.content
    yield from draft.descriptions.values()
    for embed in draft.embeds:
        yield from (str(embed.get(name, "")) for name in ("title", "description"))
    for component in tree.walk(draft.tree):
        yield str(component.get("content", ""))
        yield from (str(item.get("description") or "") for item in component.get("items", []))


def _pattern(keyword: str) -> re.Pattern[str]:
    start = "" if keyword.startswith("*") else r"(?<!\w)"
    end = "" if keyword.endswith("*") else r"(?!\w)"
    return re.compile(start + re.escape(keyword.strip("*")) + end, re.IGNORECASE)
