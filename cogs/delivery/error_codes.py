"""Discord's error codes and their meaning for each destination of a result.

Pure data; the sources are in docs/internals/discord.md, Error codes. A code that is not listed is a
refusal by Discord itself: the next destination is tried.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from cogs.delivery.fallback import DestinationName


class Meaning(StrEnum):
    """The consequence of an answer for a delivery."""

    RETRY = "retry"  # the same request may succeed later
    RETRY_BRIEFLY = "briefly"  # for half a minute, then NEXT
    NEXT = "next"  # this one is closed; after the last one, give up
    SMALLER = "smaller"
    HIDE_PROMPT = "hide"  # the same message without the prompt
    TEXT = "text"  # the next destination; after the last one, a notice without pictures


TOKEN_EXPIRED: Final = 50027  # with status 401: the interaction's token, not the bot's
UNKNOWN_WEBHOOK: Final = 10015
OPENING_TOO_FAST: Final = 40003
BLOCKED_BY_AUTOMOD: Final = 200000
HARMFUL_LINK: Final = 240000

EVERYWHERE: Final[Mapping[int, Meaning]] = {
    # Limits and blocks that pass, whatever the status of the answer is.
    20016: Meaning.RETRY,  # slow mode
    20022: Meaning.RETRY,  # edits of an announcement
    20028: Meaning.RETRY,  # messages in this channel
    20029: Meaning.RETRY,  # messages in this server
    30046: Meaning.RETRY,  # edits of messages older than an hour
    40001: Meaning.RETRY,  # the bot's own token: the connection ends too, and says so
    OPENING_TOO_FAST: Meaning.RETRY,
    40004: Meaning.RETRY,  # messages are switched off for a time
    40006: Meaning.RETRY,  # a feature is switched off for a time
    40062: Meaning.RETRY,  # a service of Discord is overloaded
    40333: Meaning.RETRY,  # a block before Discord
    50014: Meaning.RETRY,  # the bot's own token, as above
    110001: Meaning.RETRY,  # the application is not available yet
    130000: Meaning.RETRY,  # a service of Discord is overloaded
    # Another shape of the same message.
    40005: Meaning.SMALLER,
    50045: Meaning.SMALLER,
    BLOCKED_BY_AUTOMOD: Meaning.HIDE_PROMPT,
    HARMFUL_LINK: Meaning.HIDE_PROMPT,
    # The files are refused and not the message.
    20009: Meaning.TEXT,  # the filter of explicit media
    50035: Meaning.TEXT,  # also UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND
    50046: Meaning.TEXT,  # an invalid file
    50110: Meaning.TEXT,  # the same
    50146: Meaning.TEXT,  # an upload that was lost
    400001: Meaning.TEXT,  # uploads are limited in this server
}

AT: Final[Mapping[DestinationName, Mapping[int, Meaning]]] = {
    # The webhook of an interaction may be unknown for some seconds after the reply.
    DestinationName.REPLY: {UNKNOWN_WEBHOOK: Meaning.RETRY_BRIEFLY},
    DestinationName.FOLLOW_UP: {UNKNOWN_WEBHOOK: Meaning.RETRY_BRIEFLY},
}


def meaning_of_code(code: int, name: DestinationName | None = None) -> Meaning | None:
    """Return the meaning of a code; None for a code that is not listed."""
    special = AT.get(name, {}) if name is not None else {}
    return special.get(code) or EVERYWHERE.get(code)
