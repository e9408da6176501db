"""Classify Discord errors: transient or permanent, from Discord or from a proxy."""

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from errno import errorcode
from typing import TypeVar

import discord

from bot.delivery import NotDelivered
from bot.http_headers import parse_retry_after
from bot.jobs import Job
from cogs._replies import NEVER_SENT, REFUSED, UNKNOWN_OUTCOME, UNREADABLE
from cogs.delivery.error_codes import (
    BLOCKED_BY_AUTOMOD,
    HARMFUL_LINK,
    OPENING_TOO_FAST,
    TOKEN_EXPIRED,
    Meaning,
    meaning_of_code,
)
from cogs.delivery.fallback import DestinationName
from cogs.ui.panel import hide_prompt
from cogs.ui.wording import HiddenPrompt, Refusal

log = logging.getLogger(__name__)

T = TypeVar("T")

DELIVERY_ERRORS = (*REFUSED, *UNKNOWN_OUTCOME, *UNREADABLE)
TOO_LARGE = 413
TRANSIENT_STATUSES = {401, 429}  # a token that was revoked, a rate limit
# Discord does not say how long the bot must wait before more direct messages are opened.
OPENING_WAIT = 60.0  # seconds
HIDDEN = {BLOCKED_BY_AUTOMOD: HiddenPrompt.AUTOMOD, HARMFUL_LINK: HiddenPrompt.LINKS}


def meaning_of(error: Exception, name: DestinationName | None = None) -> Meaning:
    """Return the meaning of an error for a destination, or for a query of Discord.

    A proxy or a firewall before Discord refuses every request to every destination. Of such a one,
    only "too large" is taken as permanent.
    """
    if not isinstance(error, discord.HTTPException):
        return Meaning.RETRY
    if error.status == TOO_LARGE:
        return Meaning.SMALLER
    if error.status >= 500 or not is_from_discord(error):
        return Meaning.RETRY
    if meaning := meaning_of_code(error.code, name):
        return meaning
    if error.status in TRANSIENT_STATUSES and error.code != TOKEN_EXPIRED:
        return Meaning.RETRY
    return Meaning.NEXT


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed later: not after a refusal by Discord itself."""
    return meaning_of(error) is Meaning.RETRY


def may_be_executed(error: Exception) -> bool:
    """Return whether Discord may have executed the request all the same."""
    if isinstance(error, NEVER_SENT):
        return False
    if not isinstance(error, discord.HTTPException) or error.status >= 500:
        return True
    return error.status != 429 and not is_from_discord(error)


def hidden_by(error: Exception) -> str:
    """Return the text that replaces a prompt which this error refuses; else an empty text."""
    if not isinstance(error, discord.HTTPException) or not is_from_discord(error):
        return ""
    return HIDDEN.get(error.code, "")


async def hiding_prompt(job: Job, send: Callable[[Job], Awaitable[T]]) -> T:
    """Await `send(job)`; once more without the prompt if Discord refuses the prompt's words."""
    try:
        return await send(job)
    except discord.HTTPException as error:
        instead = hidden_by(error)
        if not instead:
            raise
    log.info("Discord refuses the words of the prompt, hiding them")
    return await send(hide_prompt(job, instead))


def message_of(error: Exception) -> str:
    """Return Discord's own message without the codes, at most 200 characters."""
    if not isinstance(error, discord.HTTPException) or not is_from_discord(error):
        return Refusal.NO_CLEAR_ANSWER
    return error.text.strip().partition("\n")[0][:200] or Refusal.NO_REASON


def is_from_discord(error: discord.HTTPException) -> bool:
    """Return whether Discord itself has answered, and no proxy before Discord."""
    kind = error.response.headers.get("Content-Type", "")
    return kind.startswith("application/json") and bool(error.code or error.text)


@contextmanager
def raising_not_delivered(*, unreadable: bool = False) -> Iterator[None]:
    """Raise NotDelivered in place of discord.py's errors.

    With `unreadable`, also in place of those that an answer causes which discord.py cannot read.
    """
    try:
        yield
    except UNREADABLE as error:
        if not unreadable:
            raise
        log.warning("answer of Discord cannot be read", exc_info=True)
        raise NotDelivered(f"{type(error).__name__}") from error
    except discord.DiscordServerError as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    except UNKNOWN_OUTCOME as error:
        raise NotDelivered(failure_of(error)) from error
    except discord.RateLimited as error:
        raise NotDelivered("rate limited", error.retry_after) from error
    except discord.HTTPException as error:
        wait = parse_retry_after(error.response.headers.get("Retry-After"))
        if wait is None and error.code == OPENING_TOO_FAST:
            wait = OPENING_WAIT
        raise NotDelivered(f"{error.status} {error.code}: {error.text}", wait) from error


def failure_of(error: Exception) -> str:
    """Return the failure of a request, for the log and the database.

    Of aiohttp's errors the kind alone: their own texts hold addresses and headers.
    """
    if isinstance(error, discord.DiscordException):
        return str(error)
    name = type(error).__name__
    number = error.errno if isinstance(error, OSError) else None
    if number is None or number not in errorcode:  # a resolver has numbers of its own
        return name
    return f"{name}: {os.strerror(number)}"
