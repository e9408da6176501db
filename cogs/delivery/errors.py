"""What goes wrong between Discord and us: whether it passes, and whose word it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import discord

from bot.delivery import NotDelivered
from bot.http_headers import parse_retry_after
from cogs._replies import IN_DOUBT, REFUSED

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)  # answers discord.py cannot take
PROBLEMS = (*REFUSED, *IN_DOUBT, *UNREADABLE)
TOO_LARGE = 413
# A refusal closes a way for good, but for these: revoked, too fast.
NOT_THE_WAYS_FAULT = {401, 429}
TOKEN_EXPIRED = 50027  # Discord's code, with 401: of the interaction's token, not of ours
WORDS_KEPT = 200  # characters of what Discord says


def is_too_large(error: Exception) -> bool:
    return isinstance(error, discord.HTTPException) and error.status == TOO_LARGE


def is_passing(error: Exception) -> bool:
    """Whether the same may be taken later: all but a refusal in Discord's own words.

    Others than Discord, such as a proxy or a guard before it, block whatever is sent, by every
    way; only that something is too large is believed of them.
    """
    if not isinstance(error, discord.HTTPException):
        return True
    if error.code == TOKEN_EXPIRED or error.status == TOO_LARGE:
        return False
    if error.status in NOT_THE_WAYS_FAULT or error.status >= 500:
        return True
    return not is_discords_word(error)


def words_of(error: Exception) -> str:
    """Discord's own, without its numbers."""
    if not isinstance(error, discord.HTTPException) or not is_discords_word(error):
        return "no clear answer"
    return error.text.strip().partition("\n")[0][:WORDS_KEPT] or "no reason"


def is_discords_word(error: discord.HTTPException) -> bool:
    """Whether Discord itself has answered, and not something that stands before it."""
    return error.response.headers.get("Content-Type", "").startswith("application/json")


@contextmanager
def errors_told() -> Iterator[None]:
    """What discord.py raises, as NotDelivered."""
    try:
        yield
    except IN_DOUBT as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    except discord.RateLimited as error:
        raise NotDelivered("rate limited", error.retry_after) from error
    except discord.HTTPException as error:
        wait = retry_after_of(error)
        raise NotDelivered(f"{error.status} {error.code}: {error.text}", wait) from error


def retry_after_of(error: discord.HTTPException) -> float | None:
    """Seconds that Discord, or what stands before it, asks to wait (discord.md, T5)."""
    return parse_retry_after(error.response.headers.get("Retry-After"))
