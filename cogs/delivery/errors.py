"""Classify Discord errors: transient or permanent, from Discord or from a proxy."""

from collections.abc import Iterator
from contextlib import contextmanager

import discord

from bot.delivery import NotDelivered
from bot.http_headers import parse_retry_after
from cogs._replies import REFUSED, UNKNOWN_OUTCOME
from cogs.ui.wording import Refusal

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)  # answers discord.py cannot read
DELIVERY_ERRORS = (*REFUSED, *UNKNOWN_OUTCOME, *UNREADABLE)
TOO_LARGE = 413
TRANSIENT_STATUSES = {401, 429}  # a token that was revoked, a rate limit
TOKEN_EXPIRED = 50027  # Discord's code, with status 401: the interaction's token, not the bot's


def is_too_large(error: Exception) -> bool:
    return isinstance(error, discord.HTTPException) and error.status == TOO_LARGE


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed later: not after a refusal by Discord itself.

    A proxy or a firewall before Discord refuses every request to every destination. Of such a one,
    only "too large" is taken as permanent.
    """
    if not isinstance(error, discord.HTTPException):
        return True
    if error.code == TOKEN_EXPIRED or error.status == TOO_LARGE:
        return False
    if error.status in TRANSIENT_STATUSES or error.status >= 500:
        return True
    return not is_from_discord(error)


def message_of(error: Exception) -> str:
    """Return Discord's own message without the codes, at most 200 characters."""
    if not isinstance(error, discord.HTTPException) or not is_from_discord(error):
        return Refusal.NO_CLEAR_ANSWER
    return error.text.strip().partition("\n")[0][:200] or Refusal.NO_REASON


def is_from_discord(error: discord.HTTPException) -> bool:
    """Return whether Discord itself has answered, and no proxy before Discord."""
    return error.response.headers.get("Content-Type", "").startswith("application/json")


@contextmanager
def raising_not_delivered() -> Iterator[None]:
    """Raise NotDelivered in place of discord.py's errors."""
    try:
        yield
    except UNKNOWN_OUTCOME as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    except discord.RateLimited as error:
        raise NotDelivered("rate limited", error.retry_after) from error
    except discord.HTTPException as error:
        wait = parse_retry_after(error.response.headers.get("Retry-After"))
        raise NotDelivered(f"{error.status} {error.code}: {error.text}", wait) from error
